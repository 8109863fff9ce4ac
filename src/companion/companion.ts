import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BatchingDomain, DomainSettings } from '../kernels/batching.ts';
import { createBatchingDomain } from '../kernels/batching-domain.ts';
import { Reason, reasonLabel } from '../kernels/reasons.ts';
import { type CompanionOptions, shownOptions } from '../policy/companion-options.ts';
import { createProtocols } from '../protocol/json-protocol.ts';
import type { Measurement } from '../protocol/protocol.ts';
import { recognise } from '../protocol/recognise.ts';
import { CompanionMetrics } from '../telemetry/companion-metrics.ts';
import { type Log, RareWarnings } from '../telemetry/log.ts';
import { AdminServer } from './admin.ts';
import { BatchCall, type CallContext } from './batch-call.ts';
import { type BodyEnd, ByteBudget, readBody } from './body.ts';
import { codeOfReason, type ErrorCode, knownCode } from './errors.ts';
import { Exchange, writeError } from './exchange.ts';
import { headersKey } from './headers.ts';
import { HintReader } from './hints.ts';
import { LaneTable } from './lanes.ts';
import { Listener } from './listener.ts';
import { LoopLag } from './loop-lag.ts';
import { PassThrough } from './pass-through.ts';
import { statusOf } from './probe.ts';
import { ResendBudget } from './resend-budget.ts';
import { Scheduler } from './scheduler.ts';
import { signalsOf } from './signals.ts';
import { Upstream } from './upstream.ts';

/** Larger bodies pass through. */
const batchedBodyMax = 4 * 1024 * 1024;
const passThroughMax = 1024;
const laneRows = 256;

/** What a test or a simulation may put in place of the real thing. */
export interface CompanionParts {
  readonly log: Log;
  readonly createDomain?: (settings: DomainSettings, now: number) => BatchingDomain;
  readonly createProtocols?: typeof createProtocols;
}

/** The companion: a listener, a scheduler around the batching kernel, an upstream, and an admin port. */
export class Companion {
  readonly metrics: CompanionMetrics;
  readonly scheduler: Scheduler;
  readonly #options: CompanionOptions;
  readonly #log: Log;
  #protocols: ReturnType<typeof createProtocols>;
  readonly #createProtocols: typeof createProtocols;
  #lastRequestAt = 0;
  readonly #listener: Listener;
  readonly #admin: AdminServer;
  readonly #upstream: Upstream;
  readonly #passThrough: PassThrough;
  readonly #budget: ByteBudget;
  readonly #hints: HintReader;
  readonly #lag = new LoopLag();
  readonly #call: CallContext;
  readonly #sharedHeaders: ReadonlySet<string>;
  #open = 0;
  #alone = 0;
  #draining = false;

  constructor(options: CompanionOptions, parts: CompanionParts) {
    this.#options = options;
    this.#log = parts.log;
    this.#createProtocols = parts.createProtocols ?? createProtocols;
    this.#protocols = this.#createProtocols();
    this.#budget = new ByteBudget(options.maxWaitingBytes);
    this.#hints = new HintReader(options);
    this.#sharedHeaders = new Set(options.shareAcrossHeaders);
    const settings = domainSettings(options);
    const create = parts.createDomain ?? ((known: DomainSettings, now: number) => createBatchingDomain(known, now));
    this.scheduler = new Scheduler(settings, (now) => create(settings, now), {
      send: (dispatched) => new BatchCall(this.#call, dispatched).start(),
      refuse: (exchange, reason) => this.#refuse(exchange, reason),
      trapped: (error, passing) => this.#trapped(error, passing),
    });
    this.metrics = new CompanionMetrics({
      waiting: () => this.scheduler.waiting,
      lateWaiting: () => this.scheduler.signals.lateWaiting(),
      waitingBytes: () => this.#budget.held,
      inFlight: () => this.scheduler.inFlight,
      parallelLimit: () => this.scheduler.signals.parallelLimit(),
      lanes: () => this.scheduler.lanes.size,
      arrivalRate: () => this.scheduler.signals.arrivalRate(),
      busyShare: () => this.scheduler.signals.busyShare(),
      eventLoopLagMs: () => this.#lag.peakMs,
    });
    this.#upstream = new Upstream(options.upstream, options.maxInFlight, () =>
      this.metrics.resends.add(1, 'dead-connection'),
    );
    this.#passThrough = new PassThrough(options.upstream, passThroughMax, (result) =>
      this.metrics.requests.add(1, 'passed', result),
    );
    this.#call = {
      upstream: this.#upstream,
      metrics: this.metrics,
      warnings: new RareWarnings(parts.log),
      scheduler: this.scheduler,
      budget: new ResendBudget(),
      sharedHeaders: this.#sharedHeaders,
      protocolFailed: (error) => this.#protocolFailed(error),
    };
    this.#listener = new Listener({
      request: (request, response) => this.#receive(request, response),
      upgrade: (request, socket, head) => this.#passThrough.upgrade(request, socket, head),
    });
    this.#admin = new AdminServer({
      metrics: (accept) => this.metrics.render(accept),
      ready: () => this.#ready(),
      signals: () => signalsOf(this.scheduler, this.metrics, this.#lag.peakMs),
      config: () => shownOptions(options),
    });
  }

  /** Listens. Returns the ports in use. @throws when one is taken. */
  async start(): Promise<{ port: number; adminPort: number }> {
    const port = await this.#listener.listen(this.#options.port, this.#options.host);
    const adminPort = await this.#admin.listen(this.#options.adminPort, this.#options.host);
    return { port, adminPort };
  }

  /**
   * Sends what waits at once and so what still comes, until nobody has asked for `drainQuietMs`; then closes the port,
   * answers what was accepted and ends. Returns whether all were answered in time.
   */
  async drain(): Promise<boolean> {
    this.#draining = true;
    this.scheduler.drain();
    const from = performance.now();
    const until = from + this.#options.drainTimeoutMs;
    const quietAt = () => Math.max(from, this.#lastRequestAt) + this.#options.drainQuietMs;
    while (performance.now() < Math.min(until, quietAt())) await delay(5);
    this.#listener.drain();
    while (this.#open + this.#passThrough.active > 0 && performance.now() < until) await delay(5);
    const clean = this.#open + this.#passThrough.active === 0;
    await this.stop();
    return clean;
  }

  /** Closes everything now. */
  async stop(): Promise<void> {
    this.#listener.destroy();
    this.#admin.close();
    this.scheduler.stop();
    this.#lag.stop();
    await Promise.all([this.#upstream.close(), this.#passThrough.close()]);
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const arrivedAt = performance.now();
    this.#lag.noteWork(arrivedAt);
    this.#lastRequestAt = arrivedAt;
    response.on('error', ignore);
    request.on('error', ignore);
    if (this.#draining && request.httpVersionMajor < 2) response.setHeader('connection', 'close');
    const name =
      this.#options.mode === 'act' ? recognise(request.method ?? '', request.url ?? '', request.headers) : null;
    if (name === null) return this.#passThrough.forward(request, response);
    if (this.#open >= 2 * this.#options.maxWaiting + batchedInFlightMax(this.#options)) {
      this.metrics.requests.add(1, 'refused', 'queue-full');
      this.metrics.objective(arrivedAt, false);
      return writeError(response, 'PL_QUEUE_FULL');
    }
    const exchange = new Exchange(request, response, this.#protocols[name], arrivedAt);
    this.#open++;
    exchange.onEnd = (ended, left) => this.#ended(ended, left);
    readBody(
      request,
      this.#budget,
      batchedBodyMax,
      this.#options.bodyTimeoutMs,
      (bytes) => {
        exchange.heldBytes += bytes;
      },
      (end) => this.#hasBody(exchange, end),
    );
  }

  #hasBody(exchange: Exchange, end: BodyEnd): void {
    if (exchange.ended) return;
    if (end === 'too-large') return this.#pass(exchange, 'large-body');
    if (end === 'no-room') {
      this.metrics.objective(performance.now(), false);
      return this.#fail(exchange, 'PL_BYTES_FULL');
    }
    if (end === 'timeout') return this.#fail(exchange, 'PL_BODY_TIMEOUT');
    if (end === 'truncated') return this.#fail(exchange, 'PL_BODY_TRUNCATED');
    exchange.body = end;
    exchange.arrivedAt = performance.now();
    const measured = this.#measure(exchange);
    if (!measured) return this.#pass(exchange, 'kernel-failed');
    if (measured === 'pass-through') return this.#pass(exchange, 'unknown-fields');
    if ('refused' in measured) return this.#fail(exchange, knownCode(measured.code), measured.message);
    exchange.measured = measured;
    if (measured.items > this.#options.maxBatchSize) return this.#pass(exchange, 'many-items');
    const hints = this.#hints.read(exchange.request.headers, measured, exchange.arrivedAt);
    if (typeof hints === 'string') return this.#fail(exchange, 'PL_HINT_VALUE', hints);
    exchange.softDeadline = hints.softDeadline;
    exchange.hardDeadline = hints.hardDeadline;
    exchange.band = hints.band;
    exchange.tenant = hints.tenant;
    const headers = headersKey(exchange.request.rawHeaders, this.#sharedHeaders);
    exchange.laneKey = LaneTable.keyOf(exchange.request.url ?? '', headers, measured.signature);
    if (!measured.uniform) this.#sendAlone(exchange, 'mixed-rows');
    else if (!this.scheduler.submit(exchange)) this.#sendAlone(exchange, 'no-lane');
  }

  /** What a body holds; undefined if the kernel that reads it failed. */
  #measure(exchange: Exchange): Measurement | undefined {
    try {
      return exchange.protocol.measure(exchange.body);
    } catch (error) {
      this.#protocolFailed(error);
      return undefined;
    }
  }

  /** Sends a request that may share a batch with no other one, beside the kernel's batches but within its deadline. */
  #sendAlone(exchange: Exchange, why: string): void {
    if (this.#alone >= passThroughMax) return this.#fail(exchange, 'PL_PASS_FULL');
    this.metrics.passedWhy.add(1, why);
    this.#alone++;
    exchange.sentAt = performance.now();
    const finished = () => {
      this.#alone--;
    };
    const dispatched = { exchanges: [exchange], lane: undefined, reason: Reason.None, predictedMs: 0, finished };
    new BatchCall(this.#call, dispatched).start();
  }

  /** Serves a request by itself, as if there were no companion. */
  #pass(exchange: Exchange, why: string): void {
    this.metrics.passedWhy.add(1, why);
    const body = exchange.request.complete && exchange.body.length > 0 ? exchange.body : undefined;
    // What it holds of the budget stays held until somebody else has answered it.
    const held = exchange.heldBytes;
    exchange.heldBytes = 0;
    exchange.response.once('close', () => this.#budget.give(held));
    exchange.handOver();
    this.#passThrough.forward(exchange.request, exchange.response, body);
  }

  #refuse(exchange: Exchange, reason: Reason): void {
    if (!exchange.fail(codeOfReason(reason))) return;
    this.metrics.requests.add(1, 'refused', reasonLabel(reason));
    this.metrics.objective(performance.now(), false);
  }

  #fail(exchange: Exchange, code: ErrorCode, message?: string): void {
    if (exchange.fail(code, message)) this.metrics.requests.add(1, 'refused', code);
  }

  #ended(exchange: Exchange, left: boolean): void {
    this.#open--;
    this.#budget.give(exchange.heldBytes);
    exchange.heldBytes = 0;
    this.scheduler.leave(exchange);
    if (!left) return;
    this.metrics.requests.add(1, 'left', 'none');
    const now = performance.now();
    if (exchange.softDeadline > 0 && now > exchange.softDeadline) this.metrics.objective(now, false);
  }

  /** The kernel that takes bodies apart and together failed: a new one takes its place. */
  #protocolFailed(error: unknown): void {
    this.metrics.traps.add(1);
    this.#log.error(
      { code: 'PL_KERNEL_TRAP', detail: String(error) },
      'reading or joining bodies failed; those requests go one by one, and the kernel was rebuilt',
    );
    this.#protocols = this.#createProtocols();
  }

  #trapped(error: unknown, passing: boolean): void {
    this.metrics.traps.add(1);
    this.#log.error(
      { code: 'PL_KERNEL_TRAP', detail: String(error) },
      passing
        ? 'the decision kernel failed three times in a minute: requests pass through one by one for a minute'
        : 'the decision kernel failed and was rebuilt; what waited was admitted again',
    );
  }

  async #ready(): Promise<{ ready: boolean; reason: string }> {
    if (this.#draining) return { ready: false, reason: 'draining' };
    const { upstream, readinessPath } = this.#options;
    const status = await statusOf(new URL(readinessPath, upstream.origin));
    if (status === 0) return { ready: false, reason: 'the model does not answer' };
    // A server without this path answers, so it runs; only the model's own "not yet" counts.
    if (status < 300 || status === 404 || status === 405) return { ready: true, reason: 'ready' };
    return { ready: false, reason: `the model answered ${status} to ${readinessPath}` };
  }
}

function domainSettings(options: CompanionOptions): DomainSettings {
  return {
    sloMs: options.sloMs,
    sloQuantile: options.sloQuantile,
    patience: options.patience,
    maxBatchItems: options.maxBatchSize,
    deferLate: options.late === 'defer',
    lateTimeoutMs: options.lateTimeoutMs,
    maxWaiting: options.maxWaiting,
    maxLanes: laneRows,
    maxInFlight: options.maxInFlight,
  };
}

/** Requests that can be at the model at once. */
function batchedInFlightMax(options: CompanionOptions): number {
  return options.maxInFlight * options.maxBatchSize;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function ignore(): void {}
