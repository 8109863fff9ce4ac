/**
 * Why requests of a lane share no call. `unsplittable`: a reply to several could not be split. `refused`: so many batches
 * were refused for their content that the budget of resends is spent. `fails-together`: several together fail that succeed
 * one by one.
 */
export const quarantineReasons = ['unsplittable', 'refused', 'fails-together'] as const;
export type QuarantineReason = (typeof quarantineReasons)[number];

/** How it stands: over, in force, or being tried again. */
export type QuarantineState = 'over' | 'held' | 'trying';

const firstPauseMs = 10_000;
const pauseMaxMs = 600_000;
/** So many calls of a few requests must go well before many share one again. */
const triesWanted = 3;
/** Requests that share a call which tries whether that goes well again: when it does not, little has to be sent again. */
const trySharers = 2;
/** Failures of batches in a row that single requests did not share, until they count as failing together. */
const failuresTogether = 3;

/**
 * Serves requests one by one that do not go well together, and tries again after pauses that grow from ten seconds to ten
 * minutes. Pure: `now` comes from outside, and nothing happens between calls.
 *
 * ```
 *   over ──begin──► held ──pause──► trying ──3 good calls──► over
 *                    ▲                 │
 *                    └──── begin: the pause doubles
 * ```
 */
export class Quarantine {
  #why: QuarantineReason = 'unsplittable';
  #state: QuarantineState = 'over';
  #until = 0;
  #pauseMs = 0;
  #good = 0;
  #overSince = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #alone = false;

  get why(): QuarantineReason {
    return this.#why;
  }

  state(now: number): QuarantineState {
    return this.#state === 'held' && now >= this.#until ? 'trying' : this.#state;
  }

  /** How long until it is tried again; ms. */
  pauseLeft(now: number): number {
    return this.#state === 'held' ? Math.max(0, this.#until - now) : 0;
  }

  /** How many requests may share a call now. */
  sharers(now: number): number {
    const state = this.state(now);
    return state === 'over' ? Number.POSITIVE_INFINITY : state === 'held' ? 1 : trySharers;
  }

  /** Requests share no call from now on. Returns whether this is news: calls that were under way may fail as well. */
  begin(why: QuarantineReason, now: number): boolean {
    const state = this.state(now);
    if (state === 'held') return false;
    const again = state === 'trying' || now - this.#overSince < pauseMaxMs;
    this.#pauseMs = again ? Math.min(pauseMaxMs, Math.max(firstPauseMs, this.#pauseMs * 2)) : firstPauseMs;
    this.#why = why;
    this.#state = 'held';
    this.#until = now + this.#pauseMs;
    this.#good = 0;
    this.#failures = 0;
    return true;
  }

  /** A call of several requests went well. Returns whether this ended the quarantine. */
  wentWell(now: number): boolean {
    this.#failures = 0;
    if (this.state(now) !== 'trying') return false;
    this.#state = 'trying';
    if (++this.#good < triesWanted) return false;
    this.#state = 'over';
    this.#overSince = now;
    return true;
  }

  /** A call of one request went well. */
  wentWellAlone(): void {
    this.#alone = true;
  }

  /**
   * A call of several requests failed as a whole, and none of them was found guilty. Returns whether this ended their
   * sharing: the third time in a row, where one succeeded alone meanwhile.
   *
   * @param apart each of them then succeeded alone
   */
  failedTogether(now: number, apart: boolean): boolean {
    if (this.#failures++ === 0) this.#alone = false;
    if (apart) this.#alone = true;
    const trying = this.state(now) === 'trying' && apart;
    return (trying || (this.#failures >= failuresTogether && this.#alone)) && this.begin('fails-together', now);
  }
}
