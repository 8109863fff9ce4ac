// Plain references of the two estimates of load that the policy reads: what arrives, and what is due.

/** Items per ms that arrive: the largest of decayed counters, of one second, of ten, and for peaks of two objectives. */
export class ReferenceRate {
  readonly #born: number;
  #at: number;
  #peakMs = 0;
  #peak = 0;
  #quick = 0;
  #slow = 0;

  constructor(now: number, sloMs: number) {
    this.#born = now;
    this.#at = now;
    this.scale(sloMs);
  }

  scale(sloMs: number): void {
    this.#peakMs = Math.min(Math.max(2 * sloMs, 50), 1000);
  }

  add(at: number, items: number): void {
    this.#decay(at);
    this.#peak += items;
    this.#quick += items;
    this.#slow += items;
  }

  perMs(now: number): number {
    this.#decay(now);
    const age = Math.max(now - this.#born, 50);
    return Math.max(this.#quick / Math.min(1000, age), this.#slow / Math.min(10_000, age));
  }

  peakPerMs(now: number): number {
    const steady = this.perMs(now);
    return Math.max(steady, this.#peak / Math.min(this.#peakMs, Math.max(now - this.#born, 50)));
  }

  #decay(now: number): void {
    const passed = now - this.#at;
    if (passed <= 0) return;
    this.#peak *= Math.exp(-passed / this.#peakMs);
    this.#quick *= Math.exp(-passed / 1000);
    this.#slow *= Math.exp(-passed / 10_000);
    this.#at = now;
  }
}

const far = -1;

/** Items by the step of absolute time (a sixteenth of the objective) in which they are due. */
export class ReferenceDemand {
  readonly #width: number;
  readonly #items = new Map<number, number>();

  constructor(sloMs: number) {
    this.#width = Math.max(sloMs / 16, 0.25);
  }

  /** Returns the step, to be given back on leaving. What is due beyond 62 steps is not counted. */
  add(now: number, soft: number, items: number): number {
    if ((soft - now) / this.#width >= 62) return far;
    const step = Math.floor(Math.max(soft, now) / this.#width);
    this.#items.set(step, (this.#items.get(step) ?? 0) + items);
    return step;
  }

  remove(step: number, items: number): void {
    if (step !== far) this.#items.set(step, (this.#items.get(step) as number) - items);
  }

  /** The least rate, in items per ms, at which all would be in time. A step is due at its end. */
  perMs(now: number): number {
    let due = 0;
    let rate = 0;
    for (const [step, items] of [...this.#items].sort(([a], [b]) => a - b)) {
      if (items === 0) continue;
      due += items;
      rate = Math.max(rate, due / Math.max((step + 1) * this.#width - now, this.#width * 0.5));
    }
    return rate;
  }
}
