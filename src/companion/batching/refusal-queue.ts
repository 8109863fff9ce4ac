import type { Reason } from '../../kernels/reasons.ts';
import type { Queued } from './queued.ts';

const sliceMs = 2;

/** Refusals on their way out: a few milliseconds of them a turn of the event loop, so that a mass of them stalls nobody. */
export class RefusalQueue<T extends Queued> {
  readonly #write: (exchange: T, reason: Reason) => void;
  /** The next one first. */
  readonly #waiting: { exchange: T; reason: Reason }[] = [];
  #writing = false;

  constructor(write: (exchange: T, reason: Reason) => void) {
    this.#write = write;
  }

  /** To be written at the next `start`. */
  add(exchange: T, reason: Reason): void {
    this.#waiting.push({ exchange, reason });
  }

  /** Writes what waits, unless that is already under way. */
  start(): void {
    if (!this.#writing) this.#writeSome();
  }

  #writeSome(): void {
    this.#writing = true;
    const until = performance.now() + sliceMs;
    let done = 0;
    while (done < this.#waiting.length && (done === 0 || performance.now() < until)) {
      const { exchange, reason } = this.#waiting[done++] as { exchange: T; reason: Reason };
      this.#write(exchange, reason);
    }
    this.#waiting.splice(0, done);
    this.#writing = this.#waiting.length > 0;
    if (this.#writing) setImmediate(() => this.#writeSome());
  }
}
