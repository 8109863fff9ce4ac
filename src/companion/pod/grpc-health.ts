import { connect, constants } from 'node:http2';

/** `SERVING` of grpc.health.v1.HealthCheckResponse, as a message: field 1, varint 1. */
const serving = Buffer.from([0x08, 0x01]);
const headBytes = 5;
const replyMax = 1024;

/**
 * Asks a gRPC server whether a service is healthy (grpc.health.v1.Health/Check, over h2c without credentials, as
 * Kubernetes does). Returns undefined when it is, else why not.
 *
 * @param service empty: the server as a whole
 */
export function grpcHealth(port: number, service: string, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const session = connect(`http://127.0.0.1:${port}`);
    const timer = setTimeout(() => end('its gRPC health service did not answer in time'), timeoutMs);
    const end = (why: string | undefined) => {
      clearTimeout(timer);
      session.destroy();
      resolve(why);
    };
    session.on('error', () => end('it does not answer to gRPC'));
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'kube-probe/',
    });
    const chunks: Buffer[] = [];
    let length = 0;
    let status: string | undefined;
    const note = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] !== undefined) status = String(headers['grpc-status']);
    };
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > replyMax) stream.close(constants.NGHTTP2_CANCEL);
      else chunks.push(chunk);
    });
    stream.on('error', () => end('it does not answer to gRPC'));
    stream.on('close', () => end(verdict(status, Buffer.concat(chunks))));
    stream.end(framed(Buffer.from(service)));
  });
}

function verdict(status: string | undefined, reply: Buffer): string | undefined {
  if (status === '12') return 'it has no gRPC health service';
  if (status !== '0') return `its gRPC health service answered with status ${status ?? 'none'}`;
  return reply.subarray(headBytes).equals(serving) ? undefined : 'its gRPC health service says that it does not serve';
}

/** A HealthCheckRequest in a gRPC frame: flag, length, message; field 1 is the service's name, left out where empty. */
function framed(service: Buffer): Buffer {
  // Longer names would need a longer length; Kubernetes' own are names of services.
  const name = service.subarray(0, 127);
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
