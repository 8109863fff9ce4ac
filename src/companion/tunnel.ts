import { type ClientRequest, request as callModel, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { PassThrough as Held } from 'node:stream';
import { codeOfFailure } from './failure-codes.ts';
import { forwardHeaders } from './headers.ts';
import { endWithError } from './raw-answer.ts';
import { failureOf } from './upstream.ts';

/** How long the model may take to accept a connection, and to answer the handshake. */
const connectTimeoutMs = 2000;
const handshakeTimeoutMs = 30_000;
/** A tunnel in which nobody says anything for so long is given up. */
const idleMs = 3_600_000;

/**
 * Connects a protocol upgrade (WebSocket) with the model. Once the model has agreed, bytes flow both ways and nothing is
 * read. An answer other than 101 goes to the caller and ends the connection: further requests on it would pass unseen.
 *
 * @param begun hears once that the model answers
 * @param done hears once whether it did, and how it ended: `upgrade`, a status class, or a failure.
 */
export function openTunnel(
  upstream: URL,
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
  begun: () => void,
  done: (result: string, heard: boolean) => void,
): void {
  let result = 'left';
  let heard = false;
  const hear = () => {
    clearTimeout(timer);
    heard = true;
    begun();
  };
  // Read from the start: a caller that leaves during the handshake is noticed by nothing else.
  const early = new Held();
  early.write(head);
  socket.pipe(early);
  let call: ClientRequest;
  try {
    const { url: path, method, rawHeaders } = request;
    call = callModel(upstream, { path, method, headers: rawHeaders as never, agent: false });
  } catch {
    // Node takes headers from callers that it does not send: trailers that are announced and cannot come, for one.
    done('PL_HTTP_SYNTAX', false);
    return endWithError(socket, 'PL_HTTP_SYNTAX');
  }
  let timer = setTimeout(() => call.destroy(coded('UND_ERR_CONNECT_TIMEOUT')), connectTimeoutMs);
  call.once('socket', (model) =>
    model.once('connect', () => {
      clearTimeout(timer);
      timer = setTimeout(() => call.destroy(coded('UND_ERR_HEADERS_TIMEOUT')), handshakeTimeoutMs);
    }),
  );
  socket.on('error', () => socket.destroy());
  socket.once('close', () => {
    clearTimeout(timer);
    call.destroy();
    done(result, heard);
  });
  call.once('upgrade', (reply: IncomingMessage, model: Socket, first: Buffer) => {
    hear();
    result = 'upgrade';
    socket.setTimeout(idleMs, () => socket.destroy());
    socket.write(headOf(reply, reply.rawHeaders));
    socket.write(first);
    model.on('error', () => model.destroy());
    model.once('close', () => socket.destroy());
    socket.once('close', () => model.destroy());
    model.pipe(socket);
    early.pipe(model);
  });
  call.once('response', (reply) => {
    hear();
    result = `${Math.floor((reply.statusCode ?? 0) / 100)}xx`;
    socket.unpipe(early);
    socket.resume();
    socket.write(headOf(reply, [...forwardHeaders(reply.rawHeaders, true), 'connection', 'close']));
    reply.on('error', () => socket.destroy());
    reply.pipe(socket);
  });
  call.once('error', (error) => {
    clearTimeout(timer);
    if (socket.destroyed || result !== 'left') return void socket.destroy();
    const failure = failureOf(error);
    result = failure;
    endWithError(socket, codeOfFailure(failure));
  });
  call.end();
}

function headOf(reply: IncomingMessage, headers: readonly string[]): Buffer {
  const lines = [`HTTP/1.1 ${reply.statusCode} ${reply.statusMessage}`];
  for (let i = 0; i < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

function coded(code: string): Error {
  return Object.assign(new Error(code), { code });
}
