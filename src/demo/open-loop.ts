import { type Dispatcher, Pool } from '../companion/http-client.ts';

/** One kind of request and how to tell whether its answer is right. */
export interface Shot {
  readonly path: string;
  readonly body: string;
  isRight(reply: string): boolean;
}

/** What open-loop load saw. Latencies in ms from the intended send time, of right answers. */
export interface LoadResult {
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
}

/** Sends Poisson arrivals at their times, whether or not earlier ones have been answered. */
export async function openLoop(plan: LoadPlan): Promise<LoadResult> {
  const pool = new Pool(plan.url, { connections: 4096, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
  const statuses = new Map<number, number>();
  const latencies: number[] = [];
  const pending = new Set<Promise<void>>();
  let sent = 0;
  let good = 0;
  let wrong = 0;

  const fire = (intended: number): Promise<void> => {
    const shot = plan.shot(sent++);
    return new Promise((resolve) => {
      let status = 0;
      let text = '';
      let controller: Dispatcher.DispatchController | undefined;
      let over = false;
      // A caller gives up at its time, also where its request still waits for a connection.
      const giveUp = () => {
        end(false);
        controller?.abort(new Error('the caller gave up'));
      };
      const timer = setTimeout(giveUp, intended + plan.timeoutMs - performance.now());
      const end = (answered: boolean) => {
        if (over) return;
        over = true;
        clearTimeout(timer);
        const ms = performance.now() - intended;
        const counted = answered ? status : 0;
        statuses.set(counted, (statuses.get(counted) ?? 0) + 1);
        if (counted === 200) {
          if (shot.isRight(text)) latencies.push(ms);
          else wrong++;
          if (ms <= plan.sloMs && shot.isRight(text)) good++;
        }
        resolve();
      };
      pool.dispatch(
        { path: shot.path, method: 'POST', headers: ['content-type', 'application/json'], body: shot.body },
        {
          onRequestStart: (own) => {
            controller = own;
            if (over) own.abort(new Error('the caller gave up'));
          },
          onResponseStart: (_controller, code) => {
            status = code;
          },
          onResponseData: (_controller, chunk) => {
            text += chunk.toString();
          },
          onResponseEnd: () => end(true),
          onResponseError: () => end(false),
        },
      );
    });
  };

  const start = performance.now();
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
    await new Promise((resolve) => setTimeout(resolve, Math.max(1, Math.min(50, next - performance.now()))));
  }
  await Promise.all(pending);
  await pool.destroy();
  latencies.sort((one, other) => one - other);
  const quantile = (share: number) => latencies[Math.floor(share * (latencies.length - 1))] ?? Number.NaN;
  return {
    sent,
    goodput: good / Math.max(1, sent),
    wrong,
    statuses,
    p50: quantile(0.5),
    p95: quantile(0.95),
    p99: quantile(0.99),
  };
}
