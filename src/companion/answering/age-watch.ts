const lookEachMs = 5000;

/**
 * What must not last for too long, in the order in which it began: whatever is older than the bound is ended. Nothing runs while
 * nothing is watched.
 *
 * ```
 *   add ──► [ oldest … newest ] ──► delete: it ended by itself
 *                 └───────────────► end, within 5 s beyond the bound
 * ```
 */
export class AgeWatch<T> {
  readonly #maxMs: number;
  readonly #end: (each: T) => void;
  readonly #since = new Map<T, number>();
  #looking: NodeJS.Timeout | undefined;

  /** @param end ends one that is too old; it is watched no more by then */
  constructor(maxMs: number, end: (each: T) => void) {
    this.#maxMs = maxMs;
    this.#end = end;
  }

  get size(): number {
    return this.#since.size;
  }

  /** One begins, now; also one that had begun before. */
  add(each: T): void {
    this.#since.delete(each);
    this.#since.set(each, performance.now());
    this.#looking ??= setInterval(() => this.#look(), Math.min(lookEachMs, this.#maxMs)).unref();
  }

  delete(each: T): void {
    this.#since.delete(each);
  }

  stop(): void {
    clearInterval(this.#looking);
    this.#looking = undefined;
  }

  #look(): void {
    const before = performance.now() - this.#maxMs;
    for (const [each, since] of this.#since) {
      if (since > before) break;
      this.#since.delete(each);
      this.#end(each);
    }
    if (this.#since.size === 0) this.stop();
  }
}
