import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { type FaultName, type FaultyReply, faultOf } from './fault-model.ts';

const head = { ':status': 200, 'content-type': 'application/grpc' };
/** Pieces of a reply that dribbles, and the pause between two; ms. */
const pieces = 4;
const pauseMs = 2;
/** How long a connection is kept that is closed when nothing runs on it; ms. */
const idleMs = 3;

/** Answers a call of gRPC as the fault says; its reply is already in its frame. `kill` ends the connection, `goAway` announces it. */
export function replyOverGrpc(
  fault: FaultName,
  reply: FaultyReply,
  stream: ServerHttp2Stream,
  { kill, goAway }: { kill: () => void; goAway: () => void },
): void {
  const { grpc: status = 0 } = faultOf(fault);
  const { body } = reply;
  const half = body.subarray(0, body.length >> 1);
  switch (fault) {
    case 'stall-before-reply':
      return;
    case 'stall-in-body':
      stream.respond(head, { waitForTrailers: true });
      return void stream.write(half);
    case 'kill-before-reply':
      return kill();
    case 'reset-before-reply':
      return stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    case 'refuse-stream':
      return stream.close(constants.NGHTTP2_REFUSED_STREAM);
    case 'kill-in-body':
      stream.respond(head, { waitForTrailers: true });
      return void stream.write(half, () => setImmediate(kill));
    case 'reset-in-body':
      stream.respond(head, { waitForTrailers: true });
      return void stream.write(half, () => setImmediate(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR)));
    case 'garbage':
      // What a web server says that knows nothing of gRPC: no status in trailers.
      stream.respond({ ':status': 200, 'content-type': 'text/html' });
      return void stream.end('<html>what is this?</html>');
    case 'dribble':
      respond(stream, {});
      return dribble(body, stream);
    case 'close-after':
      goAway();
      break;
    case 'close-when-idle':
      stream.on('close', () => setTimeout(kill, idleMs));
      break;
    default:
  }
  if (status !== 0) {
    return stream.respond(
      { ...head, 'grpc-status': String(status), 'grpc-message': refusalOf(status) },
      { endStream: true },
    );
  }
  respond(stream, {});
  stream.end(body);
}

/** What the model says with a status: of 8 that it is the size. */
export function refusalOf(status: number): string {
  return status === 8 ? 'Received message larger than max (9 vs. 5)' : `the model says ${status}`;
}

function respond(stream: ServerHttp2Stream, trailers: OutgoingHttpHeaders): void {
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', ...trailers }));
  stream.respond(head, { waitForTrailers: true });
}

function dribble(body: Buffer, stream: ServerHttp2Stream): void {
  const size = Math.ceil(body.length / pieces) || 1;
  let at = 0;
  const next = () => {
    if (stream.destroyed) return;
    if (at + size >= body.length) return void stream.end(body.subarray(at));
    stream.write(body.subarray(at, at + size));
    at += size;
    setTimeout(next, pauseMs);
  };
  next();
}
