// The plain reference of what a domain decides once it has taken its events: see reference-domain.ts.
import { Reason } from '../../src/kernels/reasons.ts';
import type { Curves, Lane, ReferenceDomain, Request } from './reference-domain.ts';

interface Plan {
  lane: number;
  head: Request;
  items: number;
  /** The size that throughput needs. */
  fit: number;
  slack: number;
  reason: Reason;
}

/** Decides until nothing more may be sent, expires what is past, and returns when to look again. */
export function decide(domain: ReferenceDomain, curves: Curves): number {
  let more = !passDeadlines(domain);
  while (!more) {
    if (domain.verdicts.length >= domain.room) more = true;
    else if (!sendOnTime(domain, curves) && !sendLate(domain, curves)) break;
  }
  if (!endLate(domain) || domain.verdicts.length >= domain.room) more = true;
  if (domain.batch) {
    const due = domain.waiting.filter((each) => each.state === 'on time').map((each) => each.soft + 0.5);
    domain.wake = Math.min(domain.wake, domain.now + 2500, ...due);
  }
  return more ? domain.now : domain.wake;
}

/** Work whose objective has passed is late, wherever it stands. */
function passDeadlines(domain: ReferenceDomain): boolean {
  for (const [index, lane] of domain.lanes.entries()) {
    for (const flow of [...lane.flows]) {
      for (const request of domain.flow(index, flow)) {
        if (domain.verdicts.length >= domain.room) return false;
        if (request.soft > domain.now) break;
        domain.becomeLate(request);
      }
    }
  }
  return true;
}

/** The request to serve next in a lane: lowest band, then the tenant that got least, then the earliest deadline. */
function nextRequest(domain: ReferenceDomain, index: number): Request | undefined {
  const lane = domain.lanes[index] as Lane;
  const heads = lane.flows.map((flow) => domain.flow(index, flow)[0] as Request);
  const served = (request: Request) => domain.served.get(request.tenant) ?? 0;
  return heads.sort((a, b) => a.band - b.band || served(a) - served(b) || a.soft - b.soft)[0];
}

/** Never more than the model is known to take, nor than twice of what was tried before. */
function capacityOf(domain: ReferenceDomain, lane: Lane): number {
  let most = lane.capacity;
  if (lane.refused > lane.capacity + 1)
    most = Math.min(lane.capacity + lane.stride, (lane.capacity + lane.refused) >> 1);
  else if (lane.refused > 0 && lane.sinceRefusal >= lane.retryAfter) most = lane.refused;
  return Math.max(Math.min(most, domain.settings.maxBatchItems, Math.max(lane.largest, 1) * 2), 1);
}

/** n_min: the least n with n / L(n) >= the rate at which work comes or is due. */
function leastItems(domain: ReferenceDomain, index: number, most: number, curves: Curves): number {
  const rate = Math.max(domain.rate.peakPerMs(domain.now), domain.demand.perMs(domain.now));
  let n = 1;
  while (n < most && n < rate * curves.expectedMs(index, n)) n++;
  return n;
}

/** 0 up to the load that full batches can carry, 1 from a tenth beyond it on. */
function caution(domain: ReferenceDomain, index: number, curves: Curves): number {
  const n = Math.min(domain.settings.maxBatchItems, (domain.lanes[index] as Lane).capacity);
  const load = (domain.rate.perMs(domain.now) * curves.expectedMs(index, n)) / n;
  return Math.min(Math.max((load - 1) / 0.1, 0), 1);
}

/** The largest n from `least` to `most` whose quantile ends within `slack`; `least` where none does. */
function largestWithin(index: number, slack: number, least: number, most: number, curves: Curves): number {
  let n = most;
  while (n > least && curves.quantileMs(index, n) > slack) n--;
  return n;
}

function plan(domain: ReferenceDomain, index: number, curves: Curves): Plan | undefined {
  const lane = domain.lanes[index] as Lane;
  const most = capacityOf(domain, lane);
  const fit = leastItems(domain, index, most, curves);
  for (;;) {
    const head = nextRequest(domain, index);
    if (!head) return undefined;
    const waiting = domain.onTime(index).reduce((sum, each) => sum + each.items, 0);
    const least = Math.max(Math.min(fit, waiting), head.items);
    const slack = head.soft - domain.now - domain.guard;
    const mean = curves.expectedMs(index, least);
    const careful = waiting <= fit ? 0 : caution(domain, index, curves);
    const fits = mean + careful * (curves.quantileMs(index, least) - mean) <= slack;
    if (!fits && lane.seen > 0 && domain.observed >= 8) {
      if (domain.verdicts.length >= domain.room) return undefined;
      domain.becomeLate(head);
      continue;
    }
    const top = Math.min(most, Math.max(curves.laneKnee(index), least));
    const items = largestWithin(index, slack, least, Math.max(Math.min(top, waiting), least), curves);
    const reason = items >= most ? Reason.Full : Reason.SlotFree;
    return { lane: index, head, items, fit, slack: slack - curves.quantileMs(index, items), reason };
  }
}

/**
 * Lane and batch together: band, then the tenant that got least, then least slack at the size it would run. A batch that
 * is smaller than throughput needs lets one of the same rank that is not go first, where there is time for both.
 */
function sendOnTime(domain: ReferenceDomain, curves: Curves): boolean {
  if (domain.batch) return false;
  const plans: Plan[] = [];
  for (const index of domain.lanes.keys()) {
    const one = domain.onTime(index).length > 0 ? plan(domain, index, curves) : undefined;
    if (one) plans.push(one);
  }
  const served = (each: Plan) => domain.served.get(each.head.tenant) ?? 0;
  plans.sort((a, b) => a.head.band - b.head.band || served(a) - served(b) || a.slack - b.slack);
  const urgent = plans[0];
  if (!urgent) return false;
  const full = plans.find((each) => each.items >= each.fit);
  const sameRank = full && full.head.band === urgent.head.band && served(full) === served(urgent);
  const timeForBoth = full && urgent.slack >= curves.quantileMs(full.lane, full.items) + domain.guard;
  const best = urgent.items < urgent.fit && full && sameRank && timeForBoth ? full : urgent;
  const lane = domain.lanes[best.lane] as Lane;
  const batch: Request[] = [];
  // Those that the batch would answer late stay behind, unless nothing is known yet.
  const horizon = domain.observed < 8 ? 0 : domain.now + curves.expectedMs(best.lane, best.items);
  while (itemsOf(batch) < best.items && !isFull(lane, batch)) {
    const next = nextRequest(domain, best.lane);
    if (!next) break;
    if (batch.length > 0 && (itemsOf(batch) + next.items > best.items || next.soft < horizon)) break;
    charge(domain, next, (curves.expectedMs(best.lane, best.items) * next.items) / best.items);
    domain.board(next);
    batch.push(next);
  }
  if (domain.late(best.lane).length > 0) {
    const items = itemsOf(batch);
    const slack = best.slack + curves.quantileMs(best.lane, best.items);
    const room = Math.min(
      slack,
      domain.shortestSloMs - curves.quantileMs(best.lane, Math.max(items, 1)) - 2 * domain.guard,
    );
    const most = largestWithin(best.lane, room, items, Math.max(capacityOf(domain, lane), items), curves);
    boardLate(domain, best.lane, batch, most, curves);
  }
  domain.send(best.lane, batch, domain.draining ? Reason.Drain : best.reason, curves);
  return true;
}

/** A tenant pays the model time that its items take. */
function charge(domain: ReferenceDomain, request: Request, ms: number): void {
  const paid = domain.served.get(request.tenant) ?? 0;
  domain.virtual = Math.max(domain.virtual, paid);
  domain.served.set(request.tenant, paid + ms);
}

/** Late work alone: of the lane where the oldest waits, or else of the first other one that may send some. */
function sendLate(domain: ReferenceDomain, curves: Curves): boolean {
  const first = oldestLate(domain)?.lane;
  if (first === undefined) return false;
  const others = domain.lanes.flatMap((_, index) => (index !== first && domain.late(index).length > 0 ? [index] : []));
  return [first, ...others].some((index) => sendLateOf(domain, index, curves));
}

/** Where nothing on time waits, or once a second for a lane that has nothing else. */
function sendLateOf(domain: ReferenceDomain, index: number, curves: Curves): boolean {
  const lane = domain.lanes[index] as Lane;
  const onTime = domain.waiting.some((each) => each.state === 'on time');
  if (onTime && (domain.onTime(index).length > 0 || domain.now - lane.lastUsed < 1000)) return false;
  if (domain.batch) return false;
  const alone = curves.quantileMs(index, 1);
  const hopeless = alone + domain.guard > domain.settings.sloMs;
  let most = capacityOf(domain, lane);
  if (!hopeless) most = largestWithin(index, domain.shortestSloMs - alone - 2 * domain.guard, 1, most, curves);
  const batch: Request[] = [];
  boardLate(domain, index, batch, most, curves);
  const last = domain.late(index).at(-1);
  // All looks hopeless and the model is idle: once a second the one with the most time left finds out.
  if (batch.length === 0 && last && domain.now - lane.lastUsed >= 1000 && last.hard > domain.now) {
    domain.board(last);
    batch.push(last);
  }
  if (batch.length === 0) return false;
  domain.send(index, batch, hopeless ? Reason.Probe : Reason.SpareRoom, curves);
  return true;
}

/** Late work in the order of hard deadlines, as far as it fits and can still be answered. */
function boardLate(domain: ReferenceDomain, index: number, batch: Request[], most: number, curves: Curves): void {
  const lane = domain.lanes[index] as Lane;
  for (const request of domain.late(index)) {
    if (itemsOf(batch) >= most || isFull(lane, batch)) return;
    const items = itemsOf(batch) + request.items;
    if (batch.length > 0 && items > most) continue;
    if (request.hard < domain.now + curves.expectedMs(index, items)) continue;
    domain.board(request);
    batch.push(request);
  }
}

/** Ends late work past its hard deadline, beyond its share of the queue, or at once where it is to be shed. */
function endLate(domain: ReferenceDomain): boolean {
  const share = Math.max(Math.floor(domain.settings.maxWaiting / 4), 1);
  for (;;) {
    const oldest = oldestLate(domain);
    if (!oldest) return true;
    if (domain.verdicts.length >= domain.room) return false;
    const lane = domain.lanes[oldest.lane] as Lane;
    const late = domain.waiting.filter((each) => each.state === 'late').length;
    if (oldest.hard <= domain.now) domain.refuse(oldest, Reason.Expired);
    else if (!domain.settings.deferLate && domain.batch && lane.seen >= 8) domain.refuse(oldest, Reason.LateShed);
    else if (late > share) domain.refuse(oldest, Reason.LateOverflow);
    else {
      domain.wake = Math.min(domain.wake, oldest.hard);
      return true;
    }
  }
}

/** The late request whose hard deadline comes first; of equals, the one in the first lane. */
function oldestLate(domain: ReferenceDomain): Request | undefined {
  const heads = domain.lanes.flatMap((_, index) => domain.late(index).slice(0, 1));
  return heads.sort((a, b) => a.hard - b.hard)[0];
}

function itemsOf(batch: readonly Request[]): number {
  return batch.reduce((sum, each) => sum + each.items, 0);
}

function isFull(lane: Lane, batch: readonly Request[]): boolean {
  return lane.requestLimit > 0 && batch.length >= lane.requestLimit;
}
