import { Reason, VerdictKind } from './codes';
import { demandAdd, demandBucket } from './demand';
import { Domain, Flow, flowAt, Lane, laneAt } from './domain';
import { NONE } from './memory';
import { orderInsert, orderRemove, orderReset } from './order';
import { Slot, slotAt, SlotState } from './slot';
import { say } from './verdict';

// Where waiting requests stand: in the flow of their lane, band and tenant while they can be on time, in their lane's
// late order after that. Every way in and out goes through here, so that the counters cannot drift.

/** The flow of (lane, band, tenant), made when it does not exist. */
function flowFor(domain: Domain, lane: Lane, laneIndex: u32, band: u32, tenant: u32): u32 {
  for (let i = lane.flows; i != NONE; i = flowAt(domain, i).sibling) {
    const flow = flowAt(domain, i);
    if (flow.band == band && flow.tenant == tenant) return i;
  }
  const index = domain.freeFlow;
  const flow = flowAt(domain, index);
  domain.freeFlow = flow.sibling;
  orderReset(flow.order);
  flow.lane = laneIndex;
  flow.band = band;
  flow.tenant = tenant;
  flow.sibling = lane.flows;
  lane.flows = index;
  // A tenant that comes back has no claim on the time it did not use.
  const at = domain.served + (<usize>tenant << 3);
  store<f64>(at, max(load<f64>(at), domain.virtual));
  return index;
}

function dropFlow(domain: Domain, lane: Lane, index: u32): void {
  const flow = flowAt(domain, index);
  if (lane.flows == index) lane.flows = flow.sibling;
  else {
    let before = flowAt(domain, lane.flows);
    while (before.sibling != index) before = flowAt(domain, before.sibling);
    before.sibling = flow.sibling;
  }
  flow.sibling = domain.freeFlow;
  domain.freeFlow = index;
}

/** Puts an accepted request among those that can be on time. */
export function enqueue(domain: Domain, index: u32, now: f64): void {
  const slot = slotAt(domain.slots, index);
  const lane = laneAt(domain, slot.lane);
  const flow = flowFor(domain, lane, slot.lane, slot.band, slot.tenant);
  slot.flow = flow;
  slot.state = <u8>SlotState.OnTime;
  slot.key = slot.soft;
  slot.bucket = <u8>demandBucket(domain.demand, now, slot.soft);
  demandAdd(domain.demand, slot.bucket, slot.items);
  orderInsert(domain.slots, flowAt(domain, flow).order, index);
  lane.waiting++;
  lane.items += slot.items;
  domain.waiting++;
}

/** Takes an on-time request out of its flow. */
export function dequeue(domain: Domain, index: u32): void {
  const slot = slotAt(domain.slots, index);
  const lane = laneAt(domain, slot.lane);
  const flow = flowAt(domain, slot.flow);
  orderRemove(domain.slots, flow.order, index);
  demandAdd(domain.demand, slot.bucket, -(<i32>slot.items));
  lane.waiting--;
  lane.items -= slot.items;
  domain.waiting--;
  if (flow.order.count == 0) dropFlow(domain, lane, slot.flow);
}

/** An on-time request can no longer be on time: it joins its lane's late order. */
export function becomeLate(domain: Domain, index: u32): void {
  dequeue(domain, index);
  const slot = slotAt(domain.slots, index);
  slot.state = <u8>SlotState.Late;
  slot.key = slot.hard;
  orderInsert(domain.slots, laneAt(domain, slot.lane).late, index);
  domain.late++;
  if (domain.deferLate) say(domain, VerdictKind.Deferred, index, Reason.NoSpareRoom);
}

export function dequeueLate(domain: Domain, index: u32): void {
  const slot = slotAt(domain.slots, index);
  orderRemove(domain.slots, laneAt(domain, slot.lane).late, index);
  domain.late--;
}

/** Ends a waiting request unserved and gives its slot back. */
export function refuse(domain: Domain, index: u32, reason: Reason): void {
  if (slotAt(domain.slots, index).state == SlotState.Late) dequeueLate(domain, index);
  else dequeue(domain, index);
  freeSlot(domain, index);
  say(domain, VerdictKind.Refused, index, reason);
}

export function freeSlot(domain: Domain, index: u32): void {
  const slot = slotAt(domain.slots, index);
  slot.state = <u8>SlotState.Free;
  slot.next = domain.freeSlot;
  domain.freeSlot = index;
}

/** The flow to serve next in a lane: lowest band, then the tenant that got least, then the earliest deadline. */
export function nextFlow(domain: Domain, lane: Lane): u32 {
  let best = lane.flows;
  if (best == NONE) return NONE;
  let chosen = flowAt(domain, best);
  for (let i = chosen.sibling; i != NONE; i = flowAt(domain, i).sibling) {
    const flow = flowAt(domain, i);
    if (precedes(domain, flow, chosen)) {
      best = i;
      chosen = flow;
    }
  }
  return best;
}

function precedes(domain: Domain, a: Flow, b: Flow): bool {
  if (a.band != b.band) return a.band < b.band;
  const servedA = load<f64>(domain.served + (<usize>a.tenant << 3));
  const servedB = load<f64>(domain.served + (<usize>b.tenant << 3));
  if (servedA != servedB) return servedA < servedB;
  return slotAt(domain.slots, a.order.head).soft < slotAt(domain.slots, b.order.head).soft;
}

/** The late request whose hard deadline comes first, over all lanes. */
export function oldestLate(domain: Domain): u32 {
  let best = NONE;
  let bestKey = Infinity;
  for (let i: u32 = 0; i < domain.laneHigh; i++) {
    const late = laneAt(domain, i).late;
    if (late.count > 0 && slotAt(domain.slots, late.head).key < bestKey) {
      best = late.head;
      bestKey = slotAt(domain.slots, best).key;
    }
  }
  return best;
}
