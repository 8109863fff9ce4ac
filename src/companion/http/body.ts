import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { CollectedBytes } from './collected-bytes.ts';

/** Bytes that bodies may hold together. */
export class ByteBudget {
  readonly #max: number;
  held = 0;

  constructor(max: number) {
    this.#max = max;
  }

  take(bytes: number): boolean {
    if (this.held + bytes > this.#max) return false;
    this.held += bytes;
    return true;
  }

  give(bytes: number): void {
    this.held -= bytes;
  }
}

/** Whether a request has a body, as far as its head says. */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length'];
  if (length !== undefined) return Number(length) > 0;
  return request.headers['transfer-encoding'] !== undefined || (request.httpVersionMajor === 2 && !request.complete);
}

/** Whether a body that ended has not said everything: over HTTP/2 one that its caller gives up ends too. */
export function wasGivenUp(request: Readable): boolean {
  return (request as { aborted?: boolean }).aborted === true;
}

/** How reading a body ended. `too-large`: what was read has been put back, for whoever forwards it. */
export type BodyEnd = Buffer | 'too-large' | 'no-room' | 'timeout' | 'truncated';

/**
 * Reads a body of at most `max` bytes. The bytes are taken from the budget before they are read: `took` says how many,
 * and giving them back is the caller's.
 *
 * @param contentLength the header's value, where there is one
 */
export function readBody(
  request: Readable,
  contentLength: string | undefined,
  budget: ByteBudget,
  max: number,
  timeoutMs: number,
  took: (bytes: number) => void,
  done: (end: BodyEnd) => void,
): void {
  const announced = Number(contentLength ?? Number.NaN);
  if (announced > max) return done('too-large');
  let reserved = Number.isFinite(announced) ? announced : 0;
  if (!budget.take(reserved)) return done('no-room');
  took(reserved);
  const collected = new CollectedBytes();
  const timer = setTimeout(() => finish('timeout'), timeoutMs);

  function onData(chunk: Buffer): void {
    collected.add(chunk);
    const { length } = collected;
    if (length > max) {
      // Chunked, and larger than we batch: put everything back and let it be streamed.
      request.pause();
      finish('too-large', true);
      request.unshift(collected.whole());
    } else if (length > reserved) {
      const more = length - reserved;
      if (!budget.take(more)) return finish('no-room');
      reserved = length;
      took(more);
    }
  }
  function onEnd(): void {
    if (wasGivenUp(request)) return finish('truncated');
    finish(collected.whole());
  }
  function onClose(): void {
    finish('truncated');
  }
  function finish(end: BodyEnd, later = false): void {
    clearTimeout(timer);
    request.off('data', onData);
    request.off('end', onEnd);
    request.off('close', onClose);
    request.off('error', onClose);
    if (later) queueMicrotask(() => done(end));
    else done(end);
  }
  request.on('data', onData);
  request.on('end', onEnd);
  request.on('close', onClose);
  request.on('error', onClose);
}
