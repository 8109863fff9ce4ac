import type { IncomingMessage } from 'node:http';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { type ErrorCode, errorSpecs } from './errors.ts';

/** As https://grpc.io/docs/guides/status-codes/ has them. */
const unimplemented = '12';
const unavailable = '14';

/** Whether a request is gRPC. gRPC-Web is not: it needs no HTTP/2. */
export function isGrpc(request: IncomingMessage): boolean {
  return request.httpVersionMajor === 2 && /^application\/grpc(?![-\w])/i.test(request.headers['content-type'] ?? '');
}

/**
 * What a gRPC caller is told in the place of one of our errors: a status that it may try again, but where no attempt can
 * succeed; and the text with its code.
 */
export function grpcFailure(code: ErrorCode, message: string = errorSpecs[code].message): Record<string, string> {
  const again = code !== 'PL_HTTP_TARGET' && code !== 'PL_UPSTREAM_PROTOCOL';
  return { 'grpc-status': again ? unavailable : unimplemented, 'grpc-message': `${message} (${code})` };
}

/** Ends a call that has no answer yet, in the form that a gRPC client reads: headers that end the stream. */
export function refuseGrpc(stream: ServerHttp2Stream, code: ErrorCode): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...grpcFailure(code) }, { endStream: true });
  // What the caller may still send is for nobody.
  stream.close(constants.NGHTTP2_NO_ERROR);
}
