import { Pool } from '../companion/upstream/http-client.ts';
import { quantileOf, timedCall, untilDue } from '../load/timed-call.ts';

/** One kind of request and how to tell whether its answer is right. */
export interface Shot {
  readonly path: string;
  readonly body: string;
  isRight(reply: string): boolean;
}

/** What open-loop load saw. Latencies in ms from the intended send time, of right answers. */
export interface LoadResult {
  /** Those that count. */
  readonly sent: number;
  /** Right answers within the SLO, as a share of what was sent. */
  readonly goodput: number;
  readonly wrong: number;
  /** Answers by status; 0 is no answer. */
  readonly statuses: ReadonlyMap<number, number>;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export interface LoadPlan {
  readonly url: string;
  readonly ratePerSecond: number;
  readonly seconds: number;
  readonly sloMs: number;
  /** A caller gives up so long after it meant to send; it counts as no answer. */
  readonly timeoutMs: number;
  readonly shot: (number: number) => Shot;
  /** Uniform in (0, 1). */
  readonly random: () => number;
  readonly progress?: (doneShare: number) => void;
  /** What is sent in the first seconds counts nowhere: a load needs time to show what it does. */
  readonly uncountedSeconds?: number;
}

/** Sends Poisson arrivals at their times, whether or not earlier ones have been answered. */
export async function openLoop(plan: LoadPlan): Promise<LoadResult> {
  const pool = new Pool(plan.url, { connections: 4096, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
  const statuses = new Map<number, number>();
  const latencies: number[] = [];
  const pending = new Set<Promise<void>>();
  let sent = 0;
  let counted = 0;
  let good = 0;
  let wrong = 0;

  const headers = ['content-type', 'application/json'];
  const fire = async (intended: number): Promise<void> => {
    const { path, body, isRight } = plan.shot(sent++);
    const { status, ms, text } = await timedCall(pool, { path, headers, body, intended, timeoutMs: plan.timeoutMs });
    if (intended < countedFrom) return;
    counted++;
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (status !== 200) return;
    const right = isRight(text);
    if (right) latencies.push(ms);
    else wrong++;
    if (right && ms <= plan.sloMs) good++;
  };

  const start = performance.now();
  const countedFrom = start + (plan.uncountedSeconds ?? 0) * 1000;
  const end = start + plan.seconds * 1000;
  let next = start;
  while (next < end) {
    const now = performance.now();
    while (next <= now && next < end) {
      const one: Promise<void> = fire(next).then(() => void pending.delete(one));
      pending.add(one);
      next -= (Math.log(1 - plan.random()) * 1000) / plan.ratePerSecond;
    }
    plan.progress?.(Math.min(1, (now - start) / (end - start)));
    await untilDue(next);
  }
  await Promise.all(pending);
  await pool.destroy();
  latencies.sort((one, other) => one - other);
  return {
    sent: counted,
    goodput: good / Math.max(1, counted),
    wrong,
    statuses,
    p50: quantileOf(latencies, 0.5),
    p95: quantileOf(latencies, 0.95),
    p99: quantileOf(latencies, 0.99),
  };
}
