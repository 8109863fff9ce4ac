import type { DispatchPolicy, PolicyActions } from './policy.ts';

type Delayed = { at: number } & (
  | { kind: 'dispatch'; batch: number; lane: number; ids: readonly number[] }
  | { kind: 'complete'; batch: number; tooLarge: boolean }
);

/** A policy that is `wayMs` away from its model: batches arrive later than they were sent, and so do answers. */
export class RoundTrip implements DispatchPolicy {
  readonly #inner: DispatchPolicy;
  readonly #wayMs: number;
  /** In the order of time, because every way takes equally long. */
  readonly #underWay: Delayed[] = [];

  constructor(inner: DispatchPolicy, wayMs: number) {
    this.#inner = inner;
    this.#wayMs = wayMs;
  }

  arrive(now: number, id: number, lane: number, softDeadline: number): void {
    this.#inner.arrive(now, id, lane, softDeadline);
  }

  complete(now: number, batch: number, tooLarge: boolean): void {
    this.#underWay.push({ at: now + this.#wayMs, kind: 'complete', batch, tooLarge });
  }

  cancel(now: number, id: number): void {
    this.#inner.cancel(now, id);
  }

  step(now: number, act: PolicyActions): number {
    while ((this.#underWay[0]?.at ?? Number.POSITIVE_INFINITY) <= now) {
      const each = this.#underWay.shift() as Delayed;
      if (each.kind === 'complete') this.#inner.complete(now, each.batch, each.tooLarge);
      else act.dispatch(each.batch, each.lane, each.ids);
    }
    const wake = this.#inner.step(now, {
      dispatch: (batch, lane, ids) => {
        this.#underWay.push({ at: now + this.#wayMs, kind: 'dispatch', batch, lane, ids: [...ids] });
      },
      refuse: (id) => act.refuse(id),
    });
    return Math.min(wake, this.#underWay[0]?.at ?? Number.POSITIVE_INFINITY);
  }
}
