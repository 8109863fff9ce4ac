import type { ServerResponse } from 'node:http';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { type ErrorCode, errorBody, errorSpecs } from '../errors.ts';
import { forHttp2 } from '../http/headers.ts';
import { noteCode } from '../observing/account.ts';
import { withRequestId } from '../observing/request-id.ts';
import { lengthOf } from '../upstream/upstream.ts';

/** A reply up to this many bytes goes out in one piece with its head. */
const inOnePieceMax = 4096;

/** Writes a complete reply over HTTP/1.1 or h2. Headers that Node refuses end in 502, not in a crash. */
export function writeReply(
  response: ServerResponse,
  status: number,
  headers: readonly string[],
  slices: readonly Buffer[],
): void {
  if (response.headersSent || response.destroyed) return;
  try {
    const known = withRequestId(response.req, response.stream === undefined ? [...headers] : forHttp2(headers));
    known.push('content-length', String(lengthOf(slices)));
    response.writeHead(status, known as never);
    // Node writes a short text together with the head, in one piece; bytes go as a list of pieces.
    if (slices.length === 1 && (slices[0] as Buffer).length <= inOnePieceMax && response.stream === undefined) {
      response.end((slices[0] as Buffer).toString('latin1'), 'latin1');
      return;
    }
    for (const slice of slices.slice(0, -1)) response.write(slice);
    response.end(slices[slices.length - 1]);
    endStream(response);
  } catch {
    writeError(response, 'PL_UPSTREAM_REPLY');
  }
}

/** Writes `{"error","code"}` with the code's status. */
export function writeError(response: ServerResponse, code: ErrorCode, message?: string): void {
  if (response.headersSent || response.destroyed) return;
  noteCode(response, code);
  const { status, retryAfter } = errorSpecs[code] as { status: number; retryAfter?: number };
  const body = errorBody(code, message);
  const headers = ['content-type', 'application/json', 'content-length', String(body.length)];
  if (retryAfter !== undefined) headers.push('retry-after', String(retryAfter));
  // What is left of a body that nobody wants is not worth a connection.
  if (!response.req.complete && response.stream === undefined) headers.push('connection', 'close');
  response.writeHead(status, withRequestId(response.req, headers) as never);
  response.end(body);
  endStream(response);
}

/**
 * Ends what the caller may still send, now that its answer has ended. HTTP/1.1 closes the connection for that; in HTTP/2 an
 * answer alone leaves the stream open for as long as the caller likes, and with it all that waits for its end (RFC 9113, 8.1).
 *
 * @param trailers whether the answer has some, which go out after its end.
 */
export function endStream(response: ServerResponse, trailers = false): void {
  const stream = response.stream as ServerHttp2Stream | undefined;
  if (stream === undefined || stream.endAfterHeaders || stream.readableEnded || stream.closed) return;
  const end = () => stream.close(constants.NGHTTP2_NO_ERROR);
  // What has been written goes out before; trailers, which are written last, would be overtaken.
  if (trailers) stream.once('wantTrailers', () => setImmediate(end));
  else end();
}

declare module 'node:http' {
  interface ServerResponse {
    /** Present on the responses of node:http2's compatibility layer. */
    readonly stream?: unknown;
  }
}
