// Plays a history to a kernel, and to the reference beside it.
import * as assert from 'uvu/assert';
import type { Arrival, BatchingDomain, DomainSettings, VerdictSink } from '../../src/kernels/batching.ts';
import type { Outcome, Reason } from '../../src/kernels/reasons.ts';
import { allSteps, type History, type HistoryNote, lanesMax } from './domain-history.ts';
import { type Curves, ReferenceDomain } from './reference-domain.ts';
import { decide } from './reference-policy.ts';

/** Writes down what a domain says, in its words, and keeps who waits where. */
export class Transcript implements VerdictSink {
  said: string[] = [];
  readonly slotOf = new Map<number, number>();
  readonly ticketOf = new Map<number, number>();
  /** Batches in flight, the oldest first. */
  readonly batches: number[] = [];

  admitted(ticket: number, slot: number): void {
    this.slotOf.set(ticket, slot);
    this.ticketOf.set(slot, ticket);
    this.said.push(`admit ${ticket} ${slot}`);
  }

  rejected(ticket: number, reason: Reason): void {
    this.said.push(`reject ${ticket} ${reason}`);
  }

  dispatch(batch: number, lane: number, slots: Uint32Array, reason: Reason, predictedMs: number): void {
    for (const slot of slots) this.release(slot);
    this.batches.push(batch);
    this.said.push(`send ${batch} ${lane} [${slots.join(',')}] ${reason} ${predictedMs}`);
  }

  refused(slot: number, reason: Reason): void {
    this.release(slot);
    this.said.push(`refuse ${slot} ${reason}`);
  }

  deferred(slot: number): void {
    this.said.push(`defer ${slot}`);
  }

  release(slot: number): void {
    const ticket = this.ticketOf.get(slot);
    assert.ok(ticket !== undefined, `slot ${slot} holds nothing`);
    this.ticketOf.delete(slot);
    this.slotOf.delete(ticket as number);
  }
}

/** Tells a domain and the reference the same history; all that they say, and when they want to be woken, must agree. */
export function playBeside(
  kernel: BatchingDomain,
  settings: DomainSettings,
  history: History,
  start: number,
): string[] {
  const reference = new ReferenceDomain(settings, start);
  const heard = new Transcript();
  const log: string[] = [];
  for (let lane = 0; lane < lanesMax; lane++) assert.is(kernel.openLane(start), reference.openLane());
  let now = start;
  let tickets = 0;
  for (const [index, step] of allSteps(history).entries()) {
    now = Math.max(now + step.afterMs, 0);
    const before = snapshot(kernel.signals, settings.maxBatchItems);
    for (const back of step.leave) {
      const slot = heard.slotOf.get(tickets - 1 - back);
      if (slot === undefined) continue;
      heard.release(slot);
      kernel.cancel(now, slot);
      reference.cancel(slot);
    }
    const order = index % 2 === 0;
    const arrive = () => {
      for (const each of step.arrivals) {
        const arrival: Arrival = {
          ...each,
          ticket: tickets++,
          softDeadline: Math.max(now + each.soft, 0),
          hardDeadline: Math.max(now + each.hard, 0),
        };
        kernel.arrive(now, arrival);
        reference.arrive(now, arrival);
      }
    };
    if (order) arrive();
    if (step.complete !== null && heard.batches.length > 0) {
      kernel.complete(now, heard.batches.shift() as number, step.complete as Outcome);
      reference.complete(now, step.complete as Outcome);
    }
    if (!order) arrive();
    for (const note of step.notes) {
      tell(kernel, note, now);
      tellReference(reference, note);
    }
    heard.said = [];
    const wake = kernel.step(now, heard);
    reference.take(now, before);
    const expectedWake = decide(reference, kernel.signals);
    assert.equal(heard.said, reference.verdicts, `step ${index}`);
    assert.is(wake, expectedWake, `wake of step ${index}`);
    assert.is(kernel.signals.waiting(), reference.waiting.length, `waiting after step ${index}`);
    assert.is(kernel.signals.lateWaiting(), reference.waiting.filter((each) => each.state === 'late').length);
    const rate = reference.rate.perMs(reference.now) * 1000;
    assert.ok(Math.abs(kernel.signals.arrivalRate() - rate) <= 1e-9 * Math.max(rate, 1), `arrival rate, step ${index}`);
    log.push(...heard.said, `wake ${wake}`);
  }
  return log;
}

/** A copy of the curves, as they are now. */
function snapshot(curves: Curves, limit: number): Curves {
  const rows = Array.from({ length: lanesMax }, (_, lane) =>
    Array.from({ length: limit + 1 }, (_, items) => curves.expectedMs(lane, items)),
  );
  const expectedMs = (lane: number, items: number) => rows[lane]?.[Math.min(items, limit)] as number;
  return { expectedMs, quantileMs: () => Number.NaN, laneKnee: () => Number.NaN };
}

export function tell(domain: BatchingDomain, note: HistoryNote, now: number): void {
  if (note.note === 'set') domain.set(now, note.setting, note.value);
  else if (note.note === 'lateness') domain.noteLateness(now, note.ms);
  else if (note.note === 'reply path') domain.noteReplyPath(now, note.ms);
  else if (note.note === 'limit lane') domain.limitLane(now, note.lane, note.requests);
  else if (note.note === 'drain') domain.drain(now);
  else domain.upstreamChanged(now);
}

function tellReference(reference: ReferenceDomain, note: HistoryNote): void {
  if (note.note === 'set') reference.set(note.setting, note.value);
  else if (note.note === 'lateness') reference.noteLateness(note.ms);
  else if (note.note === 'reply path') reference.noteReplyPath(note.ms);
  else if (note.note === 'limit lane') reference.limitLane(note.lane, note.requests);
  else if (note.note === 'drain') reference.drain();
  else reference.upstreamChanged();
}
