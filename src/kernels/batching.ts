// The host's side of batching.wasm: what a host may tell a scheduling domain, and what it hears back.
import type { Outcome, Reason, Setting } from './reasons.ts';

/** Bounds and settings of one scheduling domain. Times in milliseconds. */
export interface DomainSettings {
  /** Latency objective of one request. */
  sloMs: number;
  /** Share of requests that must meet it, 0.5 to 0.9999. */
  sloQuantile: number;
  /** 0 (dispatch at once) to 1 (use all slack), or -1 for `auto`. */
  patience: number;
  /** Upper bound of a batch, in items. The useful size is learned. */
  maxBatchItems: number;
  /** How far `Setting.MaxBatchItems` may raise that later, at most 1024; memory is sized by it. Without it: not at all. */
  maxBatchItemsEver?: number;
  /** Late work waits for spare room (true) or is refused at once (false). */
  deferLate: boolean;
  /** Hard timeout of one request. */
  lateTimeoutMs: number;
  /** Requests that may wait; memory is sized by it. */
  maxWaiting: number;
  /** Rows for lanes, at most 256. */
  maxLanes: number;
  /** Upper bound of batches in flight at once. */
  maxInFlight: number;
}

/** One request on its way into a domain. Times are absolute, in ms of the host's monotonic clock. */
export interface Arrival {
  /** The host's own number for it, returned with `admitted` or `rejected`. */
  ticket: number;
  lane: number;
  items: number;
  /** Infinity: the domain's SLO counts. */
  softDeadline: number;
  /** Infinity: the domain's late timeout counts. */
  hardDeadline: number;
  /** 0 is the most urgent band; the default band is 4 of 0..7. */
  band: number;
  /** 0 is the shared tenant; at most 1,024. */
  tenant: number;
}

/** Receives the verdicts of one step, in order. */
export interface VerdictSink {
  admitted(ticket: number, slot: number): void;
  rejected(ticket: number, reason: Reason): void;
  /** `slots` is a view that is valid only during the call. */
  dispatch(batch: number, lane: number, slots: Uint32Array, reason: Reason, predictedMs: number): void;
  refused(slot: number, reason: Reason): void;
  deferred(slot: number): void;
}

/** One scheduling domain: requests that contend for the same upstream. */
export interface BatchingDomain {
  /**
   * Who hears verdicts from now on, also those of a step that an event makes when the table of events is full. `step`
   * does the same for its sink; whoever may have more than a table of events before the first step says it earlier.
   */
  listen(sink: VerdictSink): void;
  /** A row for a new lane, or -1 when all rows are in use. A row that was idle longest may be reused: `laneEvicted`. */
  openLane(at: number): number;
  arrive(at: number, arrival: Arrival): void;
  complete(at: number, batch: number, outcome: Outcome): void;
  cancel(at: number, slot: number): void;
  set(at: number, setting: Setting, value: number): void;
  noteLateness(at: number, lateMs: number): void;
  noteReplyPath(at: number, replyMs: number): void;
  limitLane(at: number, lane: number, maxRequests: number): void;
  upstreamChanged(at: number): void;
  drain(at: number): void;
  /**
   * Lets the kernel take all events and decide. Returns the time to call again at the latest (Infinity: no need), or
   * `now` itself when more verdicts are ready than one call may give.
   */
  step(now: number, sink: VerdictSink): number;
  /** What the domain has learned and holds, for reports. */
  readonly signals: DomainSignals;
}

/** Read-outs of a domain. Rates in items per second, times in ms. */
export interface DomainSignals {
  waiting(): number;
  lateWaiting(): number;
  inFlight(): number;
  parallelLimit(): number;
  /** As of `now`; without it, or with one before the last step, as of the last step. */
  arrivalRate(now?: number): number;
  /** Share of the ten seconds or so before `now` in which something was in flight; `now` as above. */
  busyShare(now?: number): number;
  expectedMs(lane: number, items: number): number;
  quantileMs(lane: number, items: number): number;
  laneCapacity(lane: number): number;
  laneKnee(lane: number): number;
}
