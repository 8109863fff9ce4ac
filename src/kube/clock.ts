/** Time from outside, so that tests run in a time of their own. */
export interface Clock {
  /** ms since 1970, as the machine believes: it may jump in both directions. */
  wallMs(): number;
  /** ms since some start: never goes back. Everything that measures how long something took uses this one. */
  monotonicMs(): number;
  /** Runs this once after a delay in ms. The returned function cancels. */
  after(delayMs: number, run: () => void): () => void;
}

/** The machine's own time. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Chance from outside: a number in [0, 1). */
export type Chance = () => number;

/** A pause that ends early when the signal aborts. It never throws. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      cancel();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(delayMs, end);
    signal?.addEventListener('abort', end);
  });
}

/** A delay in ms around this one: from 1 - share to 1 + share of it, so that many who wait alike do not come together. */
export function jittered(delayMs: number, share: number, chance: Chance): number {
  return delayMs * (1 - share + 2 * share * chance());
}
