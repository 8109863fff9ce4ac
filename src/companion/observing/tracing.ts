import type { Span } from '../../telemetry/span-export.ts';
import {
  newSpanId,
  newTraceId,
  parseTraceparent,
  type TraceContext,
  traceparentOf,
} from '../../telemetry/trace-context.ts';
import { setHeader } from '../http/headers.ts';
import type { UpstreamEnd } from '../upstream/upstream.ts';
import { type Account, type AccountReader, accountOf, type Course } from './account.ts';
import { requestIdOf } from './request-id.ts';

/** A request of a call that carries several. */
type Called = Pick<Account, 'request' | 'response'> & Pick<Course, 'protocol' | 'measured'>;

/** A call to the model that carries several requests. */
export interface BatchSpan {
  readonly context: TraceContext;
  end(end: UpstreamEnd): void;
}

/** A batch links to so many requests; beyond it their number is enough. */
const linksMax = 128;

/**
 * Traces requests and batches:
 *
 * ```
 *   caller's span ──► request ──► queue, wait, execute          execute of a batched request links to the batch
 *                                      ┆
 *   (a trace of its own)          batch ──► the model's spans   the batch links to its requests
 * ```
 *
 * A request is part of its caller's trace and sampled as that is; where a trace begins here, by chance.
 */
export class Tracing implements AccountReader {
  readonly #share: number;
  readonly #add: (span: Span) => void;
  readonly #random: () => number;

  /** @param share of the traces that begin here, so many are sampled: 0 to 1. */
  constructor(share: number, add: (span: Span) => void, random: () => number = Math.random) {
    this.#share = share;
    this.#add = add;
    this.#random = random;
  }

  begun(account: Account): void {
    const { request } = account;
    const parent = parseTraceparent(request.headers.traceparent);
    const context = {
      traceId: parent?.traceId ?? newTraceId(),
      spanId: newSpanId(),
      sampled: parent?.sampled ?? this.#random() < this.#share,
    };
    const span = { context, parentSpanId: parent?.spanId, callSpanId: newSpanId() };
    account.span = span;
    // Whatever is forwarded has the span of its call for a parent.
    const told = traceparentOf({ ...context, spanId: span.callSpanId });
    request.headers.traceparent = told;
    setHeader(request.rawHeaders, 'traceparent', told);
  }

  /** Begins a call that carries several requests; its span is exported where one of theirs is. */
  batch(part: readonly Called[]): BatchSpan {
    const members = part.flatMap(({ response }) => accountOf(response)?.span?.context ?? []);
    const sampled = members.filter((member) => member.sampled);
    const context = { traceId: newTraceId(), spanId: newSpanId(), sampled: sampled.length > 0 };
    const startMs = performance.timeOrigin + performance.now();
    const [first] = part;
    const isGrpc = first?.protocol.name === 'grpc';
    return {
      context,
      end: (end) => {
        if (!context.sampled) return;
        this.#add({
          name: 'paceline.batch',
          kind: 'client',
          context,
          startMs,
          endMs: performance.timeOrigin + performance.now(),
          attributes: {
            'paceline.requests': part.length,
            'paceline.items': part.reduce((sum, { measured }) => sum + measured.items, 0),
            'url.path': pathOf(first?.request.url ?? ''),
            ...(!('status' in end)
              ? { 'error.type': end.failure }
              : isGrpc
                ? { 'rpc.grpc.status_code': end.status }
                : { 'http.response.status_code': end.status }),
          },
          links: sampled.slice(0, linksMax),
          linksLeftOut: Math.max(0, sampled.length - linksMax),
          failed:
            'failure' in end ? end.failure : isGrpc ? failureIn(200, end.status) : failureIn(end.status, undefined),
        });
      },
    };
  }

  ended(account: Account): void {
    const { span, exchange, request } = account;
    if (!span?.context.sampled) return;
    const { context } = span;
    const at = (ms: number) => performance.timeOrigin + ms;
    const child = (name: string, from: number, to: number, more: Partial<Span> = {}) =>
      this.#add({
        ...{ name, kind: 'internal', attributes: {}, parentSpanId: context.spanId },
        ...{ startMs: at(from), endMs: at(Math.max(from, to)), context: { ...context, spanId: newSpanId() } },
        ...more,
      });
    const { status, grpcStatus, outcome, met, code } = account;
    this.#add({
      name: 'paceline.request',
      kind: 'server',
      context,
      parentSpanId: span.parentSpanId,
      startMs: at(account.receivedAt),
      endMs: at(account.endedAt),
      attributes: {
        'http.request.method': request.method ?? '',
        'url.path': pathOf(request.url ?? ''),
        'http.response.status_code': status,
        'http.request.body.size': account.requestBytes,
        'http.response.body.size': account.responseBytes,
        'paceline.outcome': outcome,
        'paceline.request_id': requestIdOf(request),
        ...(grpcStatus === undefined ? {} : { 'rpc.grpc.status_code': grpcStatus }),
        ...(met === undefined ? {} : { 'paceline.slo_met': met }),
        ...(code === undefined ? {} : { 'error.type': code }),
        ...(exchange ? { 'paceline.items': exchange.measured.items } : {}),
      },
      failed: code ?? failureIn(status, grpcStatus),
    });
    const call = { kind: 'client' as const, context: { ...context, spanId: span.callSpanId } };
    if (outcome === 'passed') return child('paceline.execute', account.receivedAt, account.endedAt, call);
    if (!exchange || exchange.sentAt === 0) return;
    const { queueMs } = account.waited;
    child('paceline.queue', exchange.arrivedAt, exchange.arrivedAt + queueMs);
    child('paceline.wait', exchange.arrivedAt + queueMs, exchange.sentAt);
    if (exchange.calledAt === 0) return;
    const links = exchange.batchSpan === undefined ? [] : [exchange.batchSpan];
    child('paceline.execute', exchange.calledAt, exchange.calledAt + exchange.execMs, {
      ...call,
      links,
      attributes: { 'paceline.requests': exchange.batch },
    });
  }
}

/** Why a request failed by its status, and that of gRPC where there is one. */
function failureIn(status: number, grpcStatus: number | undefined): string | undefined {
  if (grpcStatus) return `grpc-status ${grpcStatus}`;
  return status >= 500 ? `status ${status}` : undefined;
}

function pathOf(target: string): string {
  return (target.split('?', 1)[0] as string).slice(0, 256);
}
