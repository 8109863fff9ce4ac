/** Since when something has held, by a key: in ms of this process, so that no jump of a clock makes it longer. Bounded. */
export class Since {
  readonly #began = new Map<string, number>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  /** It holds: how long has it done so. */
  lastsMs(key: string, monotonicMs: number): number {
    const began = this.#began.get(key);
    if (began !== undefined) return monotonicMs - began;
    this.#began.set(key, monotonicMs);
    if (this.#began.size > this.#most) this.#began.delete(this.#began.keys().next().value as string);
    return 0;
  }

  /** It holds no more. */
  end(key: string): void {
    this.#began.delete(key);
  }
}
