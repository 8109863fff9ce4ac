import type { DemandState } from './service-problem.ts';

const secondsKept = 60;
const minutesKept = 1440;

/**
 * The recorded arrivals of one service: what its companions report, second by second, put together. A companion that was
 * not heard for a while is heard later: its seconds are filled in where they belong, as long as they are recent.
 */
export class DemandHistory {
  /** Items by second since 1970 (or whatever the clock's start is), and by minute. */
  readonly #seconds = new Map<number, number>();
  readonly #minutes = new Map<number, number>();
  /** The last second that was taken from each source. */
  readonly #taken = new Map<string, number>();
  #heardAt = Number.NEGATIVE_INFINITY;

  /**
   * What one companion saw: `arrivals` of whole seconds, oldest first, the last one ended at `endedAt` ms. Seconds that
   * were taken from this source before are passed over.
   */
  add(source: string, arrivals: readonly number[], endedAt: number): void {
    const last = Math.floor(endedAt / 1000) - 1;
    const taken = this.#taken.get(source) ?? Number.NEGATIVE_INFINITY;
    arrivals.forEach((items, i) => {
      const second = last - (arrivals.length - 1 - i);
      if (second <= taken || !(items >= 0)) return;
      this.#seconds.set(second, (this.#seconds.get(second) ?? 0) + items);
      const minute = Math.floor(second / 60);
      this.#minutes.set(minute, (this.#minutes.get(minute) ?? 0) + items);
    });
    this.#taken.set(source, Math.max(taken, last));
    this.#heardAt = Math.max(this.#heardAt, endedAt);
    this.#forget(last);
  }

  /** A companion is gone. */
  drop(source: string): void {
    this.#taken.delete(source);
  }

  /** As of `now`, up to the last second that all sources have told about. */
  state(now: number): DemandState {
    const newest = Math.max(...this.#taken.values());
    if (!Number.isFinite(newest)) return { perSecond: [], ageMs: now - this.#heardAt };
    // A source that lags by seconds holds the picture up; one that is silent does not.
    const last = Math.min(...[...this.#taken.values()].filter((second) => second > newest - 3));
    const first = Math.max(Math.min(...this.#seconds.keys()), last - secondsKept + 1);
    const minute = Math.floor(last / 60);
    const firstMinute = Math.min(...this.#minutes.keys());
    return {
      perSecond: filled(this.#seconds, first, last),
      perMinute: filled(this.#minutes, Math.max(firstMinute, minute - minutesKept), minute - 1),
      ageMs: Math.max(now - this.#heardAt, 0),
    };
  }

  #forget(second: number): void {
    for (const each of this.#seconds.keys()) if (each <= second - 2 * secondsKept) this.#seconds.delete(each);
    const minute = Math.floor(second / 60);
    for (const each of this.#minutes.keys()) if (each < minute - minutesKept) this.#minutes.delete(each);
  }
}

function filled(counts: ReadonlyMap<number, number>, first: number, last: number): number[] {
  return Array.from({ length: Math.max(last - first + 1, 0) }, (_, i) => counts.get(first + i) ?? 0);
}
