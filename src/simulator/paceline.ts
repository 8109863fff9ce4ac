import type { BatchingDomain, DomainSettings, VerdictSink } from '../kernels/batching.ts';
import { createBatchingDomain } from '../kernels/batching-domain.ts';
import type { KernelSource } from '../kernels/load.ts';
import { Outcome, type Reason } from '../kernels/reasons.ts';
import type { DispatchPolicy, PolicyActions } from './policy.ts';

/** What a user gives: an SLO and nothing else. */
export function defaultSettings(sloMs: number): DomainSettings {
  return {
    sloMs,
    sloQuantile: 0.99,
    patience: -1,
    maxBatchItems: 64,
    deferLate: true,
    lateTimeoutMs: 5 * sloMs,
    maxWaiting: 2000,
    maxLanes: 8,
    maxInFlight: 16,
  };
}

/** The shipped kernel as a policy of the simulator. */
export class PacelinePolicy implements DispatchPolicy, VerdictSink {
  readonly domain: BatchingDomain;
  readonly reasons = new Map<Reason, number>();
  /** Batches that were answered. */
  answeredBatches = 0;
  readonly #lanes: number[] = [];
  readonly #requestOf: Int32Array;
  readonly #slotOf = new Map<number, number>();
  #act: PolicyActions | undefined;

  constructor(settings: DomainSettings, start: number, from?: KernelSource) {
    this.domain = createBatchingDomain(settings, start, from);
    this.#requestOf = new Int32Array(settings.maxWaiting);
  }

  arrive(now: number, id: number, lane: number, softDeadline: number): void {
    let row = this.#lanes[lane];
    if (row === undefined) {
      row = this.domain.openLane(now);
      this.#lanes[lane] = row;
    }
    const hardDeadline = Number.POSITIVE_INFINITY;
    this.domain.arrive(now, { ticket: id, lane: row, items: 1, softDeadline, hardDeadline, band: 4, tenant: 0 });
  }

  complete(now: number, batch: number, tooLarge: boolean): void {
    if (!tooLarge) this.answeredBatches++;
    this.domain.complete(now, batch, tooLarge ? Outcome.TooLarge : Outcome.Answered);
  }

  cancel(now: number, id: number): void {
    const slot = this.#slotOf.get(id);
    if (slot === undefined) return;
    this.#slotOf.delete(id);
    this.domain.cancel(now, slot);
  }

  step(now: number, act: PolicyActions): number {
    this.#act = act;
    return this.domain.step(now, this);
  }

  admitted(ticket: number, slot: number): void {
    this.#requestOf[slot] = ticket;
    this.#slotOf.set(ticket, slot);
  }

  rejected(ticket: number, reason: Reason): void {
    this.#count(reason);
    this.#act?.refuse(ticket);
  }

  dispatch(batch: number, lane: number, slots: Uint32Array, reason: Reason): void {
    this.#count(reason);
    const ids: number[] = [];
    for (const slot of slots) {
      const id = this.#requestOf[slot] as number;
      this.#slotOf.delete(id);
      ids.push(id);
    }
    this.#act?.dispatch(batch, this.#lanes.indexOf(lane), ids);
  }

  refused(slot: number, reason: Reason): void {
    this.#count(reason);
    const id = this.#requestOf[slot] as number;
    this.#slotOf.delete(id);
    this.#act?.refuse(id);
  }

  deferred(_slot: number): void {}

  #count(reason: Reason): void {
    this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1);
  }
}
