import type { Dispatcher, Pool } from '../companion/http-client.ts';

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
      end(false);
      controller?.abort(new Error('the caller gave up'));
    };
    const timer = setTimeout(giveUp, intended + timeoutMs - performance.now());
    const end = (answered: boolean) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      const text = answered ? Buffer.concat(chunks).toString() : '';
      resolve({ status: answered ? status : 0, ms: performance.now() - intended, text });
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
        onResponseEnd: () => end(true),
        onResponseError: () => end(false),
      },
    );
  });
}

/** Waits for the next time, in steps that are short enough for whoever watches; 1 ms at least. */
export function untilDue(next: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(1, Math.min(50, next - performance.now()))));
}

/** The value that this share of sorted values does not exceed; not a number where there are none. */
export function quantileOf(sorted: readonly number[], share: number): number {
  return sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
}
