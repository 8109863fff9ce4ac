// Plays a history to a kernel with any settings and checks at each step what must hold whatever it has learned.
import * as assert from 'uvu/assert';
import type { Arrival, BatchingDomain, DomainSettings, VerdictSink } from '../../src/kernels/batching.ts';
import { Outcome, Reason, Setting } from '../../src/kernels/reasons.ts';
import { allSteps, type History, type HistoryStep, lanesMax } from './domain-history.ts';
import { tell } from './domain-players.ts';

interface Ticket extends Arrival {
  soft: number;
  hard: number;
  state: 'told' | 'waits' | 'late' | 'in flight' | 'ended';
  slot: number;
}

/** What one run came to: everything that was said, for comparison between builds. */
export function audit(domain: BatchingDomain, settings: DomainSettings, history: History, start: number): string[] {
  const auditor = new Auditor(domain, settings, start);
  for (const step of allSteps(history)) auditor.play(step);
  auditor.finish();
  return auditor.log;
}

class Auditor implements VerdictSink {
  readonly log: string[] = [];
  readonly #domain: BatchingDomain;
  readonly #settings: DomainSettings;
  readonly #tickets: Ticket[] = [];
  readonly #bySlot = new Map<number, Ticket>();
  readonly #batches: { id: number; tickets: Ticket[] }[] = [];
  readonly #requestLimit: number[] = [];
  /** The latest time that the kernel has seen, which is what it goes by. */
  #seen: number;
  #now: number;

  constructor(domain: BatchingDomain, settings: DomainSettings, start: number) {
    this.#domain = domain;
    this.#settings = { ...settings };
    this.#seen = start;
    this.#now = start;
    for (let lane = 0; lane < lanesMax; lane++) domain.openLane(start);
  }

  play(step: HistoryStep): void {
    this.#now = Math.max(this.#now + step.afterMs, 0);
    for (const note of step.notes) {
      if (note.note === 'set') {
        // Shed work becomes late without a word; the auditor wants to hear of it.
        if (note.setting === Setting.DeferLate) continue;
        if (note.setting === Setting.MaxBatchItems) this.#settings.maxBatchItems = note.value;
        if (note.setting === Setting.SloMs) this.#settings.sloMs = note.value;
        if (note.setting === Setting.LateTimeoutMs) this.#settings.lateTimeoutMs = note.value;
      } else if (note.note === 'limit lane') this.#requestLimit[note.lane] = note.requests;
      tell(this.#domain, note, this.#now);
    }
    for (const back of step.leave) this.#leave(this.#tickets.length - 1 - back);
    if (step.complete !== null) this.#complete(step.complete);
    for (const each of step.arrivals) this.#arrive(each);
    this.#step();
  }

  /** Everything that was accepted comes to an end: batches are answered, deadlines pass. */
  finish(): void {
    for (let i = 0; i < 400 && (this.#batches.length > 0 || this.#bySlot.size > 0); i++) {
      this.#now = Math.max(this.#now, this.#seen) + 20;
      this.#complete(Outcome.Answered);
      this.#step();
    }
    const open = this.#tickets.filter((each) => each.state !== 'ended');
    assert.equal(open, [], 'every request came to an end');
  }

  #arrive(each: HistoryStep['arrivals'][number]): void {
    const { soft, hard, ...rest } = each;
    const now = Math.max(this.#now, this.#seen);
    // As a host does it: hints are seen from the arrival, and the settings of that moment count where there are none.
    const softDeadline = Math.max(this.#now + soft, 0);
    const hardDeadline = Math.max(this.#now + hard, 0);
    const at = Math.min(Math.max(this.#now, now - 60_000), now);
    const asked = softDeadline < Infinity ? softDeadline : at + this.#settings.sloMs;
    const last = hardDeadline < Infinity ? hardDeadline : Math.max(at + this.#settings.lateTimeoutMs, asked);
    const arrival: Arrival = { ...rest, ticket: this.#tickets.length, softDeadline, hardDeadline };
    this.#tickets.push({ ...arrival, soft: Math.min(asked, last), hard: last, state: 'told', slot: -1 });
    this.#domain.arrive(this.#now, arrival);
  }

  #leave(index: number): void {
    const ticket = this.#tickets[index];
    if (ticket?.state !== 'waits' && ticket?.state !== 'late') return;
    this.#domain.cancel(this.#now, ticket.slot);
    this.#end(ticket);
  }

  #complete(outcome: Outcome): void {
    const batch = this.#batches.shift();
    if (!batch) return;
    this.#domain.complete(this.#now, batch.id, outcome);
    for (const ticket of batch.tickets) ticket.state = 'ended';
  }

  #step(): void {
    this.#seen = Math.max(this.#seen, this.#now);
    let wake = this.#domain.step(this.#now, this);
    for (let calls = 0; wake <= this.#seen && calls < 100; calls++) wake = this.#domain.step(this.#now, this);
    this.log.push(`wake ${wake}`);
    assert.ok(wake > this.#seen && wake <= this.#seen + 60_000, `asks to be woken in ${wake - this.#seen} ms`);
    const { signals } = this.#domain;
    const waiting = [...this.#bySlot.values()];
    const late = waiting.filter((each) => each.state === 'late');
    assert.is(signals.waiting(), waiting.length);
    assert.is(signals.lateWaiting(), late.length);
    assert.is(signals.inFlight(), this.#batches.length);
    assert.ok(this.#batches.length <= this.#settings.maxInFlight);
    assert.ok(late.length <= Math.max(this.#settings.maxWaiting >> 2, 1), `${late.length} late`);
    for (const ticket of waiting) {
      assert.ok(ticket.hard > this.#seen, `${ticket.ticket} waits beyond its hard deadline`);
      assert.ok(ticket.state === 'late' || ticket.soft > this.#seen, `${ticket.ticket} is late and not called so`);
      const due = ticket.state === 'late' ? ticket.hard : ticket.soft + 0.5;
      assert.ok(wake <= due + 1e-6, `sleeps through the deadline of ${ticket.ticket} by ${wake - due} ms`);
    }
    if (waiting.length > late.length && this.#batches.length === 0) assert.ok(wake < this.#seen + 60_000, 'stalls');
  }

  admitted(ticket: number, slot: number): void {
    const known = this.#tickets[ticket] as Ticket;
    assert.is(known.state, 'told');
    assert.is.not(this.#bySlot.has(slot), true, 'a slot is given once');
    known.state = 'waits';
    known.slot = slot;
    this.#bySlot.set(slot, known);
    this.#say(`admit ${ticket} ${slot}`);
  }

  rejected(ticket: number, reason: Reason): void {
    const known = this.#tickets[ticket] as Ticket;
    assert.is(known.state, 'told');
    if (reason === Reason.QueueFull) assert.is(this.#held(), this.#settings.maxWaiting);
    else if (reason === Reason.Expired) assert.ok(known.hard <= this.#seen);
    else assert.is(reason, Reason.Unmeetable);
    known.state = 'ended';
    this.#say(`reject ${ticket} ${reason}`);
  }

  dispatch(id: number, lane: number, slots: Uint32Array, reason: Reason, predictedMs: number): void {
    const tickets = [...slots].map((slot) => this.#bySlot.get(slot) as Ticket);
    assert.ok(tickets.length > 0 && tickets.every(Boolean));
    assert.ok(predictedMs > 0 && predictedMs < 1e9, `predicts ${predictedMs} ms`);
    const limit = this.#requestLimit[lane] ?? 0;
    assert.ok(limit === 0 || tickets.length <= limit, 'a limited lane holds to its limit');
    const items = tickets.reduce((sum, each) => sum + each.items, 0);
    assert.ok(tickets.length === 1 || items <= this.#settings.maxBatchItems, `${items} items in one batch`);
    for (const ticket of tickets) {
      assert.is(ticket.lane, lane, 'one lane a batch');
      assert.ok(ticket.hard > this.#seen, `${ticket.ticket} had expired`);
      assert.ok(ticket.state === 'late' || ticket.soft > this.#seen, `${ticket.ticket} goes as if it were on time`);
    }
    this.#inOrder(tickets);
    for (const ticket of tickets) {
      this.#bySlot.delete(ticket.slot);
      ticket.state = 'in flight';
    }
    this.#batches.push({ id, tickets });
    assert.is(new Set(this.#batches.map((each) => each.id)).size, this.#batches.length, 'a batch id is in use once');
    this.#say(`send ${id} ${lane} [${slots.join(',')}] ${reason} ${predictedMs}`);
  }

  refused(slot: number, reason: Reason): void {
    const ticket = this.#bySlot.get(slot) as Ticket;
    if (reason === Reason.Expired) assert.ok(ticket.hard <= this.#seen, 'refused before its hard deadline');
    assert.is(ticket.state, 'late', 'what can be on time is never given up');
    this.#end(ticket);
    this.#say(`refuse ${slot} ${reason}`);
  }

  deferred(slot: number): void {
    const ticket = this.#bySlot.get(slot) as Ticket;
    assert.is(ticket.state, 'waits');
    ticket.state = 'late';
    this.#say(`defer ${slot}`);
  }

  /** Requests of one flow never overtake those with earlier deadlines, but for probes, which start further back. */
  #inOrder(tickets: readonly Ticket[]): void {
    for (const [i, one] of tickets.entries()) {
      const next = tickets.slice(i + 1).find((each) => sameFlow(each, one) && each.state === one.state);
      if (one.state === 'waits' && next) assert.ok(one.soft <= next.soft, 'a batch is in the order of deadlines');
      if (one.state === 'late' && next) assert.ok(one.hard <= next.hard, 'late work is in the order of deadlines');
    }
    if (this.#batches.length > 0) return;
    for (const one of tickets.filter((each) => each.state === 'waits')) {
      const overtaken = [...this.#bySlot.values()].find(
        (each) => each.state === 'waits' && sameFlow(each, one) && each.soft < one.soft && !tickets.includes(each),
      );
      assert.is(overtaken, undefined, `${one.ticket} overtakes`);
    }
  }

  #held(): number {
    return this.#bySlot.size + this.#batches.reduce((sum, each) => sum + each.tickets.length, 0);
  }

  #end(ticket: Ticket): void {
    this.#bySlot.delete(ticket.slot);
    ticket.state = 'ended';
  }

  #say(line: string): void {
    this.log.push(line);
  }
}

function sameFlow(one: Ticket, other: Ticket): boolean {
  const tenant = (each: Ticket) => (each.tenant < 1024 ? each.tenant : 0);
  return one.lane === other.lane && Math.min(one.band, 7) === Math.min(other.band, 7) && tenant(one) === tenant(other);
}
