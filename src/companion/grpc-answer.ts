import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type ServerHttp2Stream } from 'node:http2';

/** As https://grpc.io/docs/guides/status-codes/ has it. */
const unimplemented = '12';

/** Whether a request is gRPC. gRPC-Web is not: it needs no HTTP/2. */
export function isGrpc(request: IncomingMessage): boolean {
  return request.httpVersionMajor === 2 && /^application\/grpc(?![-\w])/i.test(request.headers['content-type'] ?? '');
}

/** Says that gRPC is not forwarded, in the form that a gRPC client reads: headers that end the stream. */
export function refuseGrpc(response: ServerResponse): void {
  const stream = response.stream as ServerHttp2Stream;
  if (stream.destroyed || stream.headersSent) return;
  stream.respond(
    {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': unimplemented,
      'grpc-message': 'paceline does not forward gRPC yet; use the REST inference protocol',
    },
    { endStream: true },
  );
  stream.close(constants.NGHTTP2_NO_ERROR);
}
