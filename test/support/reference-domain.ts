// A plain reference of a scheduling domain: arrays that are sorted when they are read, no trees, no arenas, no records.
// It follows the rules of the batching kernel for a domain with one batch in flight and patience 0, and asks the kernel
// for one thing only: the curves that it has learned. Whatever the kernel says must then follow, verdict by verdict.
import type { Arrival, DomainSettings } from '../../src/kernels/batching.ts';
import { Outcome, Reason, Setting } from '../../src/kernels/reasons.ts';
import { ReferenceDemand, ReferenceRate } from './reference-demand.ts';

/** What the kernel has learned, in ms, and the size beyond which batching gains nothing. */
export interface Curves {
  expectedMs(lane: number, items: number): number;
  quantileMs(lane: number, items: number): number;
  laneKnee(lane: number): number;
}

export interface Request {
  slot: number;
  ticket: number;
  items: number;
  soft: number;
  hard: number;
  lane: number;
  band: number;
  tenant: number;
  bucket: number;
  state: 'on time' | 'late' | 'in flight';
  /** Order of coming into the state; equal deadlines are served in it. */
  since: number;
}

export interface Lane {
  requestLimit: number;
  accepted: number;
  refused: number;
  capacity: number;
  /** How far beyond `capacity` the next try towards a refused size goes. */
  stride: number;
  /** Batches at the limit since the last refusal, and how many of them allow a retry. */
  sinceRefusal: number;
  retryAfter: number;
  lastUsed: number;
  cold: boolean;
  /** Samples that its curve is made of, and the largest size among them. */
  seen: number;
  largest: number;
  /** Flows with work, "band tenant", the newest first. */
  flows: string[];
}

interface Batch {
  lane: number;
  requests: Request[];
  items: number;
  sent: number;
  cold: boolean;
  disturbed: boolean;
}

const bands = 8;
const tenantsMax = 1024;
/** A call ends after this many verdicts beyond what its events said. */
const expiriesMax = 256;
const jumpMs = 5000;

export class ReferenceDomain {
  readonly lanes: Lane[] = [];
  readonly served = new Map<number, number>();
  readonly rate: ReferenceRate;
  readonly demand: ReferenceDemand;
  readonly settings: DomainSettings;
  readonly #requests = new Map<number, Request>();
  readonly #freeSlots: number[];
  /** The largest batch that memory was sized for: sizes beyond it count as it. */
  readonly #sizedFor: number;
  batch: Batch | undefined;
  now: number;
  shortestSloMs: number;
  observed = 0;
  virtual = 0;
  #lateness = 0;
  #replyPath = 0;
  draining = false;
  #cold = true;
  #lastAnswer: number;
  #since = 0;
  #events: ((now: number, before: Curves) => void)[] = [];
  verdicts: string[] = [];
  room = 0;
  wake = 0;

  constructor(settings: DomainSettings, now: number) {
    if (settings.maxInFlight !== 1) throw new Error('the reference knows domains with one batch in flight');
    this.settings = { ...settings };
    this.#sizedFor = settings.maxBatchItems;
    this.now = now;
    this.#lastAnswer = now;
    this.shortestSloMs = settings.sloMs;
    this.rate = new ReferenceRate(now, settings.sloMs);
    this.demand = new ReferenceDemand(settings.sloMs);
    this.#freeSlots = Array.from({ length: settings.maxWaiting }, (_, slot) => slot);
  }

  openLane(): number {
    const most = this.lanes.reduce<Lane | undefined>(
      (best, each) => (best && best.seen >= each.seen ? best : each),
      undefined,
    );
    const lane: Lane = {
      requestLimit: 0,
      accepted: 0,
      refused: 0,
      capacity: this.settings.maxBatchItems,
      stride: 1,
      sinceRefusal: 0,
      retryAfter: 256,
      lastUsed: this.now,
      cold: true,
      seen: 0,
      largest: 0,
      flows: [],
    };
    if (most && most.seen > 0) seed(lane, most);
    return this.lanes.push(lane) - 1;
  }

  get waiting(): Request[] {
    return [...this.#requests.values()].filter((each) => each.state !== 'in flight');
  }

  onTime(lane: number): Request[] {
    return this.#in(lane, 'on time', (each) => each.soft);
  }

  late(lane: number): Request[] {
    return this.#in(lane, 'late', (each) => each.hard);
  }

  /** The requests of one flow, the next one first. */
  flow(lane: number, flow: string): Request[] {
    return this.onTime(lane).filter((each) => flowOf(each) === flow);
  }

  #in(lane: number, state: Request['state'], key: (request: Request) => number): Request[] {
    return [...this.#requests.values()]
      .filter((each) => each.lane === lane && each.state === state)
      .sort((a, b) => key(a) - key(b) || a.since - b.since);
  }

  /** Lateness of timers and the way back to the caller, at most a quarter of the objective. */
  get guard(): number {
    return Math.min(Math.max(this.#lateness, 1.5) + this.#replyPath, this.settings.sloMs * 0.25);
  }

  arrive(at: number, arrival: Arrival): void {
    this.#events.push((now, before) => this.#arrival(this.#clamp(at, now), now, arrival, before));
  }

  complete(at: number, outcome: Outcome): void {
    this.#events.push((now, before) => this.#completion(this.#clamp(at, now), outcome, before));
  }

  cancel(slot: number): void {
    this.#events.push(() => {
      const request = this.#requests.get(slot);
      if (!request || request.state === 'in flight') return;
      this.#remove(request);
      this.#free(request);
    });
  }

  set(setting: Setting, value: number): void {
    this.#events.push(() => {
      if (setting === Setting.SloMs) {
        this.settings.sloMs = value;
        this.rate.scale(value);
        this.shortestSloMs = Math.min(this.shortestSloMs, value);
      } else if (setting === Setting.MaxBatchItems) {
        this.settings.maxBatchItems = value;
        for (const lane of this.lanes) if (lane.refused === 0) lane.capacity = value;
      } else if (setting === Setting.DeferLate) this.settings.deferLate = value > 0;
      else if (setting === Setting.LateTimeoutMs) this.settings.lateTimeoutMs = value;
    });
  }

  noteLateness(value: number): void {
    this.#events.push(() => {
      this.#lateness = nearPeak(this.#lateness, value);
    });
  }

  noteReplyPath(value: number): void {
    this.#events.push(() => {
      this.#replyPath = nearPeak(this.#replyPath, value);
    });
  }

  limitLane(lane: number, requests: number): void {
    this.#events.push(() => {
      (this.lanes[lane] as Lane).requestLimit = requests;
    });
  }

  upstreamChanged(): void {
    this.#events.push(() => {
      this.#cold = true;
    });
  }

  drain(): void {
    this.#events.push(() => {
      this.draining = true;
    });
  }

  /**
   * Takes the events. `before` are the curves before the step: a completion is compared with them, and so is an arrival
   * beside a batch, because the one batch's completion ends that.
   */
  take(now: number, before: Curves): void {
    if (now - this.now > jumpMs && this.batch) this.batch.disturbed = true;
    this.now = Math.max(this.now, now);
    this.verdicts = [];
    for (const event of this.#events.splice(0)) event(this.now, before);
    this.room = this.verdicts.length + expiriesMax;
    this.wake = this.now + 60_000;
  }

  #clamp(at: number, now: number): number {
    return Math.min(Math.max(at, now - 60_000), now);
  }

  #arrival(at: number, now: number, arrival: Arrival, before: Curves): void {
    const lane = this.lanes[arrival.lane] as Lane;
    const { settings } = this;
    const asked = arrival.softDeadline < Infinity ? arrival.softDeadline : at + settings.sloMs;
    const hard = arrival.hardDeadline < Infinity ? arrival.hardDeadline : Math.max(at + settings.lateTimeoutMs, asked);
    const soft = Math.min(asked, hard);
    this.rate.add(at, arrival.items);
    if (this.#freeSlots.length === 0) return this.#say(`reject ${arrival.ticket} ${Reason.QueueFull}`);
    if (hard <= now) return this.#say(`reject ${arrival.ticket} ${Reason.Expired}`);
    const hopeless =
      this.batch !== undefined && lane.seen >= 8 && now + before.expectedMs(arrival.lane, arrival.items) > hard;
    if (hopeless) return this.#say(`reject ${arrival.ticket} ${Reason.Unmeetable}`);
    const objective = soft - at;
    if (objective < this.shortestSloMs) this.shortestSloMs = Math.max(objective, 1);
    else this.shortestSloMs += 0.001 * (objective - this.shortestSloMs);
    const request: Request = {
      slot: this.#freeSlots.shift() as number,
      ticket: arrival.ticket,
      items: arrival.items,
      soft,
      hard,
      lane: arrival.lane,
      band: Math.min(arrival.band, bands - 1),
      tenant: arrival.tenant < tenantsMax ? arrival.tenant : 0,
      bucket: this.demand.add(now, soft, arrival.items),
      state: 'on time',
      since: this.#since++,
    };
    const flow = flowOf(request);
    if (!lane.flows.includes(flow)) {
      lane.flows.unshift(flow);
      // A tenant that comes back has no claim on the time it did not use.
      this.served.set(request.tenant, Math.max(this.served.get(request.tenant) ?? 0, this.virtual));
    }
    this.#requests.set(request.slot, request);
    this.#say(`admit ${request.ticket} ${request.slot}`);
  }

  #completion(at: number, outcome: Outcome, before: Curves): void {
    const batch = this.batch as Batch;
    const lane = this.lanes[batch.lane] as Lane;
    const ms = Math.max(at - batch.sent, 0.01);
    const size = Math.min(batch.items, this.#sizedFor);
    if (outcome === Outcome.Answered) {
      this.#lastAnswer = at;
      lane.accepted = Math.max(lane.accepted, batch.items);
      if (lane.refused > 0) {
        if (batch.items >= lane.capacity) lane.sinceRefusal++;
        if (batch.items >= lane.refused) {
          lane.refused = 0;
          lane.capacity = this.settings.maxBatchItems;
          lane.retryAfter = 256;
        } else if (batch.items > lane.capacity) {
          lane.capacity = batch.items;
          lane.stride *= 2;
        }
      }
      if (!batch.disturbed) {
        if (batch.cold) {
          this.#cold = false;
          lane.cold = false;
        } else {
          learned(lane, size);
          this.observed++;
          if (lane.seen === 1) for (const each of this.lanes) if (each !== lane && each.seen === 0) seed(each, lane);
        }
      }
    } else if (outcome === Outcome.TimedOut || outcome === Outcome.Cancelled) {
      if (!batch.cold && !batch.disturbed && ms > before.expectedMs(batch.lane, size)) learned(lane, size);
    } else if (outcome === Outcome.TooLarge && batch.items > 1) {
      if (batch.items === lane.refused) lane.retryAfter = Math.min(lane.retryAfter * 2, 8192);
      lane.sinceRefusal = 0;
      lane.refused = lane.refused === 0 ? batch.items : Math.min(lane.refused, batch.items);
      lane.accepted = Math.min(lane.accepted, lane.refused - 1);
      lane.capacity = Math.max(lane.accepted, batch.items >> 1, 1);
      lane.stride = 1;
    }
    for (const request of batch.requests.toReversed()) this.#free(request);
    lane.lastUsed = at;
    this.batch = undefined;
  }

  becomeLate(request: Request): void {
    this.#remove(request);
    request.state = 'late';
    request.since = this.#since++;
    if (this.settings.deferLate) this.#say(`defer ${request.slot}`);
  }

  refuse(request: Request, reason: Reason): void {
    this.#remove(request);
    this.#free(request);
    this.#say(`refuse ${request.slot} ${reason}`);
  }

  /** Sends requests that were taken out one by one with `take`. */
  send(laneIndex: number, requests: Request[], reason: Reason, curves: Curves): void {
    const lane = this.lanes[laneIndex] as Lane;
    const items = requests.reduce((sum, each) => sum + each.items, 0);
    const cold = this.#cold || lane.cold || this.now - this.#lastAnswer > 60_000;
    this.batch = { lane: laneIndex, requests, items, sent: this.now, cold, disturbed: false };
    lane.lastUsed = this.now;
    const slots = requests.map((each) => each.slot).join(',');
    const predicted = this.now + curves.expectedMs(laneIndex, items) - this.now;
    this.#say(`send 0 ${laneIndex} [${slots}] ${reason} ${predicted}`);
  }

  /** A request leaves the queue for a batch. */
  board(request: Request): void {
    this.#remove(request);
    request.state = 'in flight';
  }

  #remove(request: Request): void {
    if (request.state !== 'on time') return;
    this.demand.remove(request.bucket, request.items);
    const lane = this.lanes[request.lane] as Lane;
    const flow = flowOf(request);
    if (this.flow(request.lane, flow).length === 1) lane.flows = lane.flows.filter((each) => each !== flow);
  }

  #free(request: Request): void {
    this.#requests.delete(request.slot);
    this.#freeSlots.unshift(request.slot);
  }

  #say(verdict: string): void {
    this.verdicts.push(verdict);
  }
}

export function flowOf(request: Request): string {
  return `${request.band} ${request.tenant}`;
}

function learned(lane: Lane, size: number): void {
  lane.seen++;
  lane.largest = Math.max(lane.largest, size);
}

function seed(lane: Lane, from: Lane): void {
  lane.seen = from.seen >= 4 ? 8 : from.seen;
  lane.largest = from.largest;
  lane.cold = false;
}

/** Follows the upper end of a noisy measurement: up quickly, down slowly. */
function nearPeak(estimate: number, sample: number): number {
  return estimate + (sample > estimate ? 0.3 : 0.003) * (Math.min(sample, 1000) - estimate);
}
