import type { ServerResponse } from 'node:http';
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Spliced, SplitFailure } from '../../protocol/protocol.ts';
import { traceparentOf } from '../../telemetry/trace-context.ts';
import { refuseGrpc } from '../answering/grpc-answer.ts';
import type { UnreadReplies } from '../answering/unread-replies.ts';
import type { ErrorCode } from '../errors.ts';
import { frameHead, messageIn } from '../http/grpc-frame.ts';
import { GrpcStatus, hasGrpcType } from '../http/grpc-status.ts';
import { grpcTimeoutIn, grpcTimeoutOf } from '../http/grpc-timeout.ts';
import { batchHeaders, headerIn, http2Fields, sharedReplyHeaders } from '../http/headers.ts';
import type { VariantName } from '../http/variant-name.ts';
import { fieldsWithRequestId } from '../observing/request-id.ts';
import { callUnary } from '../upstream/grpc-call.ts';
import type { Http2Upstream } from '../upstream/http2-upstream.ts';
import { lengthOf, type UpstreamEnd, type UpstreamReply } from '../upstream/upstream.ts';
import type { Carried, Carrier, Judgement } from './carrier.ts';

/** Refusals that may be the fault of one request among several: servers in Python answer UNKNOWN or INTERNAL to bad input. */
const contentRefusals = new Set<number>([
  GrpcStatus.Unknown,
  GrpcStatus.InvalidArgument,
  GrpcStatus.OutOfRange,
  GrpcStatus.Internal,
]);
/** Refusals that are the model's own failure, and not the caller's. */
const faults = new Set<number>([
  GrpcStatus.Unknown,
  GrpcStatus.DeadlineExceeded,
  GrpcStatus.Unimplemented,
  GrpcStatus.Internal,
  GrpcStatus.Unavailable,
  GrpcStatus.DataLoss,
]);
/** What servers say with RESOURCE_EXHAUSTED where it is the size: in C, Python and Go, and in Java. */
const saysTooLarge = /larger(?: |%20)than(?: |%20)max|exceeds(?: |%20)maximum/i;

/** ModelInfer over gRPC: unary calls over one connection to the model, which all batches share. */
export class GrpcCarrier implements Carrier {
  readonly callBytesMax: number;
  readonly #upstream: Http2Upstream;
  readonly #sharedHeaders: ReadonlySet<string>;
  readonly #variant: VariantName | undefined;
  readonly #mayRetry: () => boolean;
  readonly #unread: UnreadReplies;

  /**
   * @param messageMax bytes of the largest message that is made of several
   * @param mayRetry is asked before a call is sent again that the model has not begun
   */
  constructor(
    upstream: Http2Upstream,
    messageMax: number,
    sharedHeaders: ReadonlySet<string>,
    variant: VariantName | undefined,
    mayRetry: () => boolean,
    unread: UnreadReplies,
  ) {
    this.#unread = unread;
    this.#upstream = upstream;
    this.callBytesMax = messageMax;
    this.#sharedHeaders = sharedHeaders;
    this.#variant = variant;
    this.#mayRetry = mayRetry;
  }

  send(part: readonly Carried[], { slices }: Spliced, done: (end: UpstreamEnd) => void): () => void {
    const first = part[0] as Carried;
    const { rawHeaders } = first.request;
    const trace = first.batchSpan && traceparentOf(first.batchSpan);
    const headers =
      part.length === 1
        ? http2Fields(rawHeaders)
        : { ...pseudoHeaders(first), ...http2Fields(batchHeaders(rawHeaders, this.#sharedHeaders, trace)) };
    delete headers['accept-encoding'];
    delete headers.host;
    // A name of another length may be in the message by now.
    delete headers['content-length'];
    // A name can be changed only in a reply that is not compressed.
    if (first.renamed) delete headers['grpc-accept-encoding'];
    headers.te = 'trailers';
    const timeoutMs = remainingMs(part, performance.now());
    if (timeoutMs === undefined) delete headers['grpc-timeout'];
    else headers['grpc-timeout'] = grpcTimeoutOf(timeoutMs);
    const framed = [frameHead(lengthOf(slices)), ...slices];
    return callUnary(this.#upstream, headers, framed, this.#mayRetry, done);
  }

  restored(part: readonly Carried[], end: UpstreamEnd): UpstreamEnd {
    const variant = (part[0] as Carried).renamed ? this.#variant : undefined;
    return variant && !('failure' in end) ? restored(end, variant) : end;
  }

  judge({ status, headers, trailers = [] }: UpstreamReply): Judgement {
    const said = headerIn(trailers, 'grpc-message') ?? headerIn(headers, 'grpc-message') ?? '';
    const tooLarge = status === GrpcStatus.ResourceExhausted && saysTooLarge.test(said);
    const kind =
      status === GrpcStatus.Ok
        ? 'answered'
        : tooLarge
          ? 'too-large'
          : contentRefusals.has(status)
            ? 'content'
            : 'refused';
    return { kind, label: `grpc-${status}`, reason: `upstream-grpc-${status}`, fault: faults.has(status) };
  }

  fits(part: readonly Carried[], { body }: UpstreamReply): boolean {
    return (part[0] as Carried).protocol.fits(body);
  }

  split(part: readonly Carried[], { body }: UpstreamReply): Spliced[] | SplitFailure {
    if (part.length === 1) return [{ slices: [body] }];
    const message = messageIn(body);
    if (typeof message === 'string') {
      return { failed: 'not-protobuf', message: "the model's reply is not one message without compression" };
    }
    return (part[0] as Carried).protocol.split(message, part);
  }

  writer({ status, headers, trailers = [], body }: UpstreamReply, of: number) {
    const begin = of === 1 ? http2Fields(headers) : sharedBegin(headers);
    const end = of === 1 ? http2Fields(trailers) : sharedEnd(status, headers, trailers);
    // What stands beside a refusal is no message: it may be the page of a proxy that knows nothing of gRPC.
    const hasMessage = body.length > 0 && (of === 1 || status === GrpcStatus.Ok);
    return (response: ServerResponse, { slices }: Spliced, timing?: string): void => {
      const stream = response.stream as ServerHttp2Stream;
      if (stream.destroyed || stream.closed || stream.headersSent) return;
      const own = fieldsWithRequestId(response.req, begin);
      if (timing !== undefined) own['server-timing'] = timing;
      try {
        if (!hasMessage) return stream.respond({ ...own, ...end }, { endStream: true });
        answer(stream, own, end, of === 1 ? slices : [frameHead(lengthOf(slices)), ...slices]);
        this.#unread.wrote(response, lengthOf(slices));
      } catch {
        refuseGrpc(response, 'PL_UPSTREAM_REPLY');
      }
    };
  }

  fail(response: ServerResponse, code: ErrorCode, message?: string): void {
    refuseGrpc(response, code, message);
  }
}

function answer(
  stream: ServerHttp2Stream,
  begin: OutgoingHttpHeaders,
  end: OutgoingHttpHeaders,
  slices: readonly Buffer[],
): void {
  // Node's layer for HTTP/1 callers would send trailers of its own.
  stream.removeAllListeners('wantTrailers');
  stream.on('wantTrailers', () => {
    try {
      stream.sendTrailers(end);
    } catch {
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
  });
  stream.respond(begin, { waitForTrailers: true, sendDate: false } as object);
  for (const slice of slices) stream.write(slice);
  stream.end();
}

function pseudoHeaders({ request }: Carried): OutgoingHttpHeaders {
  const authority = request.headers[':authority'] ?? request.headers.host;
  return {
    ':method': 'POST',
    ':path': request.url,
    ':scheme': 'http',
    ...(authority === undefined ? {} : { ':authority': authority }),
  };
}

/** What is left of the longest deadline, in ms, where every caller set one. */
function remainingMs(part: readonly Carried[], now: number): number | undefined {
  let longest = 0;
  for (const { request, hardDeadline, receivedAt } of part) {
    const timeout = grpcTimeoutIn(request.headers['grpc-timeout']);
    // What passes has not been looked at: a value that is none says nothing.
    if (timeout === undefined || Number.isNaN(timeout)) return undefined;
    longest = Math.max(longest, Math.min(hardDeadline, receivedAt + timeout) - now);
  }
  return longest;
}

function sharedBegin(headers: readonly string[]): OutgoingHttpHeaders {
  const shared = http2Fields(sharedReplyHeaders(headers));
  const type = hasGrpcType(headerIn(headers, 'content-type')) ? {} : { 'content-type': 'application/grpc' };
  return { ':status': 200, ...shared, ...type };
}

function sharedEnd(status: number, headers: readonly string[], trailers: readonly string[]): OutgoingHttpHeaders {
  const http = headerIn(headers, ':status') ?? '200';
  const said =
    headerIn(trailers, 'grpc-message') ??
    headerIn(headers, 'grpc-message') ??
    (http === '200' ? undefined : `the model server answered with status ${http} of HTTP`);
  return { 'grpc-status': String(status), ...(said === undefined ? {} : { 'grpc-message': said }) };
}

/** A reply in which the model bears the name that its caller used. */
function restored(reply: UpstreamReply, variant: VariantName): UpstreamReply {
  const message = messageIn(reply.body);
  if (typeof message === 'string') return reply;
  const renamed = variant.restoredMessage(message);
  return renamed ? { ...reply, body: Buffer.concat([frameHead(renamed.length), renamed]) } : reply;
}
