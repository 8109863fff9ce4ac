import { busyChanges } from './busy';
import { Reason, VerdictKind } from './codes';
import { Batch, batchAt, Domain, flowAt, Lane, laneAt } from './domain';
import { latencyMean, latencyQ } from './latency';
import { NONE } from './memory';
import {
  examine,
  guardMs,
  laneCapacity,
  largestWithin,
  mayRun,
  planAhead,
  planBlocked,
  planBlockedLane,
  planFirst,
  planFit,
  planFlow,
  planItems,
  planReason,
  planSlack,
  planUntil,
} from './plan';
import { parallelSent } from './parallel';
import { dequeue, dequeueLate, nextFlow, oldestLate, refuse } from './queue';
import { Slot, slotAt, SlotState } from './slot';
import { say } from './verdict';

/** Where all looks hopeless, one batch this often finds out whether it still is. */
// @ts-ignore: decorator
@inline const PROBE_MS: f64 = 1000.0;

/** What one lane would send now, kept while the others are looked at. */
@unmanaged
class Choice {
  lane: u32;
  band: u32;
  items: u32;
  /** The size that throughput needs. */
  fit: u32;
  first: u32;
  reason: u32;
  served: f64;
  slack: f64;
  blocked: f64;
  blockedLane: f64;
  ahead: f64;
}

const mostUrgent = changetype<Choice>(memory.data(offsetof<Choice>(), 8));
const mostUrgentFull = changetype<Choice>(memory.data(offsetof<Choice>(), 8));

/**
 * Sends the best batch that may go now; false when none may. Lane and batch are chosen together: band, then the
 * tenant's deficit, then least slack at the size it would run. Lowers `domain.wake` to when a waiting lane wants to be
 * looked at again.
 *
 * A lane that has fewer requests than throughput needs gives way to one that has enough, where there is time for both:
 * a trickle of short deadlines would else take the model one request at a time while the other lanes' queues grow.
 */
export function dispatchNext(domain: Domain, now: f64): bool {
  mostUrgent.lane = NONE;
  mostUrgentFull.lane = NONE;
  for (let i: u32 = 0; i < domain.laneHigh; i++) {
    const lane = laneAt(domain, i);
    if (lane.waiting == 0 || !mayRun(domain, i, now)) continue;
    if (!examine(domain, i, now)) continue;
    if (planUntil >= 0) {
      promise(domain, lane);
      domain.wake = min(domain.wake, planUntil);
      continue;
    }
    consider(domain, mostUrgent, i);
    if (planItems >= planFit) consider(domain, mostUrgentFull, i);
  }
  if (mostUrgent.lane == NONE) return false;
  const chosen = givesWay(domain) ? mostUrgentFull : mostUrgent;
  const lane = laneAt(domain, chosen.lane);
  const batch = openBatch(domain, chosen.lane, now);
  if (max(chosen.blocked, chosen.blockedLane) > 0) fillProbe(domain, batch, chosen.first, chosen.items);
  else {
    fillOnTime(domain, lane, batch, chosen.items, now);
    fillLate(domain, lane, batch, chosen.slack + latencyQ(lane.model, chosen.items), now);
  }
  const changed = batchAt(domain, batch);
  changed.blocked = chosen.blocked;
  changed.blockedLane = chosen.blockedLane;
  changed.ahead = chosen.ahead;
  sendBatch(domain, batch, domain.draining ? Reason.Drain : chosen.reason, now);
  return true;
}

/** Keeps the plan at hand in `choice` if it comes before what is there. */
function consider(domain: Domain, choice: Choice, laneIndex: u32): void {
  const flow = flowAt(domain, planFlow);
  const served = load<f64>(domain.served + (<usize>flow.tenant << 3));
  const better =
    choice.lane == NONE ||
    flow.band < choice.band ||
    (flow.band == choice.band && (served < choice.served || (served == choice.served && planSlack < choice.slack)));
  if (!better) return;
  choice.lane = laneIndex;
  choice.band = flow.band;
  choice.items = planItems;
  choice.fit = planFit;
  choice.first = planFirst;
  choice.reason = planReason;
  choice.served = served;
  choice.slack = planSlack;
  choice.blocked = planBlocked;
  choice.blockedLane = planBlockedLane;
  choice.ahead = planAhead;
}

/** Whether the most urgent choice lets the most urgent full batch go first: neither rank nor deadline may suffer. */
function givesWay(domain: Domain): bool {
  if (mostUrgentFull.lane == NONE || mostUrgent.items >= mostUrgent.fit) return false;
  if (mostUrgent.band != mostUrgentFull.band || mostUrgent.served != mostUrgentFull.served) return false;
  if (mostUrgent.blocked + mostUrgent.blockedLane + mostUrgentFull.blocked + mostUrgentFull.blockedLane > 0) return false;
  const time = latencyQ(laneAt(domain, mostUrgentFull.lane).model, mostUrgentFull.items);
  return mostUrgent.slack >= time + guardMs(domain);
}

/** The waiting heads are told to wait: they are not dropped for the lateness of the wake that ends it. */
function promise(domain: Domain, lane: Lane): void {
  const flow = nextFlow(domain, lane);
  if (flow != NONE) slotAt(domain.slots, flowAt(domain, flow).order.head).promised = 1;
}

/** Late work alone: of the lane where the oldest waits, or else of the first other one that may send some. */
export function dispatchLate(domain: Domain, now: f64): bool {
  if (domain.late == 0) return false;
  const first = slotAt(domain.slots, oldestLate(domain)).lane;
  if (sendLate(domain, first, now)) return true;
  for (let i: u32 = 0; i < domain.laneHigh; i++) {
    if (i != first && laneAt(domain, i).late.count > 0 && sendLate(domain, i, now)) return true;
  }
  return false;
}

/**
 * Sends late work of one lane: only when nothing on time waits and what arrives meanwhile can still be on time. Where
 * even an idle model cannot meet the objective, late work is all there is and runs at once.
 */
function sendLate(domain: Domain, laneIndex: u32, now: f64): bool {
  const lane = laneAt(domain, laneIndex);
  // A lane that has only late work gets one batch a second even beside work that is on time: things may have changed.
  if (domain.waiting > 0 && (lane.waiting > 0 || now - lane.lastUsed < PROBE_MS)) return false;
  if (!mayRun(domain, laneIndex, now) || planBlocked > 0 || planBlockedLane > 0 || planAhead > 0) return false;
  const guard = guardMs(domain);
  const alone = latencyQ(lane.model, 1);
  const room = domain.shortestSloMs - alone - 2.0 * guard;
  const hopeless = alone + guard > domain.sloMs;
  let most = laneCapacity(domain, lane);
  if (!hopeless) {
    if (room < alone && domain.inFlight > 0) return false;
    most = largestWithin(lane, room, 1, most);
  }
  const batch = openBatch(domain, laneIndex, now);
  takeLate(domain, lane, batch, most, now);
  const last = lane.late.tail;
  const idle = domain.inFlight == 0 && now - lane.lastUsed >= PROBE_MS;
  if (batchAt(domain, batch).count == 0 && idle && slotAt(domain.slots, last).hard > now) {
    // Not one of them has the time that the model is believed to take: the one with the most of it finds out.
    dequeueLate(domain, last);
    addToBatch(domain, batchAt(domain, batch), last);
  }
  if (batchAt(domain, batch).count == 0) {
    batchAt(domain, batch).used = 0;
    return false;
  }
  sendBatch(domain, batch, hopeless ? Reason.Probe : Reason.SpareRoom, now);
  return true;
}

/** Late work rides along as far as the tightest deadline in the batch and the shortest objective allow. */
function fillLate(domain: Domain, lane: Lane, batch: u32, slack: f64, now: f64): void {
  if (lane.late.count == 0) return;
  const items = batchAt(domain, batch).items;
  const room = min(slack, domain.shortestSloMs - latencyQ(lane.model, max(items, 1)) - 2.0 * guardMs(domain));
  const most = largestWithin(lane, room, items, max(laneCapacity(domain, lane), items));
  takeLate(domain, lane, batch, most, now);
}

function takeLate(domain: Domain, lane: Lane, batch: u32, most: u32, now: f64): void {
  const record = batchAt(domain, batch);
  let at = lane.late.head;
  while (at != NONE && record.items < most) {
    const slot = slotAt(domain.slots, at);
    const next = slot.next;
    if (lane.requestLimit > 0 && record.count >= lane.requestLimit) return;
    const fits = record.items + slot.items <= most || record.count == 0;
    if (fits && slot.hard >= now + latencyMean(lane.model, record.items + slot.items)) {
      dequeueLate(domain, at);
      addToBatch(domain, record, at);
    }
    at = next;
  }
}

/** A probe takes the requests from `first` on, in the order of their deadlines. */
function fillProbe(domain: Domain, batch: u32, first: u32, items: u32): void {
  const record = batchAt(domain, batch);
  const limit = laneAt(domain, record.lane).requestLimit;
  for (let at = first; at != NONE; ) {
    const slot = slotAt(domain.slots, at);
    const next = slot.next;
    if (record.count > 0 && record.items + slot.items > items) return;
    if (limit > 0 && record.count >= limit) return;
    charge(domain, laneAt(domain, record.lane), slot, items);
    dequeue(domain, at);
    addToBatch(domain, record, at);
    at = next;
  }
}

function fillOnTime(domain: Domain, lane: Lane, batch: u32, items: u32, now: f64): void {
  const record = batchAt(domain, batch);
  // Requests that this batch would answer late stay behind, unless nothing is known yet: then the sizes of the first
  // batches are what there is to learn.
  const horizon = domain.observed < 8 ? 0 : now + latencyMean(lane.model, items);
  while (record.items < items && lane.waiting > 0) {
    if (lane.requestLimit > 0 && record.count >= lane.requestLimit) return;
    const flow = flowAt(domain, nextFlow(domain, lane));
    const head = flow.order.head;
    const slot = slotAt(domain.slots, head);
    if (record.count > 0 && (record.items + slot.items > items || slot.soft < horizon)) return;
    charge(domain, lane, slot, items);
    dequeue(domain, head);
    addToBatch(domain, record, head);
  }
}

/** A tenant pays its share of the batch's expected model time; so does tenant 0, whom all without a name share. */
function charge(domain: Domain, lane: Lane, slot: Slot, items: u32): void {
  const tenant = domain.served + (<usize>slot.tenant << 3);
  const paid = load<f64>(tenant);
  domain.virtual = max(domain.virtual, paid);
  store<f64>(tenant, paid + (latencyMean(lane.model, items) * <f64>slot.items) / <f64>items);
}

function openBatch(domain: Domain, laneIndex: u32, now: f64): u32 {
  let index: u32 = 0;
  while (batchAt(domain, index).used) index++;
  const batch = batchAt(domain, index);
  batch.used = 1;
  batch.lane = laneIndex;
  batch.items = 0;
  batch.count = 0;
  batch.first = NONE;
  batch.sent = now;
  batch.blocked = 0;
  batch.blockedLane = 0;
  batch.ahead = 0;
  batch.firstEnd = 0;
  batch.firstEndLane = 0;
  batch.disturbed = 0;
  return index;
}

/** Chains a slot to the batch and lists it for the host. */
function addToBatch(domain: Domain, batch: Batch, index: u32): void {
  const slot = slotAt(domain.slots, index);
  slot.state = <u8>SlotState.InFlight;
  slot.next = batch.first;
  batch.first = index;
  store<u32>(domain.list + (<usize>(domain.listCount + batch.count) << 2), index);
  batch.items += slot.items;
  batch.count++;
}

function sendBatch(domain: Domain, index: u32, reason: Reason, now: f64): void {
  const batch = batchAt(domain, index);
  const lane = laneAt(domain, batch.lane);
  const time = latencyMean(lane.model, batch.items);
  batch.expected = now + max(max(batch.blocked, batch.blockedLane), batch.ahead) + time;
  batch.cold = max(domain.cold, lane.cold);
  if (now - domain.lastAnswer > 60000.0 && domain.inFlight == 0) batch.cold = 1;
  batch.level = domain.parallel.k;
  batch.levelLane = lane.parallel.k;
  batch.full = domain.inFlight + 1 >= domain.parallel.k ? 1 : 0;
  batch.behindLane = batch.ahead > 0 && lane.inFlight >= lane.parallel.k ? 1 : 0;
  batch.fullLane = lane.inFlight + 1 >= lane.parallel.k ? 1 : 0;
  const isBeyond = domain.inFlight >= domain.parallel.k || lane.inFlight >= lane.parallel.k;
  // Sent past batches that seem to hang: if they only crawl, the time it takes says nothing about its size.
  if (isBeyond && batch.blocked == 0 && batch.blockedLane == 0 && batch.ahead == 0) batch.disturbed = 1;
  if (batch.blocked > 0) parallelSent(domain.parallel, now, time);
  if (batch.blockedLane > 0) parallelSent(lane.parallel, now, time);
  if (domain.inFlight == 0) busyChanges(domain, now);
  domain.inFlight++;
  domain.stuckFrom = 0;
  lane.inFlight++;
  lane.lastUsed = now;
  const verdict = say(domain, VerdictKind.Dispatch, index, reason);
  verdict.lane = batch.lane;
  verdict.first = domain.listCount;
  verdict.count = batch.count;
  verdict.value = batch.expected - now;
  domain.listCount += batch.count;
}

/**
 * Ends what cannot be served any more: late work past its hard deadline, the oldest beyond the share that late work may
 * hold, and all of it where the setting says to shed and the model has other work.
 */
export function endLate(domain: Domain, now: f64): bool {
  const share = max<u32>(domain.capacity >> 2, 1);
  while (domain.late > 0) {
    if (domain.verdictCount >= domain.room) return false;
    const oldest = oldestLate(domain);
    const slot = slotAt(domain.slots, oldest);
    if (slot.hard <= now) refuse(domain, oldest, Reason.Expired);
    else if (!domain.deferLate && domain.inFlight > 0 && laneAt(domain, slot.lane).model.seen >= 8)
      refuse(domain, oldest, Reason.LateShed);
    else if (domain.late > share) refuse(domain, oldest, Reason.LateOverflow);
    else {
      domain.wake = min(domain.wake, slot.hard);
      return true;
    }
  }
  return true;
}
