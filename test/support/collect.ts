import type { VerdictSink } from '../../src/kernels/batching.ts';
import type { Reason } from '../../src/kernels/reasons.ts';

/** A sink that keeps what a domain says, by ticket. */
export class Collector implements VerdictSink {
  readonly slotOf = new Map<number, number>();
  readonly ticketOf = new Map<number, number>();
  readonly ended = new Map<number, string>();
  readonly batches: { batch: number; lane: number; tickets: number[]; reason: Reason; predictedMs: number }[] = [];
  readonly deferredTickets: number[] = [];
  readonly log: string[] = [];

  admitted(ticket: number, slot: number): void {
    if (this.ticketOf.has(slot)) throw new Error(`slot ${slot} was given twice`);
    this.slotOf.set(ticket, slot);
    this.ticketOf.set(slot, ticket);
    this.log.push(`admitted ${ticket} ${slot}`);
  }

  rejected(ticket: number, reason: Reason): void {
    this.#end(ticket, `rejected ${reason}`);
  }

  dispatch(batch: number, lane: number, slots: Uint32Array, reason: Reason, predictedMs: number): void {
    const tickets = [...slots].map((slot) => this.#release(slot));
    for (const ticket of tickets) this.#end(ticket, `sent ${batch}`);
    this.batches.push({ batch, lane, tickets, reason, predictedMs });
    this.log.push(`dispatch ${batch} ${lane} ${tickets.join(',')} ${reason} ${predictedMs.toFixed(6)}`);
  }

  refused(slot: number, reason: Reason): void {
    this.#end(this.#release(slot), `refused ${reason}`);
  }

  deferred(slot: number): void {
    this.deferredTickets.push(this.ticketOf.get(slot) as number);
  }

  /** The caller of a ticket leaves: its slot, or undefined when it does not wait. */
  leave(ticket: number): number | undefined {
    const slot = this.slotOf.get(ticket);
    if (slot === undefined) return undefined;
    this.#release(slot);
    this.#end(ticket, 'left');
    return slot;
  }

  #release(slot: number): number {
    const ticket = this.ticketOf.get(slot);
    if (ticket === undefined) throw new Error(`slot ${slot} holds no request`);
    this.ticketOf.delete(slot);
    this.slotOf.delete(ticket);
    return ticket;
  }

  #end(ticket: number, how: string): void {
    if (this.ended.has(ticket)) throw new Error(`ticket ${ticket} ended twice: ${this.ended.get(ticket)}, then ${how}`);
    this.ended.set(ticket, how);
    this.log.push(`end ${ticket} ${how}`);
  }
}
