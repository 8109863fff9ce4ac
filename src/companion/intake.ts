import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { Reason, reasonLabel } from '../kernels/reasons.ts';
import type { CompanionOptions } from '../policy/companion-options.ts';
import { jsonBytesIn, jsonLengthHeader } from '../protocol/binary-header.ts';
import { nameIn } from '../protocol/message-name.ts';
import type { Measurement, ProtocolName } from '../protocol/protocol.ts';
import type { createProtocols } from '../protocol/protocols.ts';
import { recognise } from '../protocol/recognise.ts';
import type { CompanionMetrics } from '../telemetry/companion-metrics.ts';
import { type Log, RareWarnings } from '../telemetry/log.ts';
import { refuseOrBreakOff } from './answering/refusal.ts';
import { Arrivals } from './arrivals.ts';
import type { Advisor } from './batching/advisor.ts';
import { BatchCall, type CallContext } from './batching/batch-call.ts';
import type { Carrier } from './batching/carrier.ts';
import { Exchange } from './batching/exchange.ts';
import { LaneKeys } from './batching/lane-keys.ts';
import { Quarantines } from './batching/quarantines.ts';
import type { ResendBudget } from './batching/resend-budget.ts';
import type { Dispatched, Scheduler } from './batching/scheduler.ts';
import { codeOfReason, type ErrorCode, knownCode } from './errors.ts';
import type { Guard } from './guard.ts';
import { isAnswered } from './http/answered.ts';
import { type BodyEnd, type ByteBudget, readBody } from './http/body.ts';
import { headBytes, messageIn } from './http/grpc-frame.ts';
import { setHeader } from './http/headers.ts';
import { HintReader } from './http/hints.ts';
import type { VariantName } from './http/variant-name.ts';
import type { Tracing } from './observing/tracing.ts';
import type { PassThrough } from './passing/pass-through.ts';
import type { LivePolicy } from './policy-in-force.ts';
import type { Circuit } from './upstream/circuit.ts';

/** Larger bodies pass through. */
const batchedBodyMax = 4 * 1024 * 1024;
const aloneMax = 1024;
/** As what passes: a model may take this long. In ms. */
const renamedMsMax = 300_000;

/** What the intake works with. */
export interface IntakeParts {
  readonly log: Log;
  readonly metrics: CompanionMetrics;
  readonly scheduler: Scheduler;
  readonly carriers: Readonly<Record<ProtocolName, Carrier>>;
  readonly passThrough: PassThrough;
  readonly circuit: Circuit;
  readonly resends: ResendBudget;
  readonly budget: ByteBudget;
  readonly createProtocols: typeof createProtocols;
  readonly variant: VariantName | undefined;
  readonly tracing: Tracing | undefined;
  readonly guard: Guard;
  /** What holds now. */
  readonly policy: () => LivePolicy;
  /** Decides about requests in `mode: advise`. */
  readonly advisor: () => Advisor;
}

/**
 * Takes requests in: recognises, reads and measures them, and hands each one to the scheduler, straight to the model or
 * through untouched.
 */
export class Intake {
  readonly arrivals = new Arrivals();
  readonly #options: CompanionOptions;
  readonly #parts: IntakeParts;
  readonly #hints: HintReader;
  readonly #call: CallContext;
  readonly #laneKeys: LaneKeys;
  #protocols: ReturnType<typeof createProtocols>;
  /** What is read, waits or is at the model. */
  readonly #open = new Set<Exchange>();
  #alone = 0;

  constructor(options: CompanionOptions, parts: IntakeParts) {
    this.#options = options;
    this.#parts = parts;
    this.#protocols = parts.createProtocols();
    this.#laneKeys = new LaneKeys(new Set(options.shareAcrossHeaders));
    this.#hints = new HintReader(options.trustHeaders, parts.policy);
    const { metrics, scheduler, circuit } = parts;
    const warnings = new RareWarnings(parts.log);
    this.#call = {
      metrics,
      warnings,
      scheduler,
      circuit,
      budget: parts.resends,
      quarantines: new Quarantines({ metrics, warnings, scheduler }),
      hardTimeoutMs: () => parts.policy().lateTimeoutMs,
      tracing: parts.tracing,
      guard: parts.guard,
      protocolFailed: (error) => this.#protocolFailed(error),
    };
  }

  /** Requests that have no answer yet. */
  get open(): number {
    return this.#open.size + this.#parts.passThrough.active;
  }

  receive(request: IncomingMessage, response: ServerResponse, arrivedAt: number): void {
    const { metrics, passThrough, variant, circuit, guard } = this.#parts;
    const ownTarget = variant?.ownTarget(request.url ?? '');
    if (ownTarget !== undefined) request.url = ownTarget;
    const name = recognise(request.method ?? '', request.url ?? '', request.headers, request.httpVersionMajor);
    const { mode } = this.#parts.policy();
    // A body that may bear the group's name has to be read whatever the mode is.
    const mayBearName = ownTarget !== undefined || (name === 'grpc' && variant !== undefined);
    if (name === null || (mode === 'off' && !mayBearName)) {
      if (name !== null) this.arrivals.add(arrivedAt, 1);
      return passThrough.forward(request, response, undefined, ownTarget ? variant?.restoring(ownTarget) : undefined);
    }
    const carrier = this.#parts.carriers[name];
    if (mode === 'act' && this.#open.size >= 2 * this.#options.maxWaiting + batchedInFlightMax(this.#options)) {
      metrics.requests.add(1, 'refused', 'queue-full');
      metrics.objective(arrivedAt, false);
      return carrier.fail(response, 'PL_QUEUE_FULL');
    }
    if (mode === 'act' && circuit.refuses(arrivedAt)) {
      metrics.requests.add(1, 'refused', 'PL_CIRCUIT_OPEN');
      metrics.objective(arrivedAt, false, true);
      return carrier.fail(response, 'PL_CIRCUIT_OPEN');
    }
    const exchange = new Exchange(request, response, this.#protocols[name], carrier, arrivedAt);
    exchange.renamed = ownTarget !== undefined;
    this.#open.add(exchange);
    const broken = (code: ErrorCode) => this.#broken(exchange, code);
    // Its answer goes out though something of its end fails.
    exchange.onEnd = guard.listener(nothing, (ended: Exchange, left: boolean) => this.#ended(ended, left));
    readBody(
      // Of a call of gRPC the stream is read, so that it can be handed on where it is too large.
      name === 'grpc' ? (response.stream as ServerHttp2Stream) : request,
      // The name in a message has to be seen, however long the message says it is.
      name === 'grpc' && variant ? undefined : request.headers['content-length'],
      this.#parts.budget,
      batchedBodyMax,
      this.#options.bodyTimeoutMs,
      (bytes) => {
        exchange.heldBytes += bytes;
      },
      guard.listener(broken, (end: BodyEnd) => this.#hasBody(exchange, end)),
    );
  }

  /** Ends whatever has no answer yet with an error of ours, and breaks off what passes and has begun to be answered. */
  refuseRest(code: ErrorCode): void {
    for (const exchange of this.#open) this.#fail(exchange, code);
    this.#parts.passThrough.refuseRest(code);
  }

  /** A batch that the kernel sends. */
  send(dispatched: Dispatched): void {
    new BatchCall(this.#call, dispatched).start();
  }

  /** A request that the kernel does not serve. */
  refuse(exchange: Exchange, reason: Reason): void {
    const { metrics, guard } = this.#parts;
    const broken = (code: ErrorCode) => this.#broken(exchange, code);
    guard.run(broken, () => {
      if (!exchange.fail(codeOfReason(reason))) return;
      metrics.requests.add(1, 'refused', reasonLabel(reason));
      metrics.objective(performance.now(), false);
    });
  }

  #hasBody(exchange: Exchange, end: BodyEnd): void {
    if (exchange.ended) return;
    const { mode, maxBatchSize } = this.#parts.policy();
    if (end === 'too-large') {
      if (this.#bearsGroupName(exchange)) return this.#fail(exchange, 'PL_MESSAGE_TOO_LARGE');
      return this.#pass(exchange, 'large-body');
    }
    if (end === 'no-room') {
      this.#parts.metrics.objective(performance.now(), false);
      return this.#fail(exchange, 'PL_BYTES_FULL');
    }
    if (end === 'timeout') return this.#fail(exchange, 'PL_BODY_TIMEOUT');
    if (end === 'truncated') return this.#fail(exchange, 'PL_BODY_TRUNCATED');
    exchange.body = end;
    if (exchange.protocol.name === 'grpc' && !this.#unframe(exchange, end)) return;
    let jsonBytes = jsonBytesIn(exchange.request.headers[jsonLengthHeader]);
    if (exchange.renamed) jsonBytes = this.#rename(exchange, jsonBytes);
    exchange.arrivedAt = performance.now();
    if (mode === 'off') return this.#pass(exchange, 'off');
    const measured = this.#measure(exchange, jsonBytes);
    if (!measured) return this.#pass(exchange, 'kernel-failed');
    if (measured === 'pass-through') return this.#pass(exchange, 'unknown-fields');
    if ('refused' in measured) {
      if (mode === 'advise') return this.#pass(exchange, 'advise');
      return this.#fail(exchange, knownCode(measured.code), measured.message);
    }
    exchange.measured = measured;
    if (measured.items > maxBatchSize) return this.#pass(exchange, 'many-items');
    const hints = this.#hints.read(exchange.request.headers, measured, exchange.arrivedAt, exchange.receivedAt);
    if (typeof hints === 'string') {
      if (mode === 'advise') return this.#pass(exchange, 'advise');
      return this.#fail(exchange, 'PL_HINT_VALUE', hints);
    }
    exchange.softDeadline = hints.softDeadline;
    exchange.hardDeadline = hints.hardDeadline;
    exchange.band = hints.band;
    exchange.tenant = hints.tenant;
    const signature = exchange.renamed ? `${measured.signature}\u0002renamed` : measured.signature;
    const model = exchange.protocol.name === 'grpc' ? nameIn(exchange.body) : '';
    exchange.laneKey = this.#laneKeys.keyOf(exchange.request, signature, model);
    if (mode === 'advise') return this.#advise(exchange);
    this.arrivals.add(exchange.arrivedAt, measured.items);
    if (!measured.uniform) this.#sendAlone(exchange, 'mixed-rows');
    else if (!this.#parts.scheduler.submit(exchange)) this.#sendAlone(exchange, 'no-lane');
  }

  /** Whether a message of gRPC that is too large to be held asks for the group's name: a stream cannot be renamed. */
  #bearsGroupName({ protocol, response }: Exchange): boolean {
    const { variant } = this.#parts;
    if (protocol.name !== 'grpc' || !variant) return false;
    const stream = response.stream as ServerHttp2Stream;
    const begin = stream.read() as Buffer | null;
    if (begin === null) return false;
    stream.unshift(begin);
    return begin[0] === 0 && variant.ownMessage(begin.subarray(headBytes)) !== undefined;
  }

  /** Takes a message out of its frame. False: it cannot be, and is dealt with. */
  #unframe(exchange: Exchange, framed: Buffer): boolean {
    exchange.framed = framed;
    const message = messageIn(framed);
    if (message === 'cut') this.#fail(exchange, 'PL_BODY_TRUNCATED');
    else if (message === 'other') this.#pass(exchange, 'unknown-fields');
    if (typeof message === 'string') return false;
    const renamed = this.#parts.variant?.ownMessage(message);
    exchange.renamed = renamed !== undefined;
    exchange.body = renamed ?? message;
    return true;
  }

  /** Puts the model's own name into a body that is renamed. Returns the length of its JSON then, as it was announced. */
  #rename(exchange: Exchange, jsonBytes: number | undefined): number | undefined {
    const { body, request, framed } = exchange;
    const { variant } = this.#parts;
    if (!variant || framed || (jsonBytes !== undefined && jsonBytes > body.length)) return jsonBytes;
    const json = variant.ownJson(body.subarray(0, jsonBytes));
    exchange.body = jsonBytes === undefined ? json : Buffer.concat([json, body.subarray(jsonBytes)]);
    if (jsonBytes === undefined) return undefined;
    setHeader(request.rawHeaders, jsonLengthHeader, String(json.length));
    return json.length;
  }

  /** What a body holds; undefined if the kernel that reads it failed. */
  #measure(exchange: Exchange, jsonBytes: number | undefined): Measurement | undefined {
    try {
      return exchange.protocol.measure(exchange.body, jsonBytes);
    } catch (error) {
      this.#protocolFailed(error);
      return undefined;
    }
  }

  /** Passes a request through, while a kernel says what it would have done with it. */
  #advise(exchange: Exchange): void {
    const { response, softDeadline } = exchange;
    const ended = exchange.measured.uniform ? this.#parts.advisor().note(exchange) : undefined;
    // How a call of gRPC went is in its status, which is counted where it ends.
    const counted = exchange.protocol.name === 'grpc';
    response.once('close', () => {
      const now = performance.now();
      ended?.();
      if (counted) return;
      if (isAnswered(response) || now > softDeadline) {
        const failed = response.statusCode >= 500;
        this.#parts.metrics.objective(now, !failed && now <= softDeadline, failed);
      }
    });
    this.#pass(exchange, 'advise');
  }

  /** Sends a request that may share a batch with no other one, beside the kernel's batches but within its deadline. */
  #sendAlone(exchange: Exchange, why: string): void {
    if (this.#alone >= aloneMax) return this.#fail(exchange, 'PL_PASS_FULL');
    this.#parts.metrics.passedWhy.add(1, why);
    this.#alone++;
    exchange.sentAt = performance.now();
    const finished = () => {
      this.#alone--;
    };
    this.send({ exchanges: [exchange], lane: undefined, reason: Reason.None, predictedMs: 0, finished });
  }

  /** Serves a request by itself, as if there were no companion. */
  #pass(exchange: Exchange, why: string): void {
    const { metrics, budget, passThrough, variant } = this.#parts;
    const { request, response, renamed } = exchange;
    metrics.passedWhy.add(1, why);
    this.arrivals.add(performance.now(), exchange.measured.items || 1);
    if (exchange.protocol.name === 'grpc') return this.#passCall(exchange);
    const body = request.complete && exchange.body.length > 0 ? exchange.body : undefined;
    // What it holds of the budget stays held until somebody else has answered it.
    const held = exchange.heldBytes;
    exchange.heldBytes = 0;
    response.once('close', () => budget.give(held));
    exchange.handOver();
    passThrough.forward(request, response, body, renamed ? variant?.restoring(request.url ?? '') : undefined);
  }

  /** The same for a call of gRPC, whose status says how it went. */
  #passCall(exchange: Exchange): void {
    const { metrics, budget, passThrough, policy } = this.#parts;
    const { request, response, framed, renamed, receivedAt } = exchange;
    if (renamed) {
      // Nobody but the carrier puts the group's name into a reply.
      exchange.softDeadline ||= exchange.receivedAt + policy().sloMs;
      exchange.hardDeadline ||= exchange.receivedAt + renamedMsMax;
      exchange.sentAt = performance.now();
      return this.send({
        exchanges: [exchange],
        lane: undefined,
        reason: Reason.None,
        predictedMs: 0,
        finished: () => {},
      });
    }
    const held = exchange.heldBytes;
    exchange.heldBytes = 0;
    response.once('close', () => budget.give(held));
    const { mode, sloMs } = policy();
    const due = exchange.softDeadline || receivedAt + sloMs;
    exchange.handOver();
    passThrough.forward(request, response, framed, undefined, (result) => {
      if (mode === 'off') return;
      const now = performance.now();
      // A caller who left in time got what it wanted.
      if (result === 'left' && now <= due) return;
      metrics.objective(now, result === 'grpc-0' && now <= due, result !== 'grpc-0' && result !== 'left');
    });
  }

  #fail(exchange: Exchange, code: ErrorCode, message?: string): void {
    if (exchange.fail(code, message)) this.#parts.metrics.requests.add(1, 'refused', code);
  }

  /** Our own code failed on it. */
  #broken(exchange: Exchange, code: ErrorCode): void {
    if (!exchange.fail(code)) return refuseOrBreakOff(exchange.request, exchange.response, code);
    this.#parts.metrics.requests.add(1, 'failed', code);
    this.#parts.metrics.objective(performance.now(), false, true);
  }

  #ended(exchange: Exchange, left: boolean): void {
    this.#open.delete(exchange);
    this.#parts.budget.give(exchange.heldBytes);
    exchange.heldBytes = 0;
    this.#parts.scheduler.leave(exchange);
    if (!left) return;
    this.#parts.metrics.requests.add(1, 'left', 'none');
    const now = performance.now();
    if (exchange.softDeadline > 0 && now > exchange.softDeadline) this.#parts.metrics.objective(now, false);
  }

  /** The kernel that takes bodies apart and together failed: a new one takes its place. */
  #protocolFailed(error: unknown): void {
    this.#parts.metrics.traps.add(1);
    this.#parts.log.error(
      { code: 'PL_KERNEL_TRAP', detail: String(error) },
      'reading or joining bodies failed; those requests go one by one, and the kernel was rebuilt',
    );
    this.#protocols = this.#parts.createProtocols();
  }
}

function nothing(): void {}

/** Requests that can be at the model at once. */
function batchedInFlightMax(options: CompanionOptions): number {
  return options.maxInFlight * options.maxBatchSize;
}
