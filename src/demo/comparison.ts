import { Agent, get } from 'node:http';
import { json } from 'node:stream/consumers';
import { Random } from '../simulator/random.ts';
import { type Child, startChild } from './child.ts';
import { digitShots } from './digit-shots.ts';
import { type LoadResult, openLoop, type Shot } from './open-loop.ts';

/** Three ways to serve the same model. */
export const ways = ['no batching', 'fixed timer', 'Paceline'] as const;
export type Way = (typeof ways)[number];

export interface ComparisonPlan {
  readonly model: string;
  readonly sloMs: number;
  /** Shares of what the model can do in full batches. */
  readonly loads: readonly number[];
  readonly secondsPerLoad: number;
  readonly seed: number;
}

/** One way at one load. */
export interface ComparisonRow extends LoadResult {
  readonly way: Way;
  readonly load: number;
  readonly ratePerSecond: number;
  readonly meanBatch: number;
  /** Model time a right answer within the SLO, in ms. */
  readonly busyMsPerGood: number;
  readonly busyShare: number;
}

/** Hand-tuned: as many as the model takes, and a quarter of the SLO. */
export const fixedTimer = { maxBatchSize: 32, maxLatencyMs: 50 };
const callerTimeoutMs = 2000;

/**
 * Runs every way through all loads, one after the other. A way keeps its model server and its proxy while the load rises,
 * unless the model is still busy with what callers gave up on: then both begin anew.
 */
export async function compare(
  plan: ComparisonPlan,
  report: (row: ComparisonRow) => void,
  progress: (text: string) => void,
): Promise<{ capacity: number; singleMs: number; fullMs: number }> {
  progress('measuring the model');
  const { shots, ...measured } = await measureModel(plan.model);
  for (const way of ways) {
    let pair = await startPair(way, plan.sloMs);
    try {
      for (const load of plan.loads) {
        if (!(await settles(pair.model.port))) {
          await stopPair(pair);
          pair = await startPair(way, plan.sloMs);
        }
        const ratePerSecond = measured.capacity * load;
        const before = await statsOf(pair.model.port);
        const random = new Random(plan.seed);
        const result = await openLoop({
          url: `http://127.0.0.1:${pair.proxy.port}`,
          ratePerSecond,
          seconds: plan.secondsPerLoad,
          sloMs: plan.sloMs,
          timeoutMs: callerTimeoutMs,
          shot: (number) => shots[number % shots.length] as Shot,
          random: () => random.uniform(),
          progress: (share) =>
            progress(
              `${way} at ${Math.round(load * 100)} % (${Math.round(ratePerSecond)}/s): ${Math.round(share * 100)} %`,
            ),
        });
        const after = await statsOf(pair.model.port);
        const busyMs = after.busyMs - before.busyMs;
        report({
          ...result,
          way,
          load,
          ratePerSecond,
          meanBatch: (after.items - before.items) / (after.calls - before.calls),
          busyMsPerGood: busyMs / (result.goodput * result.sent),
          busyShare: Math.min(1, busyMs / (plan.secondsPerLoad * 1000)),
        });
      }
    } finally {
      await stopPair(pair);
    }
  }
  return measured;
}

/** A model server and what stands in front of it. */
interface Pair {
  readonly model: Child;
  readonly proxy: Child;
}

async function startPair(way: Way, sloMs: number): Promise<Pair> {
  const model = await startChild('digits', '--port', '0');
  return { model, proxy: await startWay(way, model.port, sloMs) };
}

async function stopPair(pair: Pair): Promise<void> {
  await pair.proxy.stop();
  await pair.model.stop();
}

/** Whether the model is done with what its callers gave up on: otherwise the next load would stand behind that. */
async function settles(modelPort: number): Promise<boolean> {
  for (let i = 0; i < 5; i++) {
    const before = await statsOf(modelPort);
    await new Promise((resolve) => setTimeout(resolve, 200));
    if ((await statsOf(modelPort)).calls === before.calls) return true;
  }
  return false;
}

function startWay(way: Way, modelPort: number, sloMs: number) {
  const upstream = `http://127.0.0.1:${modelPort}`;
  if (way === 'Paceline') {
    const flags = ['--slo', `${sloMs}ms`, '--upstream', upstream, '--port', '0', '--admin-port', '0'];
    return startChild('companion', ...flags, '--host', '127.0.0.1');
  }
  const rule = way === 'no batching' ? 'none' : 'fixed-timer';
  const timer = ['--max-batch-size', String(fixedTimer.maxBatchSize), '--max-latency', `${fixedTimer.maxLatencyMs}ms`];
  return startChild('baseline', '--rule', rule, '--upstream', upstream, '--port', '0', ...timer);
}

/** Items a second in full batches, and what one and a full batch take. Medians of some calls. */
async function measureModel(model: string) {
  const child = await startChild('digits', '--port', '0');
  try {
    const url = `http://127.0.0.1:${child.port}`;
    const shots = await digitShots(url, model);
    const instance = JSON.parse((shots[0] as Shot).body).instances[0];
    const timed = async (items: number) => {
      const body = JSON.stringify({ instances: Array(items).fill(instance) });
      const times: number[] = [];
      for (let i = 0; i < 9; i++) {
        const started = performance.now();
        await (await fetch(`${url}/v1/models/${model}:predict`, { method: 'POST', body })).text();
        times.push(performance.now() - started);
      }
      return times.sort((one, other) => one - other)[4] as number;
    };
    const singleMs = await timed(1);
    const fullMs = await timed(fixedTimer.maxBatchSize);
    return { shots, singleMs, fullMs, capacity: (1000 * fixedTimer.maxBatchSize) / fullMs };
  } finally {
    await child.stop();
  }
}

/** What a model has done so far. */
interface ModelStats {
  readonly calls: number;
  readonly items: number;
  readonly busyMs: number;
}

/**
 * One connection a model, kept: a model that drowns in calls takes no new one for many seconds, and answers on this one
 * in its turn.
 */
const statsAgent = new Agent({ keepAlive: true, maxSockets: 1 });

function statsOf(port: number): Promise<ModelStats> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/stats', agent: statsAgent }, (response) =>
      json(response).then((stats) => resolve(stats as ModelStats), reject),
    ).on('error', reject);
  });
}
