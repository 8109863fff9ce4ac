import type { Clock } from '../../src/kube/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** A clock that stands still until it is told to go on. The same program and the same seed run the same way. */
export class VirtualClock implements Clock {
  #monotonicMs = 1_000_000;
  #skewMs = Date.UTC(2026, 0, 1);
  #order = 0;
  readonly #timers = new Set<Timer>();

  wallMs(): number {
    return Math.floor(this.#monotonicMs + this.#skewMs);
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#monotonicMs + Math.max(0, delayMs), order: this.#order++, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Sets the wall clock forward or back. What measures durations does not see it. */
  jumpWall(byMs: number): void {
    this.#skewMs += byMs;
  }

  /** Lets this much time pass, timer by timer. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonicMs + ms;
    await settle();
    for (;;) {
      let next: Timer | undefined;
      for (const timer of this.#timers) {
        if (timer.atMs > end) continue;
        if (!next || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order)) next = timer;
      }
      if (!next) break;
      this.#timers.delete(next);
      this.#monotonicMs = Math.max(this.#monotonicMs, next.atMs);
      next.run();
      await settle();
    }
    this.#monotonicMs = end;
    await settle();
  }
}

/** Everything that needs no time has happened: promises are resolved before the next turn of the event loop. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
