/** Of all calls to the model, the share that may be resends. */
export const resendShare = 0.1;
/** So many may come before there were calls that they could be a share of: the first bad requests of the day. */
export const resendReserve = 100;

/**
 * Bounds how much work a companion adds to a model that refuses: resends are at most `resendShare` of all calls, beyond a
 * reserve. A tenth, so that callers who send bad requests on purpose take little from others.
 *
 * ```
 *   reserve ≥ left = reserve + calls × share − resends          a resend is bought before it is sent
 * ```
 *
 * What cannot be left undone is owed: a size that the model refuses, a reply that cannot be split, and the last batch of a
 * lane before its requests go one by one. It happens, and is worked off before anything is bought.
 */
export class ResendBudget {
  #left = resendReserve;

  /** A call is about to be sent, be it the first or a resend. */
  called(): void {
    this.#left = Math.min(resendReserve, this.#left + resendShare);
  }

  /** Buys one resend; false, and nothing bought, where there is not enough left. */
  take(): boolean {
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }

  /** Takes a resend that happens whatever is left. */
  owe(): void {
    this.#left--;
  }
}
