import type { Log } from './log.ts';
import type { TraceContext } from './trace-context.ts';

/** Something that took time, ready to be exported. Times in ms since 1970, with fractions. */
export interface Span {
  readonly name: string;
  readonly kind: 'server' | 'client' | 'internal';
  readonly context: TraceContext;
  readonly parentSpanId?: string | undefined;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly links?: readonly TraceContext[] | undefined;
  /** Of what it links to, so many are left out. */
  readonly linksLeftOut?: number;
  /** Why it failed. */
  readonly failed?: string | undefined;
}

/** Sends spans somewhere. */
export interface SpanSender {
  /** @throws when they did not arrive. */
  send(spans: readonly Span[]): Promise<void>;
  stop(): Promise<void>;
}

/** What becomes of spans. */
export type SpanResult = 'sent' | 'queue-full' | 'failed';

const waitingMax = 4096;
const batchMax = 512;
const eachMs = 1000;

/**
 * Hands spans on in batches, one batch at a time. Whoever has one never waits: what finds 4,096 waiting is dropped and counted,
 * and so is a batch that did not arrive.
 */
export class SpanExport {
  readonly #sender: Promise<SpanSender>;
  readonly #onEnd: (result: SpanResult, spans: number) => void;
  #waiting: Span[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #stopped = false;

  /** @param sender may take a while to load; it is not needed before the first spans have waited a second. */
  constructor(sender: Promise<SpanSender>, log: Log, onEnd: (result: SpanResult, spans: number) => void) {
    this.#sender = sender;
    this.#onEnd = onEnd;
    sender.catch((error: unknown) => {
      this.#stopped = true;
      log.error({ code: 'PL_TRACE_EXPORT', detail: String(error) }, 'spans cannot be exported: none will be');
    });
  }

  add(span: Span): void {
    if (this.#stopped || this.#waiting.length >= waitingMax) return this.#onEnd('queue-full', 1);
    this.#waiting.push(span);
    if (this.#waiting.length >= batchMax) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), eachMs).unref();
  }

  /** Sends what waits, until `until` on the clock of `performance.now()`, and ends. */
  async drain(until: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.max(0, until - performance.now()));
    });
    const all = (async () => {
      while (this.#waiting.length > 0 || this.#sending) {
        this.#flush();
        await this.#sending;
      }
    })();
    await Promise.race([all, over]);
    // The sender's end waits for what is under way, however long a collector that hangs takes.
    await Promise.race([this.stop(), over]);
    clearTimeout(timer);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#waiting.length > 0) this.#onEnd('failed', this.#waiting.length);
    this.#waiting = [];
    if (this.#stopped) return;
    this.#stopped = true;
    // Where it could not be loaded there is nothing to stop.
    const sender = await this.#sender.catch(() => undefined);
    await sender?.stop();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#sending || this.#waiting.length === 0) return;
    const batch = this.#waiting.splice(0, batchMax);
    this.#sending = this.#send(batch).then(() => {
      this.#sending = undefined;
      if (this.#waiting.length >= batchMax) this.#flush();
      else if (this.#waiting.length > 0 && !this.#stopped) {
        this.#timer ??= setTimeout(() => this.#flush(), eachMs).unref();
      }
    });
  }

  async #send(batch: readonly Span[]): Promise<void> {
    try {
      await (await this.#sender).send(batch);
      this.#onEnd('sent', batch.length);
    } catch {
      this.#onEnd('failed', batch.length);
    }
  }
}
