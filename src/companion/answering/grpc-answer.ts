import type { ServerResponse } from 'node:http';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { type ErrorCode, errorSpecs } from '../errors.ts';
import { GrpcStatus } from '../http/grpc-status.ts';
import { noteCode } from '../observing/account.ts';
import { fieldsWithRequestId } from '../observing/request-id.ts';

/** The statuses of our errors by those of HTTP: 14 says that it may be tried again. */
const byHttpStatus: Readonly<Record<number, GrpcStatus>> = {
  400: GrpcStatus.InvalidArgument,
  405: GrpcStatus.Unimplemented,
  408: GrpcStatus.DeadlineExceeded,
  413: GrpcStatus.ResourceExhausted,
  431: GrpcStatus.InvalidArgument,
  500: GrpcStatus.Internal,
  502: GrpcStatus.Unavailable,
  503: GrpcStatus.Unavailable,
  504: GrpcStatus.DeadlineExceeded,
};
/** Where no attempt can succeed. */
const hopeless: readonly ErrorCode[] = ['PL_HTTP_TARGET', 'PL_UPSTREAM_PROTOCOL'];

/** The status of gRPC that one of our errors has. */
export function grpcStatusOf(code: ErrorCode): GrpcStatus {
  if (hopeless.includes(code)) return GrpcStatus.Unimplemented;
  return byHttpStatus[errorSpecs[code].status] ?? GrpcStatus.Unknown;
}

/** What a gRPC caller is told in the place of one of our errors: the status, and the text with its code. */
export function grpcFailure(code: ErrorCode, message: string = errorSpecs[code].message): Record<string, string> {
  return { 'grpc-status': String(grpcStatusOf(code)), 'grpc-message': percentEncoded(`${message} (${code})`) };
}

/** Ends a call that has no answer yet, in the form that a gRPC client reads: headers that end the stream. */
export function refuseGrpc(response: ServerResponse, code: ErrorCode, message?: string): void {
  const stream = response.stream as ServerHttp2Stream;
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  noteCode(response, code);
  const head = { ':status': 200, 'content-type': 'application/grpc', ...grpcFailure(code, message) };
  stream.respond(fieldsWithRequestId(response.req, head), { endStream: true });
  // What the caller may still send is for nobody.
  stream.close(constants.NGHTTP2_NO_ERROR);
}

/** As gRPC writes messages into headers: printable ASCII but `%` as it is, every other byte of UTF-8 as `%XX`. */
function percentEncoded(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}
