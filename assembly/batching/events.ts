import { busyChanges } from './busy';
import { EventKind, Outcome, Reason, Setting, VerdictKind } from './codes';
import { Batch, batchAt, Domain, Event, Lane, laneAt } from './domain';
import { latencyLearn, latencyLearnBound, latencyMean, latencyNow, latencyQ, latencySeed } from './latency';
import { BANDS, checked, clamp, ITEMS_MAX, NONE, RETRY_BATCHES, RETRY_BATCHES_MAX, TENANTS_MAX } from './memory';
import { Parallel, parallelLearn, parallelTry, parallelWatch } from './parallel';
import { enqueue, freeSlot, refuse } from './queue';
import { rateAdd, rateScale } from './rate';
import { slotAt, SlotState } from './slot';
import { say } from './verdict';

// What the host tells the kernel, one function an event.

export function takeEvent(domain: Domain, event: Event): void {
  const at = clamp(checked(event.at, 0, 1e15), domain.now - 60000.0, domain.now);
  if (event.kind == EventKind.Arrival) arrival(domain, event, at);
  else if (event.kind == EventKind.Completion) completion(domain, event.id, event.code, at);
  else if (event.kind == EventKind.Cancel) cancel(domain, event.id);
  else if (event.kind == EventKind.Setting) applySetting(domain, event.code, event.value);
  else if (event.kind == EventKind.Lateness) domain.lateness = nearPeak(domain.lateness, checked(event.value, 0, 1e9));
  else if (event.kind == EventKind.ReplyPath) domain.replyPath = nearPeak(domain.replyPath, checked(event.value, 0, 1e9));
  else if (event.kind == EventKind.LaneLimit) limitLane(domain, event);
  else if (event.kind == EventKind.UpstreamChanged) domain.cold = 1;
  else if (event.kind == EventKind.Drain) domain.draining = 1;
  else unreachable();
}

function limitLane(domain: Domain, event: Event): void {
  assert(event.lane < domain.laneCount);
  laneAt(domain, event.lane).requestLimit = <u32>checked(event.value, 0, 1e6);
}

/** Follows the upper end of a noisy measurement: up quickly, down slowly; about its P99. */
function nearPeak(estimate: f64, sample: f64): f64 {
  return estimate + (sample > estimate ? 0.3 : 0.003) * (min(sample, 1000.0) - estimate);
}

function arrival(domain: Domain, event: Event, at: f64): void {
  assert(event.lane < domain.laneCount && laneAt(domain, event.lane).open);
  assert(event.items >= 1);
  assert(!isNaN(event.soft) && !isNaN(event.hard));
  const lane = laneAt(domain, event.lane);
  // Infinity means that the domain's own objective or timeout counts.
  const asked = event.soft < Infinity ? event.soft : at + domain.sloMs;
  const hard = checked(event.hard < Infinity ? event.hard : max(at + domain.lateTimeoutMs, asked), 0, 1e15);
  const soft = checked(min(asked, hard), 0, 1e15);
  const items = min(event.items, ITEMS_MAX);
  rateAdd(domain.rate, at, items);
  rateAdd(lane.rate, at, items);
  if (domain.freeSlot == NONE) {
    say(domain, VerdictKind.Rejected, event.id, Reason.QueueFull);
    return;
  }
  if (hard <= domain.now) {
    say(domain, VerdictKind.Rejected, event.id, Reason.Expired);
    return;
  }
  if (domain.inFlight > 0 && lane.model.seen >= 8 && domain.now + latencyMean(lane.model, items) > hard) {
    say(domain, VerdictKind.Rejected, event.id, Reason.Unmeetable);
    return;
  }
  const index = domain.freeSlot;
  const slot = slotAt(domain.slots, index);
  domain.freeSlot = slot.next;
  slot.items = items;
  slot.soft = soft;
  slot.hard = hard;
  slot.lane = event.lane;
  slot.band = <u8>min(event.band, BANDS - 1);
  slot.tenant = event.tenant < TENANTS_MAX ? <u16>event.tenant : 0;
  slot.promised = 0;
  const objective = soft - at;
  // The shortest objective of late: believed at once, forgotten at a per mille a request.
  if (objective < domain.shortestSloMs) domain.shortestSloMs = max(objective, 1.0);
  else domain.shortestSloMs += 0.001 * (objective - domain.shortestSloMs);
  enqueue(domain, index, domain.now);
  say(domain, VerdictKind.Admitted, event.id, Reason.None).value = <f64>index;
}

function cancel(domain: Domain, index: u32): void {
  assert(index < domain.capacity);
  const state = slotAt(domain.slots, index).state;
  // A request in flight leaves with its batch; one that ended in this very turn is already gone.
  if (state != SlotState.OnTime && state != SlotState.Late) return;
  const before = domain.verdictCount;
  refuse(domain, index, Reason.None);
  domain.verdictCount = before;
}

function completion(domain: Domain, index: u32, outcome: u32, at: f64): void {
  assert(index < domain.batchCount);
  const batch = batchAt(domain, index);
  assert(batch.used != 0);
  const lane = laneAt(domain, batch.lane);
  const ms = max(at - (batch.ahead > 0 ? max(batch.sent, begunAt(batch)) : batch.sent), 0.01);
  noteFirstEnd(domain, index, at);
  if (outcome == Outcome.Answered) learn(domain, lane, index, ms, at);
  else if ((outcome == Outcome.TimedOut || outcome == Outcome.Cancelled) && !batch.cold && !batch.disturbed)
    latencyLearnBound(lane.model, batch.items, ms);
  else if (outcome == Outcome.TooLarge) tooLarge(lane, batch.items);

  for (let i = batch.first; i != NONE; ) {
    const next = slotAt(domain.slots, i).next;
    freeSlot(domain, i);
    i = next;
  }
  batch.used = 0;
  if (domain.inFlight == 1) busyChanges(domain, at);
  domain.inFlight--;
  domain.stuckFrom = 0;
  lane.inFlight--;
  lane.lastUsed = at;
}

/** When the model began with a batch that was sent ahead, which is when the other one ended; 0: not yet. */
function begunAt(batch: Batch): f64 {
  return batch.behindLane ? batch.firstEndLane : batch.firstEnd;
}

/** Those that are still in flight learn that one of the others ended; one that was sent ahead begins only now. */
function noteFirstEnd(domain: Domain, index: u32, at: f64): void {
  const lane = batchAt(domain, index).lane;
  if (domain.inFlight < 2) return;
  for (let i: u32 = 0; i < domain.batchCount; i++) {
    const other = batchAt(domain, i);
    if (!other.used || i == index) continue;
    const begins = other.ahead > 0 && begunAt(other) == 0;
    if (other.firstEnd == 0) other.firstEnd = at;
    if (other.firstEndLane == 0 && other.lane == lane) other.firstEndLane = at;
    if (begins && begunAt(other) > 0) other.expected = at + latencyMean(laneAt(domain, other.lane).model, other.items);
  }
}

function learn(domain: Domain, lane: Lane, index: u32, ms: f64, at: f64): void {
  const batch = batchAt(domain, index);
  domain.lastAnswer = at;
  accept(domain, lane, batch.items);
  if (batch.disturbed) return;
  if (batch.cold) {
    domain.cold = 0;
    lane.cold = 0;
    return;
  }
  const now = latencyNow(lane.model, batch.items);
  if (batch.blocked > 0 || batch.blockedLane > 0) {
    learnParallel(domain, lane, index, ms - now, now, at);
    return;
  }
  if (onTrial(domain, lane, index, ms - now, now, at)) return;
  if (lane.model.seen >= 8 && batch.full) {
    const alone = latencyMean(lane.model, batch.items);
    const level = latencyMean(lane.model, 8);
    parallelWatch(domain.parallel, at, ms / alone, level);
    parallelWatch(lane.parallel, at, ms / alone, level);
  }
  latencyLearn(lane.model, batch.items, ms);
  domain.observed++;
  if (lane.model.seen == 1) seedOthers(domain, batch.lane);
}

/**
 * A probe teaches the scopes whose limit it went beyond. One that found a queue behind a batch of its own lane says
 * nothing against the domain while other lanes have work: they may have servers of their own.
 */
function learnParallel(domain: Domain, lane: Lane, index: u32, extra: f64, alone: f64, at: f64): void {
  const batch = batchAt(domain, index);
  const level = latencyMean(lane.model, 8);
  const blocked = (batch.firstEnd > 0 ? batch.firstEnd : at) - batch.sent;
  const blockedLane = (batch.firstEndLane > 0 ? batch.firstEndLane : at) - batch.sent;
  const ownQueue = batch.blockedLane > 0 && extra > 0.5 * blockedLane && hasOthers(domain, batch.lane, at);
  if (batch.blocked > 0 && batch.level == domain.parallel.k && !ownQueue)
    parallelLearn(domain.parallel, at, extra, blocked, alone, level);
  if (batch.blockedLane > 0 && batch.levelLane == lane.parallel.k)
    parallelLearn(lane.parallel, at, extra, blockedLane, alone, level);
}

/** Whether the batch ran as the last of a k that is on trial: then it speaks about that k, and not about the curve. */
function onTrial(domain: Domain, lane: Lane, index: u32, extra: f64, alone: f64, at: f64): bool {
  const batch = batchAt(domain, index);
  if (batch.ahead > 0) return false;
  const ofDomain = tries(domain.parallel, batch.full, batch.level);
  const ofLane = tries(lane.parallel, batch.fullLane, batch.levelLane);
  const blocked = (batch.firstEnd > 0 ? batch.firstEnd : at) - batch.sent;
  const blockedLane = (batch.firstEndLane > 0 ? batch.firstEndLane : at) - batch.sent;
  const ownQueue = ofLane && extra > 0.5 * blockedLane && hasOthers(domain, batch.lane, at);
  if (ofDomain && !ownQueue) parallelTry(domain.parallel, at, extra, blocked, alone);
  if (ofLane) parallelTry(lane.parallel, at, extra, blockedLane, alone);
  return ofDomain || ofLane;
}

/** Whether other lanes have work, or had some within the last second. */
function hasOthers(domain: Domain, row: u32, at: f64): bool {
  for (let i: u32 = 0; i < domain.laneHigh; i++) {
    const lane = laneAt(domain, i);
    if (i != row && lane.open && (lane.inFlight > 0 || at - lane.lastUsed < 1000.0)) return true;
  }
  return false;
}

function tries(parallel: Parallel, full: u32, level: u32): bool {
  return parallel.trial != 0 && full != 0 && level == parallel.k;
}

/** Lanes that nothing is known of yet start from the first curve that is. */
function seedOthers(domain: Domain, row: u32): void {
  for (let i: u32 = 0; i < domain.laneHigh; i++) {
    const lane = laneAt(domain, i);
    if (i == row || !lane.open || lane.model.seen > 0) continue;
    latencySeed(lane.model, laneAt(domain, row).model);
    lane.cold = 0;
  }
}

/**
 * A size that the model took: the next try towards a refused one goes twice as far. One that takes what was refused before
 * had refused the bytes, not the items, or has a new limit: nothing is known then.
 */
function accept(domain: Domain, lane: Lane, items: u32): void {
  lane.accepted = max(lane.accepted, items);
  if (lane.refused == 0) return;
  if (items >= lane.capacity) lane.sinceRefusal++;
  if (items >= lane.refused) {
    lane.refused = 0;
    lane.capacity = domain.maxBatchItems;
    lane.retryAfter = RETRY_BATCHES;
  } else if (items > lane.capacity) {
    lane.capacity = items;
    lane.stride *= 2;
  }
}

/**
 * 413: halve, remember the refused size, and close in on the limit from below. The first try after a refusal is one
 * item more than what was accepted, because limits are mostly powers of two, as the sizes that were tried before are:
 * then one refused try is enough. Every refusal costs the model one batch's fixed time just when work waits, so the size
 * that was refused is tried again only after 256 batches at the limit, then after twice as many.
 */
function tooLarge(lane: Lane, items: u32): void {
  if (items <= 1) return;
  if (items == lane.refused) lane.retryAfter = min<u32>(lane.retryAfter * 2, RETRY_BATCHES_MAX);
  lane.sinceRefusal = 0;
  lane.refused = lane.refused == 0 ? items : min(lane.refused, items);
  lane.accepted = min(lane.accepted, lane.refused - 1);
  lane.capacity = max(max(lane.accepted, items >> 1), 1);
  lane.stride = 1;
}

function applySetting(domain: Domain, code: u32, value: f64): void {
  if (code == Setting.SloMs) {
    domain.sloMs = checked(value, 1, 3.6e6);
    rateScale(domain.rate, domain.sloMs);
    domain.shortestSloMs = min(domain.shortestSloMs, domain.sloMs);
  } else if (code == Setting.SloQuantile) {
    domain.quantile = checked(value, 0.5, 0.9999);
    for (let i: u32 = 0; i < domain.laneCount; i++) {
      laneAt(domain, i).model.quantile = domain.quantile;
      laneAt(domain, i).model.stale = 1;
    }
  } else if (code == Setting.Patience) domain.patience = checked(value, -1, 1);
  else if (code == Setting.MaxBatchItems) {
    domain.maxBatchItems = <u32>checked(value, 1, <f64>domain.batchItemsBound);
    for (let i: u32 = 0; i < domain.laneCount; i++) {
      const lane = laneAt(domain, i);
      if (lane.refused == 0) lane.capacity = domain.maxBatchItems;
      // Curves grow with the bound and never shrink: batches that were sent under a larger one still end.
      if (domain.maxBatchItems > lane.model.limit) {
        lane.model.limit = domain.maxBatchItems;
        lane.model.stale = 1;
      }
    }
  } else if (code == Setting.DeferLate) domain.deferLate = checked(value, 0, 1) > 0 ? 1 : 0;
  else if (code == Setting.LateTimeoutMs) domain.lateTimeoutMs = checked(value, 1, 3.6e6);
  else unreachable();
}

/** A new lane starts from the curve of the lane that has been measured most. */
export function seedLane(domain: Domain, row: u32): void {
  let best = NONE;
  for (let i: u32 = 0; i < domain.laneHigh; i++) {
    if (i == row || !laneAt(domain, i).open) continue;
    if (best == NONE || laneAt(domain, i).model.seen > laneAt(domain, best).model.seen) best = i;
  }
  if (best != NONE && laneAt(domain, best).model.seen > 0) {
    latencySeed(laneAt(domain, row).model, laneAt(domain, best).model);
    laneAt(domain, row).cold = 0;
  }
}

/** The quantile curve for reports. */
export function curveQ(domain: Domain, row: u32, items: u32): f64 {
  return latencyQ(laneAt(domain, row).model, items);
}
