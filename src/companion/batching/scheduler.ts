import type { BatchingDomain, DomainSettings, DomainSignals, VerdictSink } from '../../kernels/batching.ts';
import { type Outcome, Reason, type Setting } from '../../kernels/reasons.ts';
import type { Exchange } from './exchange.ts';
import { type Lane, LaneTable } from './lanes.ts';
import { PassQueue } from './pass-queue.ts';
import type { Queued } from './queued.ts';
import { RefusalQueue } from './refusal-queue.ts';

/** A set of requests that the kernel sends together. */
export interface Dispatched<T extends Queued = Exchange> {
  readonly exchanges: T[];
  /** Undefined while decisions are not the kernel's: one request at a time. */
  readonly lane: Lane | undefined;
  readonly reason: Reason;
  readonly predictedMs: number;
  /** To be called once, when the call has ended. */
  readonly finished: (outcome: Outcome) => void;
}

/** What the scheduler has done for it. */
export interface SchedulerActions<T extends Queued = Exchange> {
  send(dispatched: Dispatched<T>): void;
  refuse(exchange: T, reason: Reason): void;
  /** The kernel failed; `passing`: from now on requests go first in, first out. */
  trapped(error: unknown, passing: boolean): void;
}

const trapWindowMs = 60_000;
const trapsMax = 3;

/** A batch that the kernel has decided on and that is still to be sent. */
interface Decided<T> {
  readonly batch: number;
  /** Of the kernel that decided, and its lane then: before this is sent another one may be in its place. */
  readonly generation: number;
  readonly lane: Lane | undefined;
  readonly exchanges: T[];
  readonly reason: Reason;
  readonly predictedMs: number;
}

/**
 * Carries events to the kernel once per turn of the event loop, and its verdicts out. The table of slots here is the
 * truth: when the kernel traps it is rebuilt from it, and after three traps in a minute requests pass for a minute.
 */
export class Scheduler<T extends Queued = Exchange> implements VerdictSink {
  readonly lanes: LaneTable;
  readonly #create: (now: number) => BatchingDomain;
  readonly #settings: DomainSettings;
  readonly #actions: SchedulerActions<T>;
  #domain: BatchingDomain;
  /** Grows when the kernel is rebuilt: what older batches report is not for the new one. */
  #generation = 0;
  readonly #slots: (T | undefined)[] = [];
  readonly #arriving = new Map<number, T>();
  #nextTicket = 0;
  readonly #toSend: Decided<T>[] = [];
  readonly #refusals: RefusalQueue<T>;
  #stepPlanned = false;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #stopped = false;
  #slotFreeSince = 0;
  #inFlight = 0;
  readonly #trapTimes: number[] = [];
  /** What waits while the kernel does not decide, and what a new one has yet to be told of. */
  readonly #passing: PassQueue<T>;
  /** Until then requests pass; 0: decisions are the kernel's. */
  #passingUntil = 0;
  #draining = false;
  /** Settings that are no longer those it was made with. */
  readonly #changed = new Map<Setting, number>();
  /** Batches that the model was last known to take at once. */
  #limit = 2;

  /** @param create makes a domain; it is called again after a trap. */
  constructor(settings: DomainSettings, create: (now: number) => BatchingDomain, actions: SchedulerActions<T>) {
    this.#settings = settings;
    this.#create = create;
    this.#actions = actions;
    this.#domain = create(performance.now());
    this.#domain.listen(this);
    this.lanes = new LaneTable(() => this.#openRow());
    this.#refusals = new RefusalQueue((exchange, reason) => actions.refuse(exchange, reason));
    this.#passing = new PassQueue({
      room: () => this.#inFlight < Math.max(2, this.#limit),
      send: (exchange) => {
        exchange.sentAt = performance.now();
        this.#send([exchange], undefined, Reason.None, 0, () => {});
      },
      refuse: (exchange, reason) => this.#refuse(exchange, reason),
    });
  }

  /** What the kernel has learned; zeros while decisions are not its own. A trap while reading rebuilds it. */
  readonly signals: DomainSignals = {
    waiting: () => this.#read((signals) => signals.waiting()),
    lateWaiting: () => this.#read((signals) => signals.lateWaiting()),
    inFlight: () => this.#read((signals) => signals.inFlight()),
    parallelLimit: () => this.#read((signals) => signals.parallelLimit()),
    arrivalRate: () => this.#read((signals) => signals.arrivalRate(performance.now())),
    busyShare: () => this.#read((signals) => signals.busyShare(performance.now())),
    expectedMs: (lane, items) => this.#read((signals) => signals.expectedMs(lane, items)),
    quantileMs: (lane, items) => this.#read((signals) => signals.quantileMs(lane, items)),
    laneCapacity: (lane) => this.#read((signals) => signals.laneCapacity(lane)),
    laneKnee: (lane) => this.#read((signals) => signals.laneKnee(lane)),
  };

  #read(signal: (signals: DomainSignals) => number): number {
    return this.deciding ? this.#guarded(() => signal(this.#domain.signals), 0) : 0;
  }

  /** Batches at the model, of every generation. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Requests that wait, also those that the kernel has not seen yet. */
  get waiting(): number {
    return this.#arriving.size + this.#passing.size + this.signals.waiting();
  }

  /** Whether decisions are the kernel's. */
  get deciding(): boolean {
    return this.#passingUntil === 0;
  }

  /** Takes a request, or returns false where no lane is free for it. */
  submit(exchange: T): boolean {
    if (!this.#mayDecide()) return this.#pass(exchange);
    const lane = this.#guarded(() => this.lanes.lane(exchange.laneKey), undefined);
    // Opening a lane may have been the kernel's last trap.
    if (!this.deciding) return this.#pass(exchange);
    if (!lane) return false;
    lane.requests++;
    this.#arrive(exchange, lane.row);
    return true;
  }

  /** The caller went away before its request was sent. */
  leave(exchange: T): void {
    const slot = exchange.slot;
    if (slot >= 0 && this.#slots[slot] === exchange) {
      this.#slots[slot] = undefined;
      exchange.slot = -1;
      this.#tell((domain, now) => domain.cancel(now, slot));
      return;
    }
    this.#passing.leave(exchange);
  }

  /** Changes a setting from now on, for this kernel and for those that come after it. */
  set(setting: Setting, value: number): void {
    this.#changed.set(setting, value);
    this.#tell((domain, now) => domain.set(now, setting, value));
  }

  /** Ends waiting for company: what waits goes at once, and so does what still comes. */
  drain(): void {
    this.#draining = true;
    this.#tell((domain, now) => domain.drain(now));
  }

  limitLane(lane: Lane, maxRequests: number): void {
    if (this.lanes.at(lane.row) === lane) this.#tell((domain, now) => domain.limitLane(now, lane.row, maxRequests));
  }

  noteReplyPath(ms: number): void {
    this.#tell((domain, now) => domain.noteReplyPath(now, ms));
  }

  stop(): void {
    this.#stopped = true;
    this.#wakeNever();
    this.#passing.stop();
  }

  admitted(ticket: number, slot: number): void {
    const exchange = this.#arriving.get(ticket) as T;
    this.#arriving.delete(ticket);
    exchange.slot = slot;
    this.#slots[slot] = exchange;
    if (exchange.ended) queueMicrotask(() => this.leave(exchange));
  }

  rejected(ticket: number, reason: Reason): void {
    const exchange = this.#arriving.get(ticket) as T;
    this.#arriving.delete(ticket);
    this.#refusals.add(exchange, reason);
  }

  dispatch(batch: number, row: number, slots: Uint32Array, reason: Reason, predictedMs: number): void {
    const exchanges: T[] = [];
    for (const slot of slots) exchanges.push(this.#release(slot));
    const generation = this.#generation;
    this.#toSend.push({ batch, generation, lane: this.lanes.at(row), exchanges, reason, predictedMs });
  }

  refused(slot: number, reason: Reason): void {
    this.#refusals.add(this.#release(slot), reason);
  }

  deferred(): void {}

  #release(slot: number): T {
    const exchange = this.#slots[slot] as T;
    this.#slots[slot] = undefined;
    exchange.slot = -1;
    return exchange;
  }

  #arrive(exchange: T, row: number): void {
    const ticket = this.#nextTicket;
    this.#nextTicket = (this.#nextTicket + 1) >>> 0;
    this.#arriving.set(ticket, exchange);
    this.#tell((domain) =>
      domain.arrive(exchange.arrivedAt, {
        ticket,
        lane: row,
        items: exchange.measured.items,
        softDeadline: exchange.softDeadline,
        hardDeadline: exchange.hardDeadline,
        band: exchange.band,
        tenant: exchange.tenant,
      }),
    );
  }

  /** The kernel may reuse an idle row: it must have seen all arrivals before it is asked for one. */
  #openRow(): number {
    if (this.#arriving.size > 0) this.#step();
    return this.deciding ? this.#domain.openLane(performance.now()) : -1;
  }

  #tell(event: (domain: BatchingDomain, now: number) => void): void {
    if (!this.deciding) return;
    this.#guarded(() => event(this.#domain, performance.now()), undefined);
    this.#plan();
  }

  #plan(): void {
    if (this.#stepPlanned) return;
    this.#stepPlanned = true;
    setImmediate(() => {
      if (this.#stepPlanned) this.#step();
    });
  }

  #step(): void {
    this.#stepPlanned = false;
    if (!this.deciding) return;
    const now = performance.now();
    const wake = this.#guarded(() => this.#domain.step(now, this), Number.POSITIVE_INFINITY);
    this.#sendAll();
    this.#refusals.start();
    if (wake <= now) this.#plan();
    else this.#wakeAt(wake);
  }

  #sendAll(): void {
    const now = performance.now();
    for (const each of this.#toSend.splice(0)) {
      for (const exchange of each.exchanges) {
        exchange.sentAt = now;
        exchange.waitMs = Math.max(0, now - Math.max(exchange.arrivedAt, this.#slotFreeSince));
      }
      this.#send(each.exchanges, each.lane, each.reason, each.predictedMs, (outcome) => {
        if (each.generation !== this.#generation || !this.deciding) return;
        this.#guarded(() => this.#domain.complete(performance.now(), each.batch, outcome), undefined);
        this.#step();
      });
    }
    this.#limit = this.signals.parallelLimit() || this.#limit;
    if (this.#inFlight >= this.#limit) this.#slotFreeSince = Number.POSITIVE_INFINITY;
  }

  #send(
    exchanges: T[],
    lane: Lane | undefined,
    reason: Reason,
    predictedMs: number,
    done: (outcome: Outcome) => void,
  ): void {
    this.#inFlight++;
    const finished = (outcome: Outcome) => {
      this.#inFlight--;
      if (this.#slotFreeSince === Number.POSITIVE_INFINITY) this.#slotFreeSince = performance.now();
      done(outcome);
      if (!this.#mayDecide()) this.#passing.sendAllowed();
    };
    this.#actions.send({ exchanges, lane, reason, predictedMs, finished });
  }

  #wakeAt(wake: number): void {
    // Calls that end when the upstream is closed still step: they must not keep the process alive.
    if (this.#stopped || wake >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = wake;
    if (wake === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(
      () => {
        this.#timerAt = Number.POSITIVE_INFINITY;
        const late = performance.now() - wake;
        if (late >= 0) this.#tell((domain, now) => domain.noteLateness(now, late));
        this.#step();
      },
      Math.ceil(wake - performance.now()),
    );
  }

  #wakeNever(): void {
    clearTimeout(this.#timer);
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  /** Calls into the kernel; a trap rebuilds it, and the call's result is then `otherwise`. */
  #guarded<T>(call: () => T, otherwise: T): T {
    try {
      return call();
    } catch (error) {
      this.#recover(error);
      return otherwise;
    }
  }

  #recover(error: unknown): void {
    const now = performance.now();
    this.#trapTimes.push(now);
    while ((this.#trapTimes[0] as number) < now - trapWindowMs) this.#trapTimes.shift();
    const waiting = [
      ...this.#toSend.splice(0).flatMap((each) => each.exchanges),
      ...this.#slots.filter((each) => each !== undefined),
      ...this.#arriving.values(),
    ].sort((one, other) => one.arrivedAt - other.arrivedAt);
    this.#slots.length = 0;
    this.#arriving.clear();
    this.#wakeNever();
    const passing = this.#trapTimes.length >= trapsMax || !this.#renew(now);
    if (passing) this.#passingUntil = now + trapWindowMs;
    this.#actions.trapped(error, passing);
    for (const exchange of waiting) {
      exchange.slot = -1;
      if (!exchange.ended) this.#passing.push(exchange);
    }
    this.#refusals.start();
    // Not at once: the trap may have come up in the midst of taking a request in.
    setImmediate(() => (this.deciding ? this.#submitPassing() : this.#passing.sendAllowed()));
  }

  /** Puts a new kernel, which knows no lane, in the place of the present one. Returns whether it could be made. */
  #renew(now: number): boolean {
    this.#generation++;
    this.lanes.clear();
    try {
      this.#domain = this.#create(now);
      this.#domain.listen(this);
      for (const [setting, value] of this.#changed) this.#domain.set(now, setting, value);
      if (this.#draining) this.#domain.drain(now);
      return true;
    } catch {
      return false;
    }
  }

  /** Whether decisions are the kernel's. After a minute of passing it gets another chance, with all that waits. */
  #mayDecide(): boolean {
    if (this.deciding) return true;
    const now = performance.now();
    if (now < this.#passingUntil) return false;
    if (!this.#renew(now)) {
      this.#passingUntil = now + trapWindowMs;
      return false;
    }
    this.#passingUntil = 0;
    this.#trapTimes.length = 0;
    this.#submitPassing();
    return this.deciding;
  }

  #submitPassing(): void {
    for (const exchange of this.#passing.takeAll())
      if (!this.submit(exchange)) this.#refuse(exchange, Reason.QueueFull);
  }

  #refuse(exchange: T, reason: Reason): void {
    this.#refusals.add(exchange, reason);
    this.#refusals.start();
  }

  #pass(exchange: T): true {
    if (this.#passing.size >= this.#settings.maxWaiting) this.#refuse(exchange, Reason.QueueFull);
    else this.#passing.push(exchange);
    this.#passing.sendAllowed();
    return true;
  }
}
