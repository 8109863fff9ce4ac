import { Reason } from '../../kernels/reasons.ts';
import type { Queued } from './queued.ts';

/** What the queue does to a request when its turn or its time has come. */
export interface PassActions<T> {
  /** Whether the model has room for one more. */
  room(): boolean;
  send(exchange: T): void;
  refuse(exchange: T, reason: Reason): void;
}

/**
 * Requests that wait while the kernel does not decide: first in, first out, one by one. Hard deadlines hold here too,
 * also while no room comes free.
 *
 * ```
 *   push ──► [ oldest … newest ] ──► send, while there is room
 *                 │        └───────► takeAll: the kernel decides again
 *                 └────────────────► refuse, at the hard deadline
 * ```
 */
export class PassQueue<T extends Queued> {
  readonly #actions: PassActions<T>;
  /** In the order of arrival; a set, so that a caller who leaves costs the same wherever it waits. */
  readonly #waiting = new Set<T>();
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires: never later than the earliest hard deadline. */
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(actions: PassActions<T>) {
    this.#actions = actions;
  }

  get size(): number {
    return this.#waiting.size;
  }

  push(exchange: T): void {
    this.#waiting.add(exchange);
    this.#wakeAt(exchange.hardDeadline);
  }

  /** The caller went away. */
  leave(exchange: T): void {
    this.#waiting.delete(exchange);
  }

  /** Sends the oldest ones as long as there is room. */
  sendAllowed(): void {
    for (const exchange of this.#waiting) {
      if (!this.#actions.room()) return;
      this.#waiting.delete(exchange);
      if (exchange.hardDeadline <= performance.now()) this.#actions.refuse(exchange, Reason.Expired);
      else this.#actions.send(exchange);
    }
  }

  /** Empties the queue; returns what waited, the oldest first. */
  takeAll(): T[] {
    const all = [...this.#waiting];
    this.#waiting.clear();
    this.stop();
    return all;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  #wakeAt(at: number): void {
    if (at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => this.#expire(), Math.ceil(Math.max(0, at - performance.now())));
  }

  #expire(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = performance.now();
    let earliest = Number.POSITIVE_INFINITY;
    for (const exchange of this.#waiting) {
      if (exchange.hardDeadline <= now) {
        this.#waiting.delete(exchange);
        this.#actions.refuse(exchange, Reason.Expired);
      } else earliest = Math.min(earliest, exchange.hardDeadline);
    }
    this.#wakeAt(earliest);
  }
}
