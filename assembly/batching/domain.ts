import { Demand, DEMAND_BYTES } from './demand';
import { Latency, latencyBytes, latencyInit } from './latency';
import { allocate, BATCH_ITEMS_MAX, LANES_MAX, NONE, RETRY_BATCHES, TENANTS_MAX } from './memory';
import { Order, orderReset } from './order';
import { Parallel, parallelReset } from './parallel';
import { Rate, rateReset } from './rate';
import { makeSlots } from './slot';

/** A lane: requests that may share a batch, their latency curve and what bounds their batches. */
@unmanaged
export class Lane {
  open: u32;
  inFlight: u32;
  /** On-time requests and items that wait. */
  waiting: u32;
  items: u32;
  /** First of the flows that have work, chained by `Flow.sibling`. */
  flows: u32;
  /** Requests a batch may hold; 0 is no limit. */
  requestLimit: u32;
  /** Items that the model is known to accept, items it refused with 413 (0: none yet), and what is sent now. */
  accepted: u32;
  refused: u32;
  capacity: u32;
  cold: u32;
  /** How far beyond `capacity` the next try towards a refused size goes: doubles with every success. */
  stride: u32;
  /** Batches at the limit since the last refusal, and how many of them allow a retry. */
  sinceRefusal: u32;
  retryAfter: u32;
  unused: u32;
  lastUsed: f64;
  model: Latency;
  rate: Rate;
  parallel: Parallel;
  late: Order;
}

/** Requests of one lane, band and tenant, in the order of their soft deadlines. Exists only while one waits. */
@unmanaged
export class Flow {
  order: Order;
  lane: u32;
  band: u32;
  tenant: u32;
  /** Next flow of the lane, or next free flow. */
  sibling: u32;
}

/** A batch in flight. Its slots are chained by `Slot.next`. */
@unmanaged
export class Batch {
  sent: f64;
  expected: f64;
  /** Ms until the first of the others would end, when this one was sent on top of the limit; else 0. */
  blocked: f64;
  blockedLane: f64;
  /** Ms that it was expected to stand behind the one whose slot it takes over; else 0. */
  ahead: f64;
  /** When the first of the others ended after this one was sent, of all and of its lane; 0 before. */
  firstEnd: f64;
  firstEndLane: f64;
  lane: u32;
  items: u32;
  first: u32;
  count: u32;
  used: u32;
  cold: u32;
  full: u32;
  /** k of the domain and of the lane when it was sent. */
  level: u32;
  levelLane: u32;
  /** Whether it was sent as the last of its lane's k. */
  fullLane: u32;
  /** Whether it was sent ahead of the end of a batch of its own lane. */
  behindLane: u32;
  /** The clock jumped while it was in flight: what it took teaches nothing. */
  disturbed: u32;
  unused: u32;
}

/** One event from the host, 64 bytes. */
@unmanaged
export class Event {
  kind: u32;
  id: u32;
  at: f64;
  soft: f64;
  hard: f64;
  value: f64;
  lane: u32;
  items: u32;
  band: u32;
  tenant: u32;
  code: u32;
  unused: u32;
}

/** One verdict for the host, 32 bytes. */
@unmanaged
export class Verdict {
  kind: u32;
  id: u32;
  lane: u32;
  reason: u32;
  first: u32;
  count: u32;
  value: f64;
}

// @ts-ignore: decorator
@inline export const EVENTS_MAX: u32 = 1024;
// @ts-ignore: decorator
@inline export const VERDICTS_MAX: u32 = 2048;

/**
 * One scheduling domain: everything that contends for the same upstream. Sized by `configure`, never grows.
 *
 * ```
 *  Domain ─► slots [capacity]     requests          ─► lanes   [laneCount]  curve, rate, late order, flows
 *         ─► flows [capacity]     (lane,band,tenant) ─► batches [batchCount] in flight
 *         ─► events [1024], verdicts [2048], list [capacity]    the boundary
 *         ─► served [1025]        model ms given to each tenant
 * ```
 */
@unmanaged
export class Domain {
  now: f64;
  sloMs: f64;
  quantile: f64;
  patience: f64;
  lateTimeoutMs: f64;
  shortestSloMs: f64;
  lateness: f64;
  replyPath: f64;
  virtual: f64;
  wake: f64;
  /** Share of time with work in flight, as it was at `busyAt`: see busy.ts. */
  busyShare: f64;
  busyAt: f64;
  lastAnswer: f64;
  /** When `saturated` was reckoned. */
  loadAt: f64;
  /** No batch in flight counts as stuck before this; 0: to be reckoned. */
  stuckFrom: f64;
  slots: usize;
  flows: usize;
  lanes: usize;
  batches: usize;
  events: usize;
  verdicts: usize;
  list: usize;
  served: usize;
  demand: Demand;
  rate: Rate;
  parallel: Parallel;
  capacity: u32;
  freeSlot: u32;
  freeFlow: u32;
  laneCount: u32;
  laneHigh: u32;
  batchCount: u32;
  inFlight: u32;
  waiting: u32;
  late: u32;
  maxBatchItems: u32;
  batchItemsBound: u32;
  deferLate: u32;
  draining: u32;
  cold: u32;
  verdictCount: u32;
  /** Verdicts after which this call ends with a "more" mark. */
  room: u32;
  listCount: u32;
  clockBack: u32;
  /** Batches that taught any lane's curve. */
  observed: u32;
  saturated: u32;
}

// @ts-ignore: decorator
@inline
export function laneAt(domain: Domain, index: u32): Lane {
  return changetype<Lane>(domain.lanes + <usize>index * offsetof<Lane>());
}

// @ts-ignore: decorator
@inline
export function flowAt(domain: Domain, index: u32): Flow {
  return changetype<Flow>(domain.flows + <usize>index * offsetof<Flow>());
}

// @ts-ignore: decorator
@inline
export function batchAt(domain: Domain, index: u32): Batch {
  return changetype<Batch>(domain.batches + <usize>index * offsetof<Batch>());
}

/** Makes a domain of the given bounds; `batchItemsEver` is how far a setting may raise `batchItems`. */
export function makeDomain(
  capacity: u32,
  laneCount: u32,
  batchCount: u32,
  batchItems: u32,
  batchItemsEver: u32,
  sloMs: f64,
): Domain {
  assert(capacity >= 1 && capacity <= 1 << 20);
  assert(laneCount >= 1 && laneCount <= LANES_MAX);
  assert(batchCount >= 1 && batchCount <= 1024);
  assert(batchItems >= 1 && batchItems <= batchItemsEver && batchItemsEver <= BATCH_ITEMS_MAX);
  const domain = changetype<Domain>(allocate(offsetof<Domain>()));
  domain.capacity = capacity;
  domain.laneCount = laneCount;
  domain.batchCount = batchCount;
  domain.batchItemsBound = batchItemsEver;
  domain.slots = makeSlots(capacity);
  domain.freeSlot = 0;
  domain.list = allocate(<usize>capacity << 2);
  domain.events = allocate(<usize>EVENTS_MAX * offsetof<Event>());
  domain.verdicts = allocate(<usize>VERDICTS_MAX * offsetof<Verdict>());
  domain.served = allocate((<usize>TENANTS_MAX + 1) * 8);
  domain.batches = allocate(<usize>batchCount * offsetof<Batch>());
  domain.demand = changetype<Demand>(allocate(offsetof<Demand>()));
  domain.demand.counts = allocate(DEMAND_BYTES);
  domain.demand.width = max(sloMs / 16.0, 0.25);
  domain.rate = changetype<Rate>(allocate(offsetof<Rate>()));
  domain.parallel = changetype<Parallel>(allocate(offsetof<Parallel>()));

  domain.flows = allocate(<usize>capacity * offsetof<Flow>());
  const orders = allocate((<usize>capacity + laneCount) * offsetof<Order>());
  for (let i: u32 = 0; i < capacity; i++) {
    const flow = flowAt(domain, i);
    flow.order = changetype<Order>(orders + <usize>i * offsetof<Order>());
    flow.sibling = i + 1 < capacity ? i + 1 : NONE;
  }
  domain.freeFlow = 0;

  domain.lanes = allocate(<usize>laneCount * offsetof<Lane>());
  const curve = latencyBytes(batchItemsEver);
  for (let i: u32 = 0; i < laneCount; i++) {
    const lane = laneAt(domain, i);
    lane.late = changetype<Order>(orders + (<usize>capacity + i) * offsetof<Order>());
    orderReset(lane.late);
    lane.flows = NONE;
    lane.model = changetype<Latency>(allocate(offsetof<Latency>()));
    latencyInit(lane.model, allocate(curve), batchItems, sloMs / 8.0, 0.99);
    lane.rate = changetype<Rate>(allocate(offsetof<Rate>()));
    lane.parallel = changetype<Parallel>(allocate(offsetof<Parallel>()));
  }
  return domain;
}

/** Takes a free row for a new lane, or the one that has been idle longest (a minute at least). NONE: none to be had. */
export function openLane(domain: Domain, now: f64): u32 {
  let row = NONE;
  let oldest = now - 60000.0;
  for (let i: u32 = 0; i < domain.laneCount; i++) {
    const lane = laneAt(domain, i);
    if (!lane.open) {
      row = i;
      break;
    }
    const idle = lane.waiting == 0 && lane.late.count == 0 && lane.inFlight == 0;
    if (idle && lane.lastUsed < oldest) {
      oldest = lane.lastUsed;
      row = i;
    }
  }
  if (row != NONE) resetLane(domain, row, now);
  return row;
}

function resetLane(domain: Domain, row: u32, now: f64): void {
  const lane = laneAt(domain, row);
  lane.open = 1;
  lane.requestLimit = 0;
  lane.accepted = 0;
  lane.refused = 0;
  lane.capacity = domain.maxBatchItems;
  lane.stride = 1;
  lane.sinceRefusal = 0;
  lane.retryAfter = RETRY_BATCHES;
  lane.lastUsed = now;
  lane.cold = 1;
  rateReset(lane.rate, now, domain.sloMs);
  parallelReset(lane.parallel, domain.batchCount);
  domain.laneHigh = max(domain.laneHigh, row + 1);
}
