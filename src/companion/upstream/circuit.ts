/** Where a circuit stands. `half-open`: one request tries whether the model is back. */
export type CircuitState = 'closed' | 'open' | 'half-open';

/** What becomes of a call: it goes, it goes and decides about the circuit, or it is not made. */
export type Entry = 'goes' | 'tries' | 'refused';

/** How a call found no model. */
export type Absence = 'unreachable' | 'reset' | 'silent';

/** When a circuit opens and closes. Times in ms. */
export interface CircuitTerms {
  /** So many calls in a row, over at least so long, find no model. */
  readonly failures: number;
  readonly failingMs: number;
  /** The pauses between tries double from the first to the last. */
  readonly firstPauseMs: number;
  readonly pauseMaxMs: number;
  /** A try that has no answer after so long stands in nobody's way any more. */
  readonly tryMs: number;
}

export const circuitTerms: CircuitTerms = {
  failures: 5,
  failingMs: 200,
  firstPauseMs: 100,
  pauseMaxMs: 5000,
  tryMs: 1000,
};

/**
 * Refuses calls to a model that is not there, instead of letting each one wait for its own timeout. Only absence counts: no
 * connection, a connection that breaks, silence until the hard timeout. Whatever the model answers, it is there.
 *
 * ```
 *   closed ──5 absences in a row, over 200 ms──► open ──pause──► half-open ──answer──► closed
 *                                                 ▲                  │
 *                                                 └─────absence──────┘  the pause doubles, 100 ms to 5 s
 * ```
 *
 * The 200 ms are for a process of several workers of which one dies: its calls fail all at once, others answer. Silence must
 * last as long as callers wait: a model that stands still for less serves those who came meanwhile. Before the
 * model has answered for the first time pauses stay short, so that it is found as soon as it is up; and whoever sees that it
 * is ready says so. Any answer closes the circuit, also that to a call from before. Pure: `now` comes from outside.
 */
export class Circuit {
  readonly #terms: CircuitTerms;
  readonly #onChange: (state: CircuitState, how?: Absence) => void;
  #state: CircuitState = 'closed';
  #failures = 0;
  /** When the first of these failures was known. */
  #failingSince = 0;
  /** Since when nobody who is among these failures was answered, nor anybody else. */
  #silentSince = 0;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #pauseMs = 0;
  /** When it may be tried again. */
  #tryAt = 0;
  #answeredEver = false;

  /** @param onChange hears of `open` once for each time that it was closed, and of `closed`. */
  constructor(onChange: (state: CircuitState, how?: Absence) => void = () => {}, terms: CircuitTerms = circuitTerms) {
    this.#onChange = onChange;
    this.#terms = terms;
  }

  get state(): CircuitState {
    return this.#state;
  }

  /** How long until a try is let through; ms. */
  pauseLeft(now: number): number {
    return this.#state === 'closed' ? 0 : Math.max(0, this.#tryAt - now);
  }

  /** Whether a call would be refused now. */
  refuses(now: number): boolean {
    return this.#state !== 'closed' && now < this.#tryAt;
  }

  /**
   * Asks for a call. Whoever is not refused says how it ended: `answered`, `absent` or `abandoned`.
   *
   * @param always let through whatever holds: health checks, which are tries by their nature
   */
  enter(now: number, always = false): Entry {
    if (this.#state === 'closed') return 'goes';
    if (now < this.#tryAt && !always) return 'refused';
    this.#state = 'half-open';
    this.#tryAt = now + this.#terms.tryMs;
    return 'tries';
  }

  /** The model answered, whatever it said. */
  answered(now: number): void {
    this.#failures = 0;
    this.#answeredAt = now;
    this.#answeredEver = true;
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#pauseMs = 0;
    this.#onChange('closed');
  }

  /**
   * A call found no model.
   *
   * @param how told to whoever hears of changes
   * @param sentAt when it was made; one that was silent was so from then on, or since the model last answered somebody else
   * @param overMs for how long calls must have been in vain: for a model that is silent as long as its callers would
   *   wait, because one that only pauses still serves them
   */
  absent(now: number, entry: Entry, how: Absence, sentAt = now, overMs = this.#terms.failingMs): void {
    const { failures, firstPauseMs, pauseMaxMs } = this.#terms;
    if (this.#state !== 'closed') {
      // Calls from before say nothing new.
      if (entry !== 'tries') return;
      const grows = this.#answeredEver ? 2 : 1;
      this.#open(now, Math.min(pauseMaxMs, this.#pauseMs * grows));
      return;
    }
    const silentSince = Math.max(sentAt, this.#answeredAt);
    if (this.#failures++ === 0) [this.#failingSince, this.#silentSince] = [now, silentSince];
    else this.#silentSince = Math.min(this.#silentSince, silentSince);
    const since = how === 'silent' ? this.#silentSince : this.#failingSince;
    if (this.#failures < failures || now - since < overMs) return;
    this.#open(now, firstPauseMs);
    this.#onChange('open', how);
  }

  /** A call ended before it could say anything: its caller left. The next one may try. */
  abandoned(now: number, entry: Entry): void {
    if (entry === 'tries' && this.#state === 'half-open') this.#tryAt = now;
  }

  /** Somebody else saw that the model is ready: it is tried with the next call. */
  modelReady(now: number): void {
    if (this.#state === 'open') this.#tryAt = Math.min(this.#tryAt, now);
  }

  #open(now: number, pauseMs: number): void {
    this.#state = 'open';
    this.#failures = 0;
    this.#pauseMs = pauseMs;
    this.#tryAt = now + pauseMs;
  }
}
