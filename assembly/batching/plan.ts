import { Reason } from './codes';
import { demandRate } from './demand';
import { Batch, batchAt, Domain, flowAt, Lane, laneAt } from './domain';
import { latencyMean, latencyQ, latencyWait } from './latency';
import { clamp, NONE } from './memory';
import { parallelLimit } from './parallel';
import { becomeLate, nextFlow } from './queue';
import { rateGap, rateNow, ratePeak } from './rate';
import { slotAt } from './slot';

// @ts-ignore: decorator
@inline const LOAD_MS: f64 = 5.0;

/** At most so many batches are taken for hanging at once. */
// @ts-ignore: decorator
@inline const STUCK_MAX: u32 = 16;

// What one lane would send now. `examine` fills the plan below; there is one, because one decision is made at a time.

/** Items to send, the flow whose head leads the batch, and the slack that is left at that size. */
export let planItems: u32 = 0;
/** The size that throughput needs. */
export let planFit: u32 = 1;
export let planFlow: u32 = NONE;
/** The first request to take: the flow's head, unless a probe starts further back. */
export let planFirst: u32 = NONE;
export let planSlack: f64 = 0;
/** When to look again, if the lane waits; otherwise -1. */
export let planUntil: f64 = -1;
export let planReason: Reason = Reason.None;
/** Ms until the first of those in flight would end, when this batch goes on top of the limit; else 0. */
export let planBlocked: f64 = 0;
export let planBlockedLane: f64 = 0;
/** Ms that this batch is expected to stand behind the one whose slot it takes over; else 0. */
export let planAhead: f64 = 0;

/** Lateness of timers and event loop (at least 1.5 ms) and the way back to the caller: added to every prediction. */
export function guardMs(domain: Domain): f64 {
  return min(max(domain.lateness, 1.5) + domain.replyPath, domain.sloMs * 0.25);
}

/** Items a batch of this lane may hold, never more than twice of what was tried before. */
export function laneCapacity(domain: Domain, lane: Lane): u32 {
  let most = lane.capacity;
  if (lane.refused > lane.capacity + 1) most = min(lane.capacity + lane.stride, (lane.capacity + lane.refused) >> 1);
  else if (lane.refused > 0 && lane.sinceRefusal >= lane.retryAfter) most = lane.refused;
  most = min(most, domain.maxBatchItems);
  const tried = max<u32>(lane.model.largest, 1);
  return max<u32>(min(most, tried * 2), 1);
}

/** The share of one second's worth of model time that the present load takes when batched well: 1 is saturation. */
export function domainLoad(domain: Domain, lane: Lane, now: f64): f64 {
  const n = min(domain.maxBatchItems, lane.capacity);
  return (rateNow(domain.rate, now) * latencyMean(lane.model, n)) / <f64>n / <f64>domain.parallel.k;
}

/**
 * Whether the lanes together would take four fifths of the model's time when batched well. One answer for all lanes: a
 * lane that went ahead while others may not would get the model to itself. Reckoned anew every few ms.
 */
function isSaturated(domain: Domain, now: f64): bool {
  if (now < domain.loadAt + LOAD_MS) return domain.saturated != 0;
  let load: f64 = 0;
  for (let i: u32 = 0; i < domain.laneHigh; i++) {
    const lane = laneAt(domain, i);
    if (!lane.open || lane.model.seen == 0) continue;
    const n = min(domain.maxBatchItems, lane.capacity);
    load += (rateNow(lane.rate, now) * latencyMean(lane.model, n)) / <f64>n;
  }
  domain.loadAt = now;
  domain.saturated = load >= 0.8 * <f64>domain.parallel.k ? 1 : 0;
  return domain.saturated != 0;
}

/**
 * `auto`: 0 while the domain would be busy less than half of the time. From there it rises to 0.9, where model time is
 * scarce but not yet the queue that forms batches by itself, and falls to 0.5 towards saturation, where slack is scarce:
 * the more uneven the model's times, the sooner. Where other lanes wait as well it ends at 0.7, because their deadlines
 * pay for a slot that is taken late.
 */
function patienceNow(domain: Domain, lane: Lane, now: f64): f64 {
  if (domain.patience >= 0) return domain.patience;
  const load = domainLoad(domain, lane, now);
  const scarce = load + Math.sqrt(lane.model.variance) - 0.95;
  const most = lane.waiting == domain.waiting ? 0.9 : 0.7;
  return clamp((load - 0.5) * 5.0, 0.0, clamp(0.9 - 4.0 * scarce, 0.5, most));
}

/** The least n at which n / L(n) keeps up with `rate`, at most `most`. */
function leastItems(lane: Lane, rate: f64, most: u32): u32 {
  for (let n: u32 = 1; n < most; n++) {
    if (<f64>n >= rate * latencyMean(lane.model, n)) return n;
  }
  return most;
}

/**
 * The ms that a head must have left to lead a batch of `items`. Without `caution` it stays while it is more likely than
 * not to be in time: nobody would gain by giving it up, because one batch takes all that waits or later ones will. In
 * overload, caution 1, its place goes to one that is in time with the promised probability.
 */
function headMs(lane: Lane, items: u32, caution: f64): f64 {
  const mean = latencyMean(lane.model, items);
  return mean + caution * (latencyQ(lane.model, items) - mean);
}

/** The largest n in [least, most] that ends within `slack` ms. */
export function largestWithin(lane: Lane, slack: f64, least: u32, most: u32): u32 {
  let low = least;
  let high = most;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (latencyQ(lane.model, middle) <= slack) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Ms until the first batch in flight is expected to end, negative when it is overdue; `lane` NONE: of all lanes. */
function untilFree(domain: Domain, lane: u32, now: f64): f64 {
  let first: f64 = 1e9;
  for (let i: u32 = 0; i < domain.batchCount; i++) {
    const batch: Batch = batchAt(domain, i);
    if (batch.used && (lane == NONE || batch.lane == lane)) first = min(first, batch.expected - now);
  }
  return first;
}

/**
 * Whether another batch of the lane may be in flight now: under both limits; past batches that seem to hang; just ahead of
 * the end of one; or on top of one as a probe, which needs a curve to compare with. Leaves the time that it would wait behind another one in
 * planAhead, or, for a probe, the time a queue would cost in planBlocked and planBlockedLane.
 */
export function mayRun(domain: Domain, laneIndex: u32, now: f64): bool {
  const lane = laneAt(domain, laneIndex);
  planBlocked = 0;
  planBlockedLane = 0;
  planAhead = 0;
  if (domain.inFlight == 0) return true;
  if (domain.inFlight >= domain.batchCount) return false;
  const over = domain.inFlight >= domain.parallel.k;
  const overLane = lane.inFlight >= lane.parallel.k;
  if (!over && !overLane) return true;
  if (domain.observed >= 8 && passesStuck(domain, laneIndex, now)) return true;
  if (lane.model.seen < 12) return false;
  const left = over ? untilFree(domain, NONE, now) : 0;
  const leftLane = overLane ? untilFree(domain, laneIndex, now) : 0;
  if (mayGoAhead(domain, lane, max(left, leftLane), now)) return true;
  if (domain.inFlight >= parallelLimit(domain.parallel, now)) return false;
  if (lane.inFlight >= parallelLimit(lane.parallel, now)) return false;
  if ((over && now < domain.parallel.pausedUntil) || (overLane && now < lane.parallel.pausedUntil)) return false;
  if (over) planBlocked = max(left, 0.0);
  if (overLane) planBlockedLane = max(leftLane, 0.0);
  return max(planBlocked, planBlockedLane) > 0.25 * latencyMean(lane.model, 1);
}

/**
 * Whether the limits hold when batches that seem to hang are left out: those that are overdue by three times what they
 * should take, though at least by a quarter of the objective and at most by all of it (or by their own time, where that is
 * longer). What hangs keeps its own callers waiting, not everybody; that a model has truly become so slow, its first answer
 * tells. Asks to be woken when the next one would count as stuck.
 */
function passesStuck(domain: Domain, laneIndex: u32, now: f64): bool {
  if (now < domain.stuckFrom) {
    domain.wake = min(domain.wake, domain.stuckFrom);
    return false;
  }
  const lane = laneAt(domain, laneIndex);
  let stuck: u32 = 0;
  let stuckLane: u32 = 0;
  let next: f64 = Infinity;
  let left = domain.inFlight;
  for (let i: u32 = 0; left > 0; i++) {
    const batch = batchAt(domain, i);
    if (!batch.used) continue;
    left--;
    const time = latencyMean(laneAt(domain, batch.lane).model, batch.items);
    const at = batch.expected + clamp(3.0 * time, 0.25 * domain.sloMs, max(domain.sloMs, time));
    if (at > now) next = min(next, at);
    else if (stuck < STUCK_MAX) {
      stuck++;
      if (batch.lane == laneIndex) stuckLane++;
    }
  }
  domain.wake = min(domain.wake, next);
  if (stuck == 0) domain.stuckFrom = next;
  return domain.inFlight - stuck < domain.parallel.k && lane.inFlight - stuckLane < lane.parallel.k;
}

/**
 * Near saturation a batch is sent a moment before the one ahead of it should end (`left` ms from now), so that the model
 * does not idle while an answer and the next batch are on their way. One batch at the most stands ready like this, none
 * behind one that is overdue, because it may hang, and none while parallelism is on trial.
 */
function mayGoAhead(domain: Domain, lane: Lane, left: f64, now: f64): bool {
  if (domain.inFlight > domain.parallel.k || lane.inFlight > lane.parallel.k) return false;
  if (domain.parallel.trial || lane.parallel.trial) return false;
  if (!isSaturated(domain, now)) return false;
  const time = latencyMean(lane.model, max(lane.items, 1));
  const lead = min(guardMs(domain), 0.1 * time);
  // Where the end cannot be foreseen, a batch that stands ready is one that was settled too early.
  if (Math.sqrt(lane.model.variance) * time > 2.0 * lead) return false;
  if (left < -lead) return false;
  if (left > lead) {
    domain.wake = min(domain.wake, now + max(left - lead, 0.05));
    return false;
  }
  if (triesSize(domain)) return false;
  planAhead = max(left, 0.05);
  return true;
}

/** Whether a batch in flight is larger than its model is known to accept: it may be refused and sent again in parts. */
function triesSize(domain: Domain): bool {
  for (let i: u32 = 0; i < domain.batchCount; i++) {
    const batch: Batch = batchAt(domain, i);
    if (batch.used && batch.items > laneAt(domain, batch.lane).capacity) return true;
  }
  return false;
}

/**
 * Plans the lane's next batch. Heads that can no longer be on time at the size that throughput needs become late on the
 * way. False: nothing on time is left, or what may run now would not be worth it.
 *
 * n_min is the least n with n / L(n) >= max(arrival rate, rate that the waiting deadlines need), shared by the k batches
 * that run at once; n is the largest that the head's deadline allows from there, not beyond the knee.
 */
export function examine(domain: Domain, laneIndex: u32, now: f64): bool {
  const lane = laneAt(domain, laneIndex);
  const guard = guardMs(domain);
  const most = laneCapacity(domain, lane);
  const blocked = max(planBlocked, planBlockedLane);
  const need = max(ratePeak(domain.rate, now), demandRate(domain.demand, now)) / <f64>domain.parallel.k;
  let fit = leastItems(lane, need, most);
  // A queue is worked off with something to spare for uneven times: a batch that just keeps up leaves each head just in time.
  if (lane.items > fit && lane.waiting == domain.waiting) {
    fit = leastItems(lane, need * (1.0 + Math.sqrt(lane.model.variance)), most);
  }
  const caution = clamp((domainLoad(domain, lane, now) - 1.0) / 0.1, 0.0, 1.0);
  planUntil = -1;

  let flowIndex: u32;
  let least: u32;
  let slack: f64;
  while (true) {
    flowIndex = nextFlow(domain, lane);
    if (flowIndex == NONE) return false;
    const head = flowAt(domain, flowIndex).order.head;
    const slot = slotAt(domain.slots, head);
    least = max(min(fit, lane.items), slot.items);
    slack = slot.soft - now - guard - planAhead;
    if (headMs(lane, least, lane.items <= fit ? 0 : caution) <= slack) break;
    // Before eight observations nothing is given up: the first batches teach what the prior cannot know.
    if (lane.model.seen == 0 || domain.observed < 8) break;
    // A head that waited because this kernel told it to is not dropped for the timer's lateness.
    if (slot.promised && slack + 4.0 * guard > latencyQ(lane.model, slot.items)) {
      least = slot.items;
      break;
    }
    if (domain.verdictCount >= domain.room) return false;
    becomeLate(domain, head);
  }
  planFirst = flowAt(domain, flowIndex).order.head;
  if (blocked > 0) {
    // On a serial model a probe of a few requests takes the time that a full batch of another lane needs.
    if (domain.waiting > lane.waiting && fit > 2 * lane.items) return false;
    // A probe may turn out to stand in a queue: it takes only requests for which that would still be in time.
    const time = latencyQ(lane.model, least);
    // What arrives meanwhile would stand behind both, so there has to be room for that too, or nothing left to lose.
    if (blocked + 2.0 * time + guard > domain.shortestSloMs && lane.items < 2 * most) return false;
    const due = now + guard + blocked + time;
    while (planFirst != NONE && slotAt(domain.slots, planFirst).soft < due) planFirst = slotAt(domain.slots, planFirst).next;
    if (planFirst == NONE) return false;
    slack = slotAt(domain.slots, planFirst).soft - now - guard;
  }

  const top = min(most, max(lane.model.knee, least));
  let items = largestWithin(lane, slack - blocked, least, max(min(top, lane.items), least));
  planReason = items >= most ? Reason.Full : Reason.SlotFree;
  // Nobody waits for a size that nobody has tried, because it may be refused: at the loads at which `auto` waits, queues form it.
  const goal = domain.patience < 0 ? min(top, max(lane.model.largest, 1)) : top;
  if (lane.items > 0 && !domain.draining && blocked == 0 && lane.late.count == 0 && items < goal && items >= lane.items) {
    planUntil = waitUntil(domain, lane, items, min(slack, tightest(domain, lane) - now - guard), goal, now);
  }
  planItems = items;
  planFit = fit;
  planFlow = flowIndex;
  planSlack = slack - latencyQ(lane.model, items);
  return true;
}

/** The earliest soft deadline in a lane, whatever its flow. */
function tightest(domain: Domain, lane: Lane): f64 {
  let soft = Infinity;
  for (let i = lane.flows; i != NONE; i = flowAt(domain, i).sibling) {
    soft = min(soft, slotAt(domain.slots, flowAt(domain, i).order.head).soft);
  }
  return soft;
}

/**
 * Whether to wait for company, and until when; -1 is not at all.
 *
 * Waiting for one more request costs (items that wait) x (expected gap); it saves s = L(n) + L(1) - L(n+1) of model
 * time. At patience p a ms of model time is worth p / (1 - p) ms of delay, so that p = 1 uses all slack.
 */
function waitUntil(domain: Domain, lane: Lane, items: u32, slack: f64, top: u32, now: f64): f64 {
  const patience = patienceNow(domain, lane, now);
  if (patience <= 0) return -1;
  const model = lane.model;
  const latest = now + longestWait(lane, items, slack, top, now);
  if (latest <= now + 0.05) {
    planReason = Reason.Deadline;
    return -1;
  }
  if (patience >= 1.0) return latest;
  // Who comes just after this batch waits for its end and then for a batch like it.
  if (domain.patience < 0 && latencyMean(model, items + 1) > 0.4 * domain.shortestSloMs) {
    planReason = Reason.Patience;
    return -1;
  }
  const saving = latencyMean(model, items) + latencyMean(model, 1) - latencyMean(model, items + 1);
  const worth = (saving * patience) / (1.0 - patience) / <f64>items;
  if (rateGap(lane.rate, now) > worth) {
    planReason = Reason.Patience;
    return -1;
  }
  return min(latest, max(lane.rate.last + worth, now + 0.05));
}

/**
 * The most ms w after which a batch of all that came meanwhile would still end in time: w + L_wait(items + rate x w) is
 * at most `slack`. Below 0 not even now.
 */
function longestWait(lane: Lane, items: u32, slack: f64, top: u32, now: f64): f64 {
  const rate = rateNow(lane.rate, now);
  let low = slack - latencyWait(lane.model, top);
  let high = slack - latencyWait(lane.model, min(items + 1, top));
  while (high - low > 0.25) {
    const middle = 0.5 * (low + high);
    const company = items + 1 + <u32>min(rate * max(middle, 0.0), 1024.0);
    if (middle + latencyWait(lane.model, min(company, top)) <= slack) low = middle;
    else high = middle;
  }
  return low;
}
