import type { IncomingMessage } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http2';

/** As https://grpc.io/docs/guides/status-codes/ has them. */
export enum GrpcStatus {
  Ok = 0,
  Unknown = 2,
  InvalidArgument = 3,
  DeadlineExceeded = 4,
  PermissionDenied = 7,
  ResourceExhausted = 8,
  OutOfRange = 11,
  Unimplemented = 12,
  Internal = 13,
  Unavailable = 14,
  DataLoss = 15,
  Unauthenticated = 16,
}

/** What a server's HTTP status means where it says no status of gRPC, as gRPC's own clients read it. */
const ofHttp: Readonly<Record<number, GrpcStatus>> = {
  400: GrpcStatus.Internal,
  401: GrpcStatus.Unauthenticated,
  403: GrpcStatus.PermissionDenied,
  404: GrpcStatus.Unimplemented,
  429: GrpcStatus.Unavailable,
  502: GrpcStatus.Unavailable,
  503: GrpcStatus.Unavailable,
  504: GrpcStatus.Unavailable,
};

/** Whether a request is gRPC. gRPC-Web is not: it needs no HTTP/2. */
export function isGrpc(request: IncomingMessage): boolean {
  return request.httpVersionMajor === 2 && hasGrpcType(request.headers['content-type']);
}

/** Whether a content type is that of gRPC, whatever its messages are written in. */
export function hasGrpcType(contentType: string | undefined): boolean {
  return /^application\/grpc(?![-\w])/i.test(contentType ?? '');
}

/** The status in headers or trailers of a model, or what their HTTP status means; undefined where neither says anything. */
export function grpcStatusIn(headers: IncomingHttpHeaders): number | undefined {
  const said = headers['grpc-status'];
  if (said !== undefined) return /^\d{1,2}$/.test(String(said)) ? Number(said) : GrpcStatus.Unknown;
  const http = Number(headers[':status'] ?? 200);
  return http === 200 ? undefined : (ofHttp[http] ?? GrpcStatus.Unknown);
}
