import { Abi, EventKind, VerdictKind } from '../../assembly/batching/codes.ts';
import type { Arrival, BatchingDomain, DomainSettings, DomainSignals, VerdictSink } from './batching.ts';
import { instantiateKernel, type KernelSource } from './load.ts';
import { type Outcome, type Reason, Setting } from './reasons.ts';

type KernelFunction = (...args: number[]) => number;

/** The exports of one instance of batching.wasm, typed. */
interface BatchingExports {
  memory: WebAssembly.Memory;
  abi_version: KernelFunction;
  event_bytes: KernelFunction;
  verdict_bytes: KernelFunction;
  events_max: KernelFunction;
  configure: KernelFunction;
  events_at: KernelFunction;
  verdicts_at: KernelFunction;
  list_at: KernelFunction;
  open_lane: KernelFunction;
  step: KernelFunction;
  wake_at: KernelFunction;
  waiting: KernelFunction;
  late_waiting: KernelFunction;
  in_flight: KernelFunction;
  parallel_limit: KernelFunction;
  arrival_rate: KernelFunction;
  busy_share: KernelFunction;
  expected_ms: KernelFunction;
  quantile_ms: KernelFunction;
  lane_capacity: KernelFunction;
  lane_knee: KernelFunction;
}

const eventBytes = 64;
const verdictBytes = 32;

/**
 * Makes a domain in an instance of its own.
 *
 * @throws {Error} if the kernel's boundary is of another version than this host's.
 * @throws {WebAssembly.RuntimeError} if a setting is out of range.
 */
export function createBatchingDomain(settings: DomainSettings, now: number, from?: KernelSource): BatchingDomain {
  const kernel = instantiateKernel('batching', from) as unknown as BatchingExports;
  if (
    kernel.abi_version() !== Abi.Version ||
    kernel.event_bytes() !== eventBytes ||
    kernel.verdict_bytes() !== verdictBytes
  ) {
    throw new Error('batching.wasm does not fit this program: run `npm run build` so that both are of one version');
  }
  return new WasmDomain(kernel, settings, now);
}

/**
 * Writes event records and reads verdict records. The views are made once: nothing allocates after `configure`, so the
 * memory never grows under them.
 *
 * ```
 *  event 64 B    kind u32 | id u32 | at f64 | soft f64 | hard f64 | value f64 | lane | items | band | tenant | code | -
 *  verdict 32 B  kind u32 | id u32 | lane u32 | reason u32 | first u32 | count u32 | value f64
 * ```
 */
class WasmDomain implements BatchingDomain {
  readonly signals: DomainSignals;
  readonly #kernel: BatchingExports;
  readonly #handle: number;
  readonly #words: Uint32Array;
  readonly #floats: Float64Array;
  readonly #events: number;
  readonly #verdicts: number;
  readonly #list: number;
  readonly #eventsMax: number;
  #pending = 0;
  #sink: VerdictSink | undefined;

  constructor(kernel: BatchingExports, settings: DomainSettings, now: number) {
    this.#kernel = kernel;
    this.#handle = kernel.configure(
      settings.maxWaiting,
      settings.maxLanes,
      settings.maxInFlight,
      settings.maxBatchItems,
      settings.maxBatchItemsEver ?? settings.maxBatchItems,
      settings.sloMs,
      settings.sloQuantile,
      now,
    );
    this.#words = new Uint32Array(kernel.memory.buffer);
    this.#floats = new Float64Array(kernel.memory.buffer);
    this.#events = kernel.events_at(this.#handle);
    this.#verdicts = kernel.verdicts_at(this.#handle);
    this.#list = kernel.list_at(this.#handle) >>> 2;
    this.#eventsMax = kernel.events_max();
    this.signals = signalsOf(kernel, this.#handle);
    this.set(now, Setting.Patience, settings.patience);
    this.set(now, Setting.DeferLate, settings.deferLate ? 1 : 0);
    this.set(now, Setting.LateTimeoutMs, settings.lateTimeoutMs);
  }

  listen(sink: VerdictSink): void {
    this.#sink = sink;
  }

  openLane(at: number): number {
    return this.#kernel.open_lane(this.#handle, at);
  }

  arrive(at: number, arrival: Arrival): void {
    const word = this.#event(EventKind.Arrival, arrival.ticket, at, 0);
    const float = word >>> 1;
    this.#floats[float + 2] = arrival.softDeadline;
    this.#floats[float + 3] = arrival.hardDeadline;
    this.#words[word + 10] = arrival.lane;
    this.#words[word + 11] = arrival.items;
    this.#words[word + 12] = arrival.band;
    this.#words[word + 13] = arrival.tenant;
  }

  complete(at: number, batch: number, outcome: Outcome): void {
    const word = this.#event(EventKind.Completion, batch, at, 0);
    this.#words[word + 14] = outcome;
  }

  cancel(at: number, slot: number): void {
    this.#event(EventKind.Cancel, slot, at, 0);
  }

  set(at: number, setting: Setting, value: number): void {
    const word = this.#event(EventKind.Setting, 0, at, value);
    this.#words[word + 14] = setting;
  }

  noteLateness(at: number, lateMs: number): void {
    this.#event(EventKind.Lateness, 0, at, lateMs);
  }

  noteReplyPath(at: number, replyMs: number): void {
    this.#event(EventKind.ReplyPath, 0, at, replyMs);
  }

  limitLane(at: number, lane: number, maxRequests: number): void {
    const word = this.#event(EventKind.LaneLimit, 0, at, maxRequests);
    this.#words[word + 10] = lane;
  }

  upstreamChanged(at: number): void {
    this.#event(EventKind.UpstreamChanged, 0, at, 0);
  }

  drain(at: number): void {
    this.#event(EventKind.Drain, 0, at, 0);
  }

  step(now: number, sink: VerdictSink): number {
    this.#sink = sink;
    const count = this.#kernel.step(this.#handle, now, this.#pending);
    this.#pending = 0;
    const wake = this.#kernel.wake_at(this.#handle);
    for (let i = 0; i < count; i++) this.#deliver(this.#verdicts + i * verdictBytes, sink);
    return wake;
  }

  #deliver(address: number, sink: VerdictSink): void {
    const word = address >>> 2;
    const words = this.#words;
    const id = words[word + 1] as number;
    const reason = words[word + 3] as Reason;
    switch (words[word] as VerdictKind) {
      case VerdictKind.Admitted:
        sink.admitted(id, this.#floats[(address >>> 3) + 3] as number);
        break;
      case VerdictKind.Rejected:
        sink.rejected(id, reason);
        break;
      case VerdictKind.Dispatch: {
        const first = this.#list + (words[word + 4] as number);
        const slots = words.subarray(first, first + (words[word + 5] as number));
        sink.dispatch(id, words[word + 2] as number, slots, reason, this.#floats[(address >>> 3) + 3] as number);
        break;
      }
      case VerdictKind.Refused:
        sink.refused(id, reason);
        break;
      case VerdictKind.Deferred:
        sink.deferred(id);
        break;
    }
  }

  /** Starts an event record and returns the index of its first word. A full table is stepped first. */
  #event(kind: EventKind, id: number, at: number, value: number): number {
    if (this.#pending === this.#eventsMax) {
      if (!this.#sink) throw new Error(`more than ${this.#eventsMax} events before anybody listens`);
      this.step(at, this.#sink);
    }
    const word = (this.#events + this.#pending * eventBytes) >>> 2;
    this.#pending++;
    this.#words[word] = kind;
    this.#words[word + 1] = id;
    this.#floats[(word >>> 1) + 1] = at;
    this.#floats[(word >>> 1) + 4] = value;
    return word;
  }
}

function signalsOf(kernel: BatchingExports, handle: number): DomainSignals {
  return {
    waiting: () => kernel.waiting(handle) >>> 0,
    lateWaiting: () => kernel.late_waiting(handle) >>> 0,
    inFlight: () => kernel.in_flight(handle) >>> 0,
    parallelLimit: () => kernel.parallel_limit(handle) >>> 0,
    arrivalRate: (now = 0) => kernel.arrival_rate(handle, now),
    busyShare: (now = 0) => kernel.busy_share(handle, now),
    expectedMs: (lane, items) => kernel.expected_ms(handle, lane, items),
    quantileMs: (lane, items) => kernel.quantile_ms(handle, lane, items),
    laneCapacity: (lane) => kernel.lane_capacity(handle, lane) >>> 0,
    laneKnee: (lane) => kernel.lane_knee(handle, lane) >>> 0,
  };
}
