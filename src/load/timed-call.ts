import type { Dispatcher, Pool } from '../companion/upstream/http-client.ts';
import { failureOf, type UpstreamFailure } from '../companion/upstream/upstream.ts';

/** A call that is due at a time, and given up some time after it. */
export interface DueCall {
  readonly path: string;
  readonly headers: readonly string[];
  readonly body: string | Buffer;
  /** When it is due, on the clock of `performance.now()`: its latency counts from then. */
  readonly intended: number;
  readonly timeoutMs: number;
}

/** How a call ended. */
export interface CallResult {
  /** 0 where there was no answer in time. */
  readonly status: number;
  readonly ms: number;
  readonly text: string;
  /** Why there was no answer. */
  readonly failure?: UpstreamFailure | undefined;
}

/** Makes one call now. A caller gives up at its time, also where its request still waits for a connection. */
export function timedCall(pool: Pool, call: DueCall): Promise<CallResult> {
  const { path, headers, body, intended, timeoutMs } = call;
  return new Promise((resolve) => {
    let status = 0;
    const chunks: Buffer[] = [];
    let controller: Dispatcher.DispatchController | undefined;
    let over = false;
    const giveUp = () => {
      end('timeout');
      controller?.abort(new Error('the caller gave up'));
    };
    const timer = setTimeout(giveUp, intended + timeoutMs - performance.now());
    const end = (failure?: UpstreamFailure) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      const text = failure ? '' : Buffer.concat(chunks).toString();
      resolve({ status: failure ? 0 : status, ms: performance.now() - intended, text, failure });
    };
    pool.dispatch(
      { path, method: 'POST', headers: [...headers], body },
      {
        onRequestStart: (own) => {
          controller = own;
          if (over) own.abort(new Error('the caller gave up'));
        },
        onResponseStart: (_controller, code) => {
          status = code;
        },
        onResponseData: (_controller, chunk) => {
          chunks.push(chunk);
        },
        onResponseEnd: () => end(),
        onResponseError: (_controller, error) => end(failureOf(error)),
      },
    );
  });
}

/** Waits for the next time, in steps that are short enough for whoever watches; 1 ms at least. */
export function untilDue(next: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(1, Math.min(50, next - performance.now()))));
}

/** The least of sorted values that at least this share of them does not exceed; not a number where there are none. */
export function quantileOf(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
