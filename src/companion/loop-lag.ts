/** How late the event loop is: a timer that runs only while there is work, so that an idle companion sleeps. */
export class LoopLag {
  readonly #everyMs = 20;
  #timer: NodeJS.Timeout | undefined;
  #expected = 0;
  #lastWork = 0;
  #peakMs = 0;
  #peakAt = 0;

  /** Peak lateness in ms, halved with every five seconds that pass. */
  get peakMs(): number {
    return this.#peakMs * 0.5 ** ((performance.now() - this.#peakAt) / 5000);
  }

  /** There is work: watch for a second. */
  noteWork(now: number): void {
    this.#lastWork = now;
    if (this.#timer === undefined) this.#arm(now);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(now: number): void {
    this.#expected = now + this.#everyMs;
    this.#timer = setTimeout(() => this.#tick(), this.#everyMs);
    this.#timer.unref();
  }

  #tick(): void {
    const now = performance.now();
    const late = Math.max(0, now - this.#expected - 1);
    if (late > this.peakMs) {
      this.#peakMs = late;
      this.#peakAt = now;
    }
    if (now - this.#lastWork < 1000) this.#arm(now);
    else this.#timer = undefined;
  }
}
