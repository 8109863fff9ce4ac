// batching.wasm: when to send which requests together. The boundary: a host writes event records, calls `step`, and
// reads verdict records. Domains are handles; times are f64 ms of the host's monotonic clock; no call allocates but
// `configure`.
import { busyShareAt } from './busy';
import { Abi } from './codes';
import { dispatchLate, dispatchNext, endLate } from './dispatch';
import { batchAt, Domain, Event, EVENTS_MAX, flowAt, laneAt, makeDomain, openLane, Verdict } from './domain';
import { curveQ, seedLane, takeEvent } from './events';
import { latencyForget, latencyMean } from './latency';
import { checked, clamp, JUMP_MS, NONE, WAKE_MS_MAX } from './memory';
import { parallelReset } from './parallel';
import { becomeLate } from './queue';
import { rateAt, rateReset } from './rate';
import { slotAt } from './slot';

/** A call ends after this many verdicts beyond its arrivals, so that mass expiry never holds the event loop. */
const EXPIRIES_MAX: u32 = 256;

export function abi_version(): u32 {
  return Abi.Version;
}

/** Bytes of one event and of one verdict, and how many events fit a step: the host checks its own numbers. */
export function event_bytes(): u32 {
  return <u32>offsetof<Event>();
}

export function verdict_bytes(): u32 {
  return <u32>offsetof<Verdict>();
}

export function events_max(): u32 {
  return EVENTS_MAX;
}

/** Makes a domain; memory is sized here and never again. Returns its handle. Settings follow as events. */
export function configure(
  capacity: u32,
  lanes: u32,
  batches: u32,
  batch_items: u32,
  batch_items_ever: u32,
  slo_ms: f64,
  slo_quantile: f64,
  now: f64,
): usize {
  checked(slo_ms, 1, 3.6e6);
  checked(slo_quantile, 0.5, 0.9999);
  checked(now, 0, 1e15);
  const domain = makeDomain(capacity, lanes, batches, batch_items, batch_items_ever, slo_ms);
  domain.now = now;
  domain.sloMs = slo_ms;
  domain.quantile = slo_quantile;
  domain.patience = -1;
  domain.lateTimeoutMs = 5.0 * slo_ms;
  domain.shortestSloMs = slo_ms;
  domain.maxBatchItems = batch_items;
  domain.deferLate = 1;
  domain.cold = 1;
  domain.busyAt = now;
  domain.lastAnswer = now;
  rateReset(domain.rate, now, slo_ms);
  parallelReset(domain.parallel, batches);
  return changetype<usize>(domain);
}

export function events_at(handle: usize): usize {
  return changetype<Domain>(handle).events;
}

export function verdicts_at(handle: usize): usize {
  return changetype<Domain>(handle).verdicts;
}

export function list_at(handle: usize): usize {
  return changetype<Domain>(handle).list;
}

/** A row for a new lane, or -1. The row's former lane, if any, is gone. */
export function open_lane(handle: usize, now: f64): i32 {
  const domain = changetype<Domain>(handle);
  checked(now, 0, 1e15);
  const row = openLane(domain, max(domain.now, now));
  if (row == NONE) return -1;
  latencyForget(laneAt(domain, row).model, domain.sloMs / 8.0, domain.quantile);
  seedLane(domain, row);
  return <i32>row;
}

/**
 * Takes `events` records, decides, and returns how many verdicts there are. `wake_at` then says when to call again.
 * A `now` below the last one is taken as the last one.
 */
export function step(handle: usize, now: f64, events: u32): u32 {
  const domain = changetype<Domain>(handle);
  assert(events <= EVENTS_MAX);
  checked(now, 0, 1e15);
  if (now < domain.now) domain.clockBack++;
  if (now - domain.now > JUMP_MS) noteJump(domain);
  domain.now = max(domain.now, now);
  now = domain.now;
  domain.verdictCount = 0;
  domain.listCount = 0;
  domain.wake = now + WAKE_MS_MAX;

  for (let i: u32 = 0; i < events; i++) {
    takeEvent(domain, changetype<Event>(domain.events + <usize>i * offsetof<Event>()));
  }
  domain.room = EXPIRIES_MAX + domain.verdictCount;
  let more = !passDeadlines(domain, now);
  while (!more) {
    if (domain.verdictCount >= domain.room) more = true;
    else if (!dispatchNext(domain, now) && !dispatchLate(domain, now)) break;
  }
  if (!endLate(domain, now) || domain.verdictCount >= domain.room) more = true;
  // With work in flight the next step comes well within a jump's length, so that a longer gap is one.
  if (domain.inFlight > 0) {
    domain.wake = min(domain.wake, now + JUMP_MS * 0.5);
    wakeForDeadlines(domain);
  }
  if (more) domain.wake = now;
  return domain.verdictCount;
}

/** Batches that were in flight while the clock jumped teach nothing. */
function noteJump(domain: Domain): void {
  for (let i: u32 = 0; i < domain.batchCount; i++) batchAt(domain, i).disturbed = 1;
}

/** On-time requests whose soft deadline passed while the model was busy become late, so that hard deadlines hold. */
function passDeadlines(domain: Domain, now: f64): bool {
  for (let i: u32 = 0; i < domain.laneHigh; i++) {
    const lane = laneAt(domain, i);
    for (let at = lane.flows; at != NONE; ) {
      const flow = flowAt(domain, at);
      // A flow that becomes empty is gone.
      at = flow.sibling;
      while (flow.order.count > 0) {
        if (domain.verdictCount >= domain.room) return false;
        const head = flow.order.head;
        if (slotAt(domain.slots, head).soft > now) break;
        becomeLate(domain, head);
      }
    }
  }
  return true;
}

/** While the model is busy nothing else may happen before the next deadline passes: the host is asked to call then. */
function wakeForDeadlines(domain: Domain): void {
  for (let i: u32 = 0; i < domain.laneHigh; i++) {
    for (let at = laneAt(domain, i).flows; at != NONE; at = flowAt(domain, at).sibling) {
      const head = flowAt(domain, at).order.head;
      domain.wake = min(domain.wake, slotAt(domain.slots, head).soft + 0.5);
    }
  }
}

/** When to call `step` again at the latest: `now` itself when more verdicts are ready. */
export function wake_at(handle: usize): f64 {
  const domain = changetype<Domain>(handle);
  return clamp(domain.wake, domain.now, domain.now + WAKE_MS_MAX);
}

export function waiting(handle: usize): u32 {
  const domain = changetype<Domain>(handle);
  return domain.waiting + domain.late;
}

export function late_waiting(handle: usize): u32 {
  return changetype<Domain>(handle).late;
}

export function in_flight(handle: usize): u32 {
  return changetype<Domain>(handle).inFlight;
}

/** The learned number of parallel batches. */
export function parallel_limit(handle: usize): u32 {
  return changetype<Domain>(handle).parallel.k;
}

/** Items per second that arrive, as of `now`; one below the last step's is taken as that. */
export function arrival_rate(handle: usize, now: f64): f64 {
  const domain = changetype<Domain>(handle);
  return rateAt(domain.rate, max(domain.now, checked(now, 0, 1e15))) * 1000.0;
}

/** Share of the ten seconds or so before `now` in which something was in flight. */
export function busy_share(handle: usize, now: f64): f64 {
  const domain = changetype<Domain>(handle);
  return busyShareAt(domain, max(domain.now, checked(now, 0, 1e15)));
}

/** Expected ms of a batch of `items` in a lane. */
export function expected_ms(handle: usize, lane: u32, items: u32): f64 {
  const domain = changetype<Domain>(handle);
  assert(lane < domain.laneCount);
  return latencyMean(laneAt(domain, lane).model, items);
}

/** The ms that the promised share of such batches stays below. */
export function quantile_ms(handle: usize, lane: u32, items: u32): f64 {
  const domain = changetype<Domain>(handle);
  assert(lane < domain.laneCount);
  return curveQ(domain, lane, items);
}

/** The largest batch that the lane's model is believed to accept, and the size beyond which batching gains nothing. */
export function lane_capacity(handle: usize, lane: u32): u32 {
  const domain = changetype<Domain>(handle);
  assert(lane < domain.laneCount);
  return laneAt(domain, lane).capacity;
}

export function lane_knee(handle: usize, lane: u32): u32 {
  const domain = changetype<Domain>(handle);
  assert(lane < domain.laneCount);
  latencyMean(laneAt(domain, lane).model, 1);
  return laneAt(domain, lane).model.knee;
}

/** Times that the clock ran backwards. */
export function clock_back(handle: usize): u32 {
  return changetype<Domain>(handle).clockBack;
}

