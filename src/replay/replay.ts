import { Pool } from '../companion/upstream/http-client.ts';
import { quantileOf, timedCall, untilDue } from '../load/timed-call.ts';
import type { Recording } from '../telemetry/recording.ts';
import type { RecordedRequest } from '../telemetry/recording-format.ts';
import type { BodyTemplate } from './body-template.ts';
import { figure, isBatchable } from './summary.ts';

/** What keeps requests apart that were in different lanes: no part of Paceline knows it, and any header does. */
export const laneHeader = 'paceline-replay-lane';

export interface ReplayPlan {
  readonly target: URL;
  readonly template: BodyTemplate;
  /** 2: twice as fast. */
  readonly speed: number;
  /** Instead of each request's own objective, and asked of the target; ms. */
  readonly sloMs?: number | undefined;
  readonly timeoutMs: number;
  /** What passed through too. */
  readonly all: boolean;
  /** The share that has been sent, and how many got an answer in time. */
  readonly progress?: (share: number, sent: number, good: number) => void;
}

/** What the replay came to. Times in ms, from the intended send time. */
export interface ReplayResult {
  readonly sent: number;
  /** Answered with 2xx within the objective, as a share of what was sent. */
  readonly goodput: number | null;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** By status, or by why there was no answer: `timeout`, `unreachable`, `reset` and the like. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** How much later than intended the latest request was sent: much of it says that this machine is too slow for the replay. */
  readonly latestMs: number;
}

/** Sends a recording again: each request at its recorded time, whether or not earlier ones have been answered. */
export async function replay(recording: Recording, plan: ReplayPlan): Promise<ReplayResult> {
  const pool = new Pool(plan.target.origin, { connections: 4096, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
  const path = plan.target.pathname + plan.target.search;
  const pending = new Set<Promise<void>>();
  const latencies: number[] = [];
  const statuses: Record<string, number> = {};
  let [sent, good, latestMs] = [0, 0, 0];
  const slo = recording.segments[0]?.sloMs ?? 0;
  const fire = async (record: RecordedRequest, intended: number): Promise<void> => {
    const body = plan.template.body(record.items, record.requestBytes);
    const headers = headersOf(record, slo, plan.sloMs);
    const { status, ms, failure } = await timedCall(pool, { path, headers, body, intended, timeoutMs: plan.timeoutMs });
    const name = failure ?? String(status);
    statuses[name] = (statuses[name] ?? 0) + 1;
    if (status < 200 || status > 299) return;
    latencies.push(ms);
    if (ms <= (plan.sloMs ?? (record.objectiveMs || slo))) good++;
  };
  const start = performance.now() + startsAfterMs;
  const first = recording.length > 0 ? recording.at(0).atMs : 0;
  for (const [i, record] of each(recording)) {
    if (!plan.all && !isBatchable(record)) continue;
    const intended = start + (record.atMs - first) / plan.speed;
    while (performance.now() < intended) {
      plan.progress?.(i / recording.length, sent, good);
      await untilDue(intended);
    }
    // However late it is, answers are read in between.
    if (i % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
    latestMs = Math.max(latestMs, performance.now() - intended);
    sent++;
    const one: Promise<void> = fire(record, intended).then(() => void pending.delete(one));
    pending.add(one);
  }
  await Promise.all(pending);
  plan.progress?.(1, sent, good);
  const seconds = (performance.now() - start) / 1000;
  await pool.destroy();
  latencies.sort((one, other) => one - other);
  return {
    sent,
    goodput: sent > 0 ? good / sent : null,
    p50Ms: figure(quantileOf(latencies, 0.5)),
    p99Ms: figure(quantileOf(latencies, 0.99)),
    statuses,
    seconds: figure(seconds) ?? 0,
    latestMs: figure(latestMs) ?? 0,
  };
}

const startsAfterMs = 50;
/** Nobody may ask for more; ms. */
const askedMax = 3_600_000;

function* each(recording: Recording): Generator<[number, RecordedRequest]> {
  for (let i = 0; i < recording.length; i++) yield [i, recording.at(i)];
}

/** A caller who asked for less time than the SLO asks for it again; where the replay has an objective, all ask for that. */
function headersOf(record: RecordedRequest, sloMs: number, given: number | undefined): string[] {
  const headers = ['content-type', 'application/json', laneHeader, record.lane.toString(16).padStart(8, '0')];
  const { objectiveMs } = record;
  const asked = given ?? (objectiveMs > 0 && objectiveMs < sloMs ? objectiveMs : undefined);
  if (asked !== undefined) headers.push('paceline-timeout-ms', String(Math.min(asked, askedMax)));
  return headers;
}
