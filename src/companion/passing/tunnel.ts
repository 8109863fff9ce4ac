import { type ClientRequest, request as callModel, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { PassThrough as Held } from 'node:stream';
import { endWithError } from '../answering/raw-answer.ts';
import type { ErrorCode } from '../errors.ts';
import type { Guard } from '../guard.ts';
import { forwardHeaders } from '../http/headers.ts';
import { codeOfFailure } from '../upstream/failure-codes.ts';
import { connectMs, failureOf } from '../upstream/upstream.ts';

/** Bounds of a tunnel; ms. */
export interface TunnelLimits {
  /** How long the model may take to accept a connection, and to answer the handshake. */
  readonly connectMs: number;
  readonly handshakeMs: number;
  /** A tunnel in which nobody says anything for so long is given up. */
  readonly idleMs: number;
}

export const tunnelLimits: TunnelLimits = { connectMs, handshakeMs: 30_000, idleMs: 3_600_000 };

/** Who opens tunnels. */
export interface TunnelOwner {
  readonly guard: Guard;
  readonly limits: TunnelLimits;
  /** Hears once that the model answers. */
  begun(): void;
  /** Hears once how it ended, `upgrade`, a status class, or a failure, and whether the model answered. */
  done(result: string, heard: boolean): void;
}

/**
 * Connects a protocol upgrade (WebSocket) with the model. Once the model has agreed, bytes flow both ways and nothing is
 * read. An answer other than 101 goes to the caller and ends the connection: further requests on it would pass unseen.
 */
export function openTunnel(
  upstream: URL,
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
  { guard, limits, begun, done }: TunnelOwner,
): void {
  let result = 'left';
  let heard = false;
  let call: ClientRequest | undefined;
  const hear = () => {
    clearTimeout(timer);
    heard = true;
    begun();
  };
  const broken = (code: ErrorCode) => {
    // Whatever has been said to the caller, nothing of ours belongs behind it.
    if (heard) socket.destroy();
    else endWithError(socket, code);
    if (result === 'left') result = code;
    call?.destroy();
  };
  const own = <Given extends unknown[]>(listener: (...given: Given) => void) => guard.listener(broken, listener);
  // Read from the start: a caller that leaves during the handshake is noticed by nothing else.
  const early = new Held();
  early.write(head);
  socket.pipe(early);
  try {
    const { url: path, method, rawHeaders } = request;
    call = callModel(upstream, { path, method, headers: rawHeaders as never, agent: false });
  } catch {
    // Node takes headers from callers that it does not send: trailers that are announced and cannot come, for one.
    done('PL_HTTP_SYNTAX', false);
    return endWithError(socket, 'PL_HTTP_SYNTAX');
  }
  let timer = setTimeout(() => call?.destroy(coded('UND_ERR_CONNECT_TIMEOUT')), limits.connectMs);
  call.once('socket', (model) =>
    model.once('connect', () => {
      clearTimeout(timer);
      timer = setTimeout(() => call?.destroy(coded('UND_ERR_HEADERS_TIMEOUT')), limits.handshakeMs);
    }),
  );
  const closed = () => {
    clearTimeout(timer);
    call?.destroy();
    done(result, heard);
  };
  const upgraded = (reply: IncomingMessage, model: Socket, first: Buffer) => {
    result = 'upgrade';
    hear();
    socket.setTimeout(limits.idleMs, () => socket.destroy());
    model.on('error', () => model.destroy());
    model.once('close', () => socket.destroy());
    socket.once('close', () => model.destroy());
    socket.write(headOf(reply, reply.rawHeaders));
    socket.write(first);
    model.pipe(socket);
    early.pipe(model);
  };
  const answered = (reply: IncomingMessage) => {
    result = `${Math.floor((reply.statusCode ?? 0) / 100)}xx`;
    hear();
    socket.unpipe(early);
    socket.resume();
    socket.write(headOf(reply, [...forwardHeaders(reply.rawHeaders, true), 'connection', 'close']));
    reply.on('error', () => socket.destroy());
    reply.pipe(socket);
  };
  const failed = (error: Error) => {
    clearTimeout(timer);
    if (socket.destroyed || result !== 'left') return void socket.destroy();
    const failure = failureOf(error);
    result = failure;
    endWithError(socket, codeOfFailure(failure));
  };
  socket.on('error', () => socket.destroy());
  socket.once('close', own(closed));
  call.once('upgrade', own(upgraded));
  call.once('response', own(answered));
  call.once('error', own(failed));
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
