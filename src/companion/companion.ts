import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BatchingDomain, DomainSettings } from '../kernels/batching.ts';
import { createBatchingDomain } from '../kernels/batching-domain.ts';
import { Setting } from '../kernels/reasons.ts';
import { type CompanionOptions, shownOptions } from '../policy/companion-options.ts';
import { createProtocols } from '../protocol/protocols.ts';
import { CompanionMetrics } from '../telemetry/companion-metrics.ts';
import type { Log } from '../telemetry/log.ts';
import { parseTraceparent } from '../telemetry/trace-context.ts';
import { AdminServer } from './admin.ts';
import { endWithError } from './answering/raw-answer.ts';
import { refuseOrBreakOff } from './answering/refusal.ts';
import { UnreadReplies } from './answering/unread-replies.ts';
import { Advisor } from './batching/advisor.ts';
import { GrpcCarrier } from './batching/grpc-carrier.ts';
import { HttpCarrier } from './batching/http-carrier.ts';
import { ResendBudget } from './batching/resend-budget.ts';
import { Scheduler } from './batching/scheduler.ts';
import type { ErrorCode } from './errors.ts';
import { type Ending, Guard } from './guard.ts';
import { ByteBudget } from './http/body.ts';
import { removeHeaders } from './http/headers.ts';
import { VariantName } from './http/variant-name.ts';
import { Intake } from './intake.ts';
import { Listener } from './listening/listener.ts';
import { LoopLag } from './loop-lag.ts';
import { Observers } from './observing/observers.ts';
import { keepOrMakeId } from './observing/request-id.ts';
import { PassThrough } from './passing/pass-through.ts';
import { drain } from './pod/drain.ts';
import { answerProbe, probeOf } from './pod/probes.ts';
import { QueueProxy, type QueueProxyPorts, queueProxyPorts } from './pod/queue-proxy.ts';
import { ModelReadiness, type Readiness, refusesConnections } from './pod/readiness.ts';
import { applySettings, type LivePolicy, PolicyInForce } from './policy-in-force.ts';
import { type SignalSource, signalsOf } from './signals.ts';
import { type Absence, Circuit, type CircuitState } from './upstream/circuit.ts';
import { Http2Upstream } from './upstream/http2-upstream.ts';
import { Upstream } from './upstream/upstream.ts';

const passThroughMax = 1024;
/** As the metric numbers them. */
const circuitStates: readonly CircuitState[] = ['closed', 'half-open', 'open'];
/** Bytes of a batch's reply over gRPC that may be on their way: it is read at once. */
const batchWindow = 1024 * 1024;
const laneRows = 256;
/** How far a policy document may raise the batch size. */
const batchItemsEver = 1024;
/** A preStop hook that no SIGTERM follows within this time is that of one container's restart: nothing drains. */
const drainBeginsMs = 1000;

const askModelEachMs = 1000;
/** What the callers who are left when a drain's time is over may take to hear of it. */
const lastWordsMs = 100;

/** What a test or a simulation may put in place of the real thing. */
export interface CompanionParts {
  readonly log: Log;
  readonly createDomain?: (settings: DomainSettings, now: number) => BatchingDomain;
  readonly createProtocols?: typeof createProtocols;
  readonly queueProxyPorts?: QueueProxyPorts;
  /** Why this companion is never ready, whatever the model says. */
  readonly unfit?: string | undefined;
}

/** The companion: a listener, a scheduler around the batching kernel, an upstream, and an admin port. */
export class Companion {
  readonly metrics: CompanionMetrics;
  readonly scheduler: Scheduler;
  readonly #options: CompanionOptions;
  readonly #log: Log;
  readonly #listener: Listener;
  readonly #admin: AdminServer;
  readonly #upstream: Upstream;
  readonly #http2: Http2Upstream;
  readonly #passThrough: PassThrough;
  readonly #intake: Intake;
  readonly #policy: PolicyInForce;
  readonly #readiness: ModelReadiness;
  readonly #queueProxy: QueueProxy | undefined;
  readonly #unfit: string | undefined;
  readonly #observers: Observers;
  readonly #guard: Guard;
  readonly #circuit = new Circuit((state, how) => this.#circuitChanged(state, how));
  readonly #unread = new UnreadReplies();
  readonly #lag = new LoopLag();
  readonly #startedAt = performance.now();
  #advisor: Advisor | undefined;
  #lastRequestAt = 0;
  #draining = false;
  #noteDrained: () => void = () => {};
  /** Settled when a drain has ended. */
  readonly #drained = new Promise<void>((resolve) => {
    this.#noteDrained = resolve;
  });

  constructor(options: CompanionOptions, parts: CompanionParts) {
    this.#options = options;
    this.#log = parts.log;
    this.#unfit = parts.unfit;
    const settings = domainSettings(options);
    const make = parts.createDomain ?? createBatchingDomain;
    const create = (now: number) => make(settings, now);
    this.scheduler = new Scheduler(settings, create, {
      send: (dispatched) => this.#intake.send(dispatched),
      refuse: (exchange, reason) => this.#intake.refuse(exchange, reason),
      trapped: (error, passing) => this.#trapped(error, passing),
    });
    const budget = new ByteBudget(options.maxWaitingBytes);
    this.metrics = new CompanionMetrics({
      waiting: () => this.scheduler.waiting,
      lateWaiting: () => this.#deciding.signals.lateWaiting(),
      waitingBytes: () => budget.held,
      inFlight: () => this.scheduler.inFlight,
      parallelLimit: () => this.#deciding.signals.parallelLimit(),
      lanes: () => this.#deciding.lanes.size,
      arrivalRate: () => this.#deciding.signals.arrivalRate(),
      busyShare: () => this.#deciding.signals.busyShare(),
      quarantinedLanes: () => this.#deciding.lanes.quarantined(performance.now()),
      circuitState: () => circuitStates.indexOf(this.#circuit.state),
      eventLoopLagMs: () => this.#lag.peakMs,
      payloadEvents: () => this.#observers.payloadEvents,
      payloadBytes: () => this.#observers.payloadBytes,
    });
    this.#guard = new Guard(parts.log, () => this.metrics.internalErrors.add(1));
    this.#observers = new Observers(options, parts.log, () => this.metrics, this.#guard);
    const resends = new ResendBudget();
    const mayResend = () => {
      if (!resends.take()) return false;
      this.metrics.resends.add(1, 'dead-connection');
      return true;
    };
    this.#upstream = new Upstream(options.upstream, options.maxInFlight, mayResend);
    this.#http2 = new Http2Upstream(options.upstream, options.maxInFlight, batchWindow);
    this.#passThrough = new PassThrough(
      options.upstream,
      passThroughMax,
      (result) => this.metrics.requests.add(1, 'passed', result),
      {},
      { circuit: this.#circuit, called: () => resends.called(), mayResend, guard: this.#guard },
    );
    this.#policy = new PolicyInForce(
      options,
      parts.log,
      (policy) => this.#apply(policy),
      (result) => this.metrics.policyDocuments.add(1, result),
    );
    const variant = options.variantOf === '' ? undefined : new VariantName(options.variantOf, options.modelName);
    const shared = new Set(options.shareAcrossHeaders);
    const http = new HttpCarrier(this.#upstream, shared, variant, this.#unread);
    const grpc = new GrpcCarrier(this.#http2, options.grpcMessageMax, shared, variant, mayResend, this.#unread);
    this.#intake = new Intake(options, {
      log: parts.log,
      metrics: this.metrics,
      scheduler: this.scheduler,
      carriers: { v1: http, v2: http, grpc },
      passThrough: this.#passThrough,
      circuit: this.#circuit,
      resends,
      budget,
      createProtocols: parts.createProtocols ?? createProtocols,
      variant,
      tracing: this.#observers.tracing,
      guard: this.#guard,
      policy: () => this.#policy.current,
      advisor: () => {
        this.#advisor ??= new Advisor(settings, create, this.metrics, this.#policy.current);
        return this.#advisor;
      },
    });
    this.#readiness = new ModelReadiness(options.upstream, options.readinessProbe, options.readinessPath);
    this.#queueProxy = options.queueProxy ? new QueueProxy(parts.queueProxyPorts ?? queueProxyPorts) : undefined;
    this.#listener = new Listener({
      request: (request, response) => {
        const broken = (code: ErrorCode) => this.#broken(request, response, code);
        this.#guard.run(broken, () => this.#receive(request, response, broken));
      },
      upgrade: (request, socket, head) => {
        const broken = (code: ErrorCode) => endWithError(socket, code);
        this.#guard.run(broken, () => {
          keepOrMakeId(request);
          this.#passThrough.upgrade(request, socket, head);
        });
      },
    });
    this.#admin = new AdminServer(this.#guard, {
      metrics: (accept) => this.metrics.render(accept),
      ready: () => (this.#draining ? Promise.resolve({ ready: false, reason: 'draining' }) : this.#ready()),
      signals: () => this.#signals(),
      config: () => shownOptions({ ...options, ...this.#policy.current }),
      policy: (text) => this.#policy.put(text),
      drained: () => this.#whenDrained(),
    });
  }

  /** Listens. Returns the ports in use. @throws when one is taken. */
  async start(): Promise<{ port: number; adminPort: number }> {
    const port = await this.#listener.listen(this.#options.port, this.#options.host);
    const adminPort = await this.#admin.listen(this.#options.adminPort, this.#options.host);
    return { port, adminPort };
  }

  /**
   * Asks until the model is ready, once a second, or the companion drains. Returns whether the model is ready.
   *
   * @param notYet hears once why the model is not ready at first
   */
  async modelReady(notYet: (reason: string) => void): Promise<boolean> {
    for (let first = true; !this.#draining; first = false) {
      const { ready, reason } = await this.#ready();
      if (ready) return !this.#draining;
      if (first) notYet(reason);
      await new Promise((resolve) => setTimeout(resolve, askModelEachMs).unref());
    }
    return false;
  }

  /**
   * Fails probes, sends what waits at once and so what still comes, until nobody asks any more; then closes the port,
   * answers what was accepted and ends. Returns whether all were answered in time.
   */
  async drain(): Promise<boolean> {
    this.#draining = true;
    this.scheduler.drain();
    const { drainTimeoutMs, drainQuietMs, upstream } = this.#options;
    const until = performance.now() + drainTimeoutMs;
    const clean = await drain({
      timeoutMs: drainTimeoutMs,
      quietMs: drainQuietMs,
      answersMs: this.#policy.current.lateTimeoutMs,
      queueProxy: this.#queueProxy,
      lastRequestAt: () => this.#lastRequestAt,
      modelLives: async () => !(await refusesConnections(upstream)),
      open: () => this.#intake.open,
      close: () => this.#listener.drain(),
    });
    if (!clean) {
      this.#intake.refuseRest('PL_DRAIN_TIMEOUT');
      await new Promise((resolve) => setTimeout(resolve, lastWordsMs));
    }
    this.#noteDrained();
    await this.#observers.drain(until);
    await this.#admin.finishWaiting();
    await this.stop();
    return clean;
  }

  /** Closes everything now. */
  async stop(): Promise<void> {
    this.#listener.destroy();
    this.#admin.close();
    this.#policy.stop();
    this.scheduler.stop();
    this.#advisor?.scheduler.stop();
    this.#lag.stop();
    this.#unread.stop();
    this.#http2.close();
    await Promise.all([this.#upstream.close(), this.#passThrough.close(), this.#observers.stop()]);
  }

  /** Our own code failed on a request that nothing else knows of yet. */
  #broken(request: IncomingMessage, response: ServerResponse, code: ErrorCode): void {
    refuseOrBreakOff(request, response, code);
    this.metrics.requests.add(1, 'failed', code);
  }

  #receive(request: IncomingMessage, response: ServerResponse, broken: Ending): void {
    response.on('error', ignore);
    request.on('error', ignore);
    const probe = probeOf(request.headers, this.#draining);
    if (probe) {
      const answered = answerProbe(probe, request, response, this.#draining ? undefined : () => this.#ready());
      return void answered.catch((error) => this.#guard.caught(error, broken));
    }
    dropBrokenTrace(request);
    const arrivedAt = performance.now();
    this.#lag.noteWork(arrivedAt);
    this.#lastRequestAt = arrivedAt;
    if (this.#draining && request.httpVersionMajor < 2) response.setHeader('connection', 'close');
    this.#observers.follow(request, response, arrivedAt);
    this.#intake.receive(request, response, arrivedAt);
  }

  async #ready(): Promise<Readiness> {
    if (this.#unfit !== undefined) return { ready: false, reason: this.#unfit };
    const readiness = await this.#readiness.ask();
    if (readiness.ready) this.#circuit.modelReady(performance.now());
    return readiness;
  }

  /** The scheduler whose decisions are reported: in `mode: advise` the one that nothing comes of. */
  get #deciding(): SignalSource['scheduler'] {
    return (this.#policy.current.mode === 'advise' ? this.#advisor?.scheduler : undefined) ?? this.scheduler;
  }

  /** Lets a policy hold from the next request on; what waits already is decided by the new settings too. */
  #apply(policy: LivePolicy): void {
    applySettings(this.scheduler, policy);
    this.#advisor?.apply(policy);
    // What still waits when nothing is to be decided any more goes as soon as there is room.
    if (policy.mode !== 'act') this.scheduler.set(Setting.Patience, 0);
  }

  async #signals(): Promise<object> {
    const concurrency = await this.#queueProxy?.concurrency();
    return signalsOf({
      options: this.#options,
      policy: this.#policy,
      scheduler: this.#deciding,
      metrics: this.metrics,
      arrivals: this.#intake.arrivals,
      uptimeMs: performance.now() - this.#startedAt,
      waitingUpstream: concurrency === undefined ? null : Math.max(0, concurrency - this.#intake.open),
      draining: this.#draining,
      circuit: this.#circuit,
      eventLoopLagMs: this.#lag.peakMs,
    });
  }

  /** For preStop hooks: when the drain has ended that a SIGTERM began before or begins within a second. */
  async #whenDrained(): Promise<void> {
    if (!this.#draining) await new Promise((resolve) => setTimeout(resolve, drainBeginsMs));
    if (this.#draining) await this.#drained;
  }

  #circuitChanged(state: CircuitState, how?: Absence): void {
    if (state === 'closed') return this.#log.info({}, 'the model answers again');
    this.metrics.circuitOpenings.add(1);
    this.#log.warn(
      { code: 'PL_CIRCUIT_OPEN', detail: how },
      'the model was not there for several calls in a row: requests are refused at once, and one at a time tries',
    );
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
}

function domainSettings(options: CompanionOptions): DomainSettings {
  return {
    sloMs: options.sloMs,
    sloQuantile: options.sloQuantile,
    patience: options.patience,
    maxBatchItems: options.maxBatchSize,
    maxBatchItemsEver: batchItemsEver,
    deferLate: options.late === 'defer',
    lateTimeoutMs: options.lateTimeoutMs,
    maxWaiting: options.maxWaiting,
    maxLanes: laneRows,
    maxInFlight: options.maxInFlight,
  };
}

/** A `tracestate` means nothing without a valid `traceparent`: neither travels on (W3C Trace Context, 4.2 and 4.3). */
function dropBrokenTrace(request: IncomingMessage): void {
  const { traceparent, tracestate } = request.headers;
  if (traceparent === undefined && tracestate === undefined) return;
  if (parseTraceparent(traceparent)) return;
  removeHeaders(request.rawHeaders, ['traceparent', 'tracestate']);
  delete request.headers.traceparent;
  delete request.headers.tracestate;
}

function ignore(): void {}
