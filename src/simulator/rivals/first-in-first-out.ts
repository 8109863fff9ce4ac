import type { DispatchPolicy, PolicyActions } from '../policy.ts';

/** One request that waits. */
export interface Waiting {
  id: number;
  at: number;
  deadline: number;
}

/** What the rivals share: one queue in order of arrival, batches counted, callers that leave taken out. */
export abstract class FirstInFirstOut implements DispatchPolicy {
  protected readonly queue: Waiting[] = [];
  protected inFlight = 0;
  protected readonly sent = new Map<number, { at: number; taken: readonly Waiting[] }>();
  #batches = 0;

  arrive(now: number, id: number, _lane: number, softDeadline: number): void {
    this.queue.push({ id, at: now, deadline: softDeadline });
  }

  complete(now: number, batch: number, _tooLarge: boolean): void {
    const sent = this.sent.get(batch);
    this.sent.delete(batch);
    this.inFlight--;
    if (sent) this.observe(sent.taken, now - sent.at, now);
  }

  cancel(_now: number, id: number): void {
    const index = this.queue.findIndex((each) => each.id === id);
    if (index >= 0) this.queue.splice(index, 1);
  }

  abstract step(now: number, act: PolicyActions): number;

  /** The batch of those `taken` took `ms`. */
  protected observe(_taken: readonly Waiting[], _ms: number, _now: number): void {}

  /** Sends the `count` oldest. */
  protected send(now: number, act: PolicyActions, count: number): void {
    const taken = this.queue.splice(0, count);
    const batch = this.#batches++;
    this.sent.set(batch, { at: now, taken });
    this.inFlight++;
    act.dispatch(
      batch,
      0,
      taken.map((each) => each.id),
    );
  }
}

/** No need to be called again. */
export const never = Number.POSITIVE_INFINITY;
