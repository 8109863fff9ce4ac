const secondsKept = 60;

/** Items that arrived in each second of the last minute. Nothing runs between arrivals. */
export class Arrivals {
  /** One place more than is shown: the running second is not over. */
  readonly #counts = new Float64Array(secondsKept + 1);
  #second = 0;

  /** `now` in ms; items of one request. */
  add(now: number, items: number): void {
    this.#turnTo(now);
    const place = this.#second % this.#counts.length;
    this.#counts[place] = (this.#counts[place] as number) + items;
  }

  /** The last 60 whole seconds, the oldest first. */
  lastMinute(now: number): number[] {
    this.#turnTo(now);
    const { length } = this.#counts;
    return Array.from({ length: secondsKept }, (_, i) => this.#counts[(this.#second + 1 + i) % length] as number);
  }

  #turnTo(now: number): void {
    const second = Math.floor(now / 1000);
    const passed = Math.min(second - this.#second, this.#counts.length);
    for (let i = 1; i <= passed; i++) this.#counts[(this.#second + i) % this.#counts.length] = 0;
    // After a long silence the places that were cleared are all of them.
    if (second > this.#second) this.#second = second;
  }
}
