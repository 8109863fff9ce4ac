// What every scenario shares: reading the plan, asking the service, and judging its answer.
import exec from 'k6/execution';
import http, { type RefinedResponse } from 'k6/http';
import { Gauge, Rate, Trend } from 'k6/metrics';
import { optionsOf, type Plan, phaseAt } from '../plan.ts';

/** How a request ended. `wrong` is a 200 without one prediction for each item. */
export type Outcome = 'good' | 'late' | 'wrong' | 'refused' | 'failed';

const plan = JSON.parse(__ENV.PLAN ?? '') as Plan;
const { itemsExpected, itemsPath } = expectation(plan.body);
const withinSlo = new Rate('within_slo');
const failed = new Rate('failed');
const answerTime = new Trend('answer_time', true);
const startedAt = new Gauge('started_at');

export const planOptions = optionsOf(plan);

/** One request. Its time includes connecting, because callers wait for that too. */
export function ask(): void {
  const side = plan.sides.find(({ name }) => name === __ENV.SIDE) ?? plan.sides[0];
  if (!side) throw new Error('the plan has no side');
  if (exec.scenario.iterationInTest === 0) startedAt.add(exec.scenario.startTime);
  // Before this iteration's start nothing of it was sent, and an arrival-rate executor starts it when it is due.
  const phase = phaseAt(plan.phases, (Date.now() - exec.scenario.startTime) / 1000).name;
  const response = http.post(side.url, plan.body, {
    headers: { 'content-type': 'application/json', ...(side.host === undefined ? {} : { host: side.host }) },
    timeout: plan.timeoutMs,
    redirects: 0,
  });
  const { blocked, connecting, tls_handshaking: handshake, duration } = response.timings;
  const ms = blocked + connecting + handshake + duration;
  const outcome = judge(response, ms);
  const tags = { side: side.name, phase };
  withinSlo.add(outcome === 'good', tags);
  failed.add(outcome === 'wrong' || outcome === 'refused' || outcome === 'failed', tags);
  answerTime.add(ms, { ...tags, outcome });
}

function judge(response: RefinedResponse<'text'>, ms: number): Outcome {
  if (response.status !== 200) return [429, 503, 504].includes(response.status) ? 'refused' : 'failed';
  if (response.json(itemsPath) !== itemsExpected) return 'wrong';
  return ms <= plan.sloMs ? 'good' : 'late';
}

/** V1 answers with as many predictions as there were instances, V2 with at least one output. */
function expectation(body: string): { itemsExpected: number; itemsPath: string } {
  const request = JSON.parse(body) as { instances?: unknown[]; inputs?: { shape: number[] }[] };
  if (request.instances) return { itemsExpected: request.instances.length, itemsPath: 'predictions.#' };
  return { itemsExpected: request.inputs?.[0]?.shape[0] ?? 1, itemsPath: 'outputs.0.shape.0' };
}

/** Our own summary: every series as k6 knows it, for the report; k6's own is left out. */
export function summarize(data: object): Record<string, string> {
  return { [__ENV.SUMMARY ?? 'summary.json']: JSON.stringify(data) };
}
