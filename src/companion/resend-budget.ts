/** Resends may be a tenth of all calls, with a reserve for the first bad requests of the day. */
export class ResendBudget {
  #tokens = 100;

  called(): void {
    this.#tokens = Math.min(100, this.#tokens + 0.1);
  }

  /** Takes what a resend costs; false when that is more than there was. The resend happens all the same. */
  spend(calls: number): boolean {
    this.#tokens -= calls;
    const enough = this.#tokens >= 0;
    this.#tokens = Math.max(0, this.#tokens);
    return enough;
  }
}
