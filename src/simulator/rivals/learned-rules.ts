import type { PolicyActions } from '../policy.ts';
import { FirstInFirstOut, never, type Waiting } from './first-in-first-out.ts';

/**
 * The sliding-window rule of Nexus: given the model's true L(n), drop heads whose deadline is before now + L(b) for the
 * batch b that would be sent, and send b. It knows the curve; it is the bar for goodput.
 */
export class SlidingWindow extends FirstInFirstOut {
  readonly #maxItems: number;
  readonly #meanMs: (items: number) => number;

  constructor(maxItems: number, meanMs: (items: number) => number) {
    super();
    this.#maxItems = maxItems;
    this.#meanMs = meanMs;
  }

  step(now: number, act: PolicyActions): number {
    if (this.inFlight > 0) return never;
    while (this.queue.length > 0) {
      const count = Math.min(this.queue.length, this.#maxItems);
      const head = this.queue[0] as (typeof this.queue)[number];
      if (head.deadline >= now + this.#meanMs(count)) {
        this.send(now, act, count);
        break;
      }
      this.queue.shift();
      act.refuse(head.id);
    }
    return never;
  }
}

/**
 * BentoML's rule: a line a n + b fitted to the last 50 batches at most every 5 s; heads that would be late behind all
 * that waits are dropped; waits while n (age of the last + 1 ms + a) <= 0.95 x mean wait. One batch in flight.
 */
export class BentoMl extends FirstInFirstOut {
  readonly #maxItems: number;
  readonly #sloMs: number;
  readonly #samples: { items: number; ms: number }[] = [];
  #slope: number;
  #base: number;
  #wait = 10;
  #fittedAt = 0;

  constructor(maxItems: number, sloMs: number) {
    super();
    this.#maxItems = maxItems;
    this.#sloMs = sloMs;
    this.#slope = Math.min(2, (2 * sloMs) / 30_000) * 1000;
    this.#base = Math.min(1, sloMs / 30_000) * 1000;
  }

  protected override observe(taken: readonly Waiting[], ms: number, now: number): void {
    this.#samples.push({ items: taken.length, ms });
    if (this.#samples.length > 50) this.#samples.shift();
    if (now - this.#fittedAt < 5000 && this.#fittedAt > 0) return;
    this.#fittedAt = now;
    const n = this.#samples.length;
    const meanX = this.#samples.reduce((sum, each) => sum + each.items, 0) / n;
    const meanY = this.#samples.reduce((sum, each) => sum + each.ms, 0) / n;
    const xx = this.#samples.reduce((sum, each) => sum + (each.items - meanX) ** 2, 0);
    const xy = this.#samples.reduce((sum, each) => sum + (each.items - meanX) * (each.ms - meanY), 0);
    this.#slope = Math.max(xx > 0 ? xy / xx : meanY / meanX / 2, 0.001);
    this.#base = Math.max(meanY - this.#slope * meanX, 0);
  }

  step(now: number, act: PolicyActions): number {
    if (this.inFlight > 0) return never;
    while (this.queue.length > 0) {
      const count = this.queue.length;
      const head = this.queue[0] as (typeof this.queue)[number];
      const last = this.queue[count - 1] as (typeof this.queue)[number];
      if (count > 1 && now - head.at + this.#slope * count + this.#base >= this.#sloMs) {
        this.queue.shift();
        act.refuse(head.id);
        continue;
      }
      if (count < this.#maxItems && count * (now - last.at + 1 + this.#slope) <= 0.95 * this.#wait) return now + 1;
      this.#wait += 0.1 * (now - head.at - this.#wait);
      this.send(now, act, this.#maxItems);
      break;
    }
    return never;
  }
}
