import { type ClientHttp2Stream, constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import { CollectedBytes } from '../http/collected-bytes.ts';
import { grpcStatusIn, hasGrpcType } from '../http/grpc-status.ts';
import type { Http2Connection, Http2Upstream } from './http2-upstream.ts';
import { deadConnectionMs, type UpstreamEnd } from './upstream.ts';

/** A reply above this is not held in memory. */
const replyMax = 64 * 1024 * 1024;

/**
 * One unary call at the model, its message in slices. `done` is called once; the returned function cancels the call and
 * ends it as `aborted`. A call is sent again, once, that the model says it has not begun (REFUSED_STREAM), or that was written to
 * a connection which answered before and turned out to be dead.
 */
export function callUnary(
  upstream: Http2Upstream,
  headers: OutgoingHttpHeaders,
  slices: readonly Buffer[],
  mayRetry: () => boolean,
  done: (end: UpstreamEnd) => void,
): () => void {
  let ended = false;
  let current: ClientHttp2Stream | undefined;
  const end = (how: UpstreamEnd) => {
    if (ended) return;
    ended = true;
    done(how);
  };
  const send = (again: boolean) => {
    try {
      const { stream, connection } = upstream.open(headers, false);
      current = stream;
      listen(stream, connection, (how) => {
        if (how !== 'refused') return end(how);
        if (!again || ended || !mayRetry()) return end({ failure: 'reset' });
        send(false);
      });
      for (const slice of slices) stream.write(slice);
      stream.end();
    } catch {
      queueMicrotask(() => end({ failure: 'invalid' }));
    }
  };
  send(true);
  return () => {
    // It ends as cancelled before the reset comes back as its end.
    end({ failure: 'aborted' });
    current?.close(constants.NGHTTP2_CANCEL);
  };
}

/** Gathers the answer on a stream. */
function listen(
  stream: ClientHttp2Stream,
  connection: Http2Connection,
  done: (how: UpstreamEnd | 'refused') => void,
): void {
  const collected = new CollectedBytes();
  let begin: string[] = [];
  let trailers: string[] = [];
  let status: number | undefined;
  /** It answers, and not in gRPC. */
  let foreign = false;
  let error: Error | undefined;
  let tooLarge = false;
  const openedAt = performance.now();
  const note = (headers: IncomingHttpHeaders) => {
    status = grpcStatusIn(headers) ?? status;
  };
  // Client trailers are nothing that gRPC has.
  stream.on('wantTrailers', () => stream.sendTrailers({}));
  stream.on('response', (headers, _flags, raw?: string[]) => {
    connection.heardAt = performance.now();
    begin = raw ?? [];
    foreign = !hasGrpcType(headers['content-type']);
    note(headers);
  });
  stream.on('trailers', (headers, _flags, raw?: string[]) => {
    trailers = raw ?? [];
    note(headers);
  });
  stream.on('data', (chunk: Buffer) => {
    if (collected.length + chunk.length > replyMax) {
      tooLarge = true;
      stream.close(constants.NGHTTP2_CANCEL);
    } else collected.add(chunk);
  });
  stream.on('error', (failure) => {
    error = failure;
  });
  stream.on('end', () => {
    // Who refuses a message for its size answers before it has come, and reads no more of it.
    if (status !== undefined && !stream.writableFinished) stream.close(constants.NGHTTP2_CANCEL);
  });
  stream.on('close', () => {
    if (tooLarge) return done({ failure: 'too-large' });
    if (status !== undefined) {
      return done({ status, headers: begin, trailers, body: collected.whole() });
    }
    if (foreign) return done({ failure: 'protocol' });
    if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) return done('refused');
    const died = connection.silentSince(openedAt) && performance.now() - openedAt < deadConnectionMs;
    done(died ? 'refused' : { failure: connection.failed(error) });
  });
}
