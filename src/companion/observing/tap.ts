import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Readable, Writable } from 'node:stream';

import { hasBody } from '../http/body.ts';

/** Hears the bytes of one exchange as they pass. It must not keep chunks longer than it has counted them for. */
export interface Ear {
  requestBytes(chunk: Buffer): void;
  /** The body of the request has come whole. */
  requestEnd(): void;
  responseBytes(chunk: Buffer): void;
}

/**
 * Lets an ear hear what a caller sends and what it is answered, whichever part of the companion reads and answers. Nothing is
 * changed and nothing is held up: chunks are shown as they are read, and as they are written. A body that nobody reads is
 * not heard.
 */
export function tap(request: IncomingMessage, response: ServerResponse, ear: Ear): void {
  const stream = response.stream as ServerHttp2Stream | undefined;
  // Nobody need read what is not there.
  if (!hasBody(request) || stream?.endAfterHeaders) ear.requestEnd();
  else hearReading(stream ?? request, ear, () => stream === undefined || (stream.rstCode === 0 && !stream.aborted));
  hearWriting(stream ?? response, ear);
}

/** Data that came together with its head is in the buffer already: so what is read is heard, not what arrives. */
function hearReading(readable: Readable, ear: Ear, isWhole: () => boolean): void {
  const { emit, unshift } = readable;
  /** Bytes that were put back: they are read twice and heard once. */
  let again = 0;
  readable.unshift = (chunk: Buffer, ...rest) => {
    again += chunk.length;
    return unshift.call(readable, chunk, ...rest);
  };
  readable.emit = (event: string | symbol, ...given: unknown[]) => {
    if (event === 'data') {
      const chunk = given[0] as Buffer;
      const known = Math.min(again, chunk.length);
      again -= known;
      if (known < chunk.length) ear.requestBytes(known === 0 ? chunk : chunk.subarray(known));
    } else if (event === 'end' && isWhole()) ear.requestEnd();
    return emit.call(readable, event, ...given);
  };
}

function hearWriting(writable: Writable, ear: Ear): void {
  const hear = (chunk: unknown, encoding: unknown) => {
    if (typeof chunk === 'string') ear.responseBytes(Buffer.from(chunk, encodingOf(encoding)));
    else if (chunk instanceof Uint8Array) ear.responseBytes(chunk as Buffer);
  };
  const { write, end } = writable;
  writable.write = (...given: unknown[]) => {
    hear(given[0], given[1]);
    return write.apply(writable, given as never);
  };
  writable.end = (...given: unknown[]) => {
    hear(given[0], given[1]);
    return end.apply(writable, given as never) as never;
  };
}

function encodingOf(given: unknown): BufferEncoding {
  return typeof given === 'string' ? (given as BufferEncoding) : 'utf8';
}

/** The status that a caller was sent; what passes over HTTP/2 is answered past the response. */
export function statusOf(response: ServerResponse): number {
  const sent = (response.stream as ServerHttp2Stream | undefined)?.sentHeaders?.[':status'];
  return typeof sent === 'number' ? sent : response.statusCode;
}
