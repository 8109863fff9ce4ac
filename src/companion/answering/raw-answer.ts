import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ErrorCode, errorBody, errorSpecs } from '../errors.ts';

/** A caller that has been told to go may take this long to read it before the connection is cut. */
const lingerMs = 1000;

/** Answers `{"error","code"}` on a connection that no HTTP parser holds any more, and closes it. */
export function endWithError(socket: Duplex, code: ErrorCode, message?: string): void {
  // Answered already: what still comes is not read, and cutting at once could take the answer away from the caller.
  if (socket.writableEnded) return;
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { status, retryAfter } = errorSpecs[code] as { status: number; retryAfter?: number };
  const body = errorBody(code, message);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`,
    'content-type: application/json',
    `content-length: ${body.length}`,
    ...(retryAfter === undefined ? [] : [`retry-after: ${retryAfter}`]),
    'connection: close',
  ];
  socket.on('error', () => socket.destroy());
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  setTimeout(() => socket.destroy(), lingerMs).unref();
}
