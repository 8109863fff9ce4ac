import type { PolicyActions } from '../policy.ts';
import { FirstInFirstOut, never } from './first-in-first-out.ts';

/** No batching: each request goes by itself, at once. The model's own queue is the only one. */
export class OneByOne extends FirstInFirstOut {
  step(now: number, act: PolicyActions): number {
    while (this.queue.length > 0) this.send(now, act, 1);
    return never;
  }
}

/** Sends all that waits as soon as the model is free (Triton, TensorFlow Serving and MLServer at a delay of 0). */
export class WorkConserving extends FirstInFirstOut {
  readonly #maxItems: number;

  constructor(maxItems: number) {
    super();
    this.#maxItems = maxItems;
  }

  step(now: number, act: PolicyActions): number {
    if (this.inFlight === 0 && this.queue.length > 0) this.send(now, act, this.#maxItems);
    return never;
  }
}

/**
 * KServe's batcher: fires at `maxItems` or `maxWaitMs` after the first request of the batch was taken in, one batch in
 * flight, and takes nothing in meanwhile, so that the wait begins anew when the model is free.
 */
export class KServeBatcher extends FirstInFirstOut {
  readonly #maxItems: number;
  readonly #maxWaitMs: number;
  #since = never;

  constructor(maxItems: number, maxWaitMs: number) {
    super();
    this.#maxItems = maxItems;
    this.#maxWaitMs = maxWaitMs;
  }

  step(now: number, act: PolicyActions): number {
    if (this.inFlight > 0 || this.queue.length === 0) return never;
    if (this.#since === never) this.#since = now;
    if (this.queue.length < this.#maxItems && now < this.#since + this.#maxWaitMs) return this.#since + this.#maxWaitMs;
    this.#since = never;
    this.send(now, act, this.#maxItems);
    return never;
  }
}

/** A fixed timer from the oldest request's arrival, with one batch in flight unless it says otherwise. */
export class FixedTimer extends FirstInFirstOut {
  readonly #maxItems: number;
  readonly #maxWaitMs: number;
  readonly #maxInFlight: number;

  constructor(maxItems: number, maxWaitMs: number, maxInFlight = 1) {
    super();
    this.#maxItems = maxItems;
    this.#maxWaitMs = maxWaitMs;
    this.#maxInFlight = maxInFlight;
  }

  step(now: number, act: PolicyActions): number {
    for (let oldest = this.queue[0]; oldest && this.inFlight < this.#maxInFlight; oldest = this.queue[0]) {
      if (this.queue.length < this.#maxItems && now < oldest.at + this.#maxWaitMs) return oldest.at + this.#maxWaitMs;
      this.send(now, act, this.#maxItems);
    }
    return never;
  }
}
