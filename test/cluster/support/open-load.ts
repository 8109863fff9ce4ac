import { ask } from './requests.ts';

/** How one request ended. */
export interface Ended {
  readonly atMs: number;
  readonly tookMs: number;
  /** HTTP status; 0 where no answer came. */
  readonly status: number;
  /** What the model says of itself. */
  readonly version: string;
  /** What it was answered where that was not 200, or why there was no answer: tells who refused it. */
  readonly said?: string;
}

/**
 * Those that a companion gave up as too late for their callers, a 504 with a code of ours, are late and not lost. The activator
 * and queue-proxy answer 504 too, for what they have lost.
 */
export function lost(ended: readonly Ended[]): Ended[] {
  return ended.filter(({ status, said = '' }) => status !== 200 && !(status === 504 && /"PL_[A-Z_]+"/.test(said)));
}

/**
 * Requests at a steady rate, whether or not answers come: callers do not wait for each other. Latency counts from when a
 * request should have been sent.
 */
export class OpenLoad {
  readonly ended: Ended[] = [];
  readonly #timer: NodeJS.Timeout;
  #sent = 0;
  #open = 0;

  constructor(host: string, path: string, body: unknown, ratePerSecond: number) {
    const startedMs = performance.now();
    const pauseMs = 1000 / ratePerSecond;
    this.#timer = setInterval(
      () => {
        const now = performance.now();
        while (startedMs + this.#sent * pauseMs <= now) {
          void this.#send(host, path, body, startedMs + this.#sent * pauseMs);
          this.#sent++;
        }
      },
      Math.min(pauseMs, 10),
    );
  }

  /** Stops sending and waits until every request has ended. */
  async stop(): Promise<readonly Ended[]> {
    clearInterval(this.#timer);
    while (this.#open > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    return this.ended;
  }

  async #send(host: string, path: string, body: unknown, dueMs: number): Promise<void> {
    this.#open++;
    let status = 0;
    let version = '';
    let said: string | undefined;
    try {
      const answer = await ask({ host, path, body, timeoutMs: 20_000 });
      status = answer.status;
      version = String(answer.headers['x-model-version'] ?? '');
      if (status !== 200) said = `${answer.headers.server ?? ''} ${answer.text.slice(0, 200)}`;
    } catch (error) {
      said = String(error);
    }
    this.#open--;
    const now = performance.now();
    this.ended.push({ atMs: now, tookMs: now - dueMs, status, version, ...(said === undefined ? {} : { said }) });
  }
}
