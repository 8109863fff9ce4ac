import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { setTimeout as pause } from 'node:timers/promises';
import type { ChaosAnswer } from './ledger.ts';
import { type ChaosRequest, framed, httpHeadersOf } from './requests.ts';

/** Ways in which a caller over HTTP/2 behaves. Those who leave may get nothing; all others get their answer. */
export const http2Manners = ['reads-slowly', 'writes-slowly', 'leaves-mid-body', 'leaves-waiting', 'hangs-up'] as const;
export type Http2Manner = (typeof http2Manners)[number];

/** Connections that calls share; one that is gone is replaced. */
export class Http2Connections {
  readonly #port: number;
  readonly #sessions: (ClientHttp2Session | undefined)[];
  #turn = 0;

  constructor(port: number, connections: number) {
    this.#port = port;
    this.#sessions = Array(connections).fill(undefined);
  }

  next(): ClientHttp2Session {
    const at = this.#turn++ % this.#sessions.length;
    const known = this.#sessions[at];
    if (known && !known.closed && !known.destroyed) return known;
    const session = sessionTo(this.#port);
    this.#sessions[at] = session;
    return session;
  }

  close(): void {
    for (const session of this.#sessions) session?.destroy();
  }
}

function sessionTo(port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`, { maxSessionMemory: 256 });
  session.on('error', () => {});
  return session;
}

/** A call as most callers make it. @throws where it ends without a status. */
export function callOverHttp2(session: ClientHttp2Session, request: ChaosRequest): Promise<ChaosAnswer> {
  const stream = open(session, request);
  const answer = answerOn(stream, request);
  stream.end(bodyOf(request));
  return answer.then((got) => got ?? Promise.reject(new Error(`the stream ended with ${stream.rstCode}`)));
}

/**
 * A call by a caller of these manners, who has a connection to itself where it hangs up. Undefined where it got no whole
 * answer.
 *
 * @param pauseMs how long it waits where it waits
 * @throws where a caller who stays gets no answer.
 */
export async function misbehaveOverHttp2(
  port: number,
  shared: ClientHttp2Session,
  manner: Http2Manner,
  request: ChaosRequest,
  pauseMs: number,
): Promise<ChaosAnswer | undefined> {
  const session = manner === 'hangs-up' ? sessionTo(port) : shared;
  const stream = open(session, request);
  const answer = answerOn(stream, request);
  const message = bodyOf(request);
  const half = message.length >> 1;
  switch (manner) {
    case 'reads-slowly':
      stream.pause();
      stream.end(message);
      await pause(pauseMs);
      stream.resume();
      break;
    case 'writes-slowly':
      stream.write(message.subarray(0, half));
      await pause(pauseMs);
      stream.end(message.subarray(half));
      break;
    case 'leaves-mid-body':
      stream.write(message.subarray(0, half));
      await pause(pauseMs / 10);
      stream.close(constants.NGHTTP2_CANCEL);
      break;
    case 'leaves-waiting':
      stream.end(message);
      await pause(pauseMs / 10);
      stream.close(constants.NGHTTP2_CANCEL);
      break;
    default:
      stream.end(message);
      await pause(pauseMs / 10);
      session.destroy();
  }
  const got = await answer;
  if (!got && manner.endsWith('slowly')) throw new Error(`the stream ended with ${stream.rstCode}`);
  return got;
}

function bodyOf({ transport, written }: ChaosRequest): Buffer {
  return transport === 'grpc' ? framed(written.body) : written.body;
}

function open(session: ClientHttp2Session, { transport, written }: ChaosRequest): ClientHttp2Stream {
  // Node ends a stream before it resets it: only by its length a body that was left in its midst is no whole one.
  const pairs =
    transport === 'grpc'
      ? [...written.headers, 'content-type', 'application/grpc', 'te', 'trailers']
      : [...httpHeadersOf(written), 'content-length', String(written.body.length)];
  const headers: Record<string, string> = { ':method': 'POST', ':path': written.url };
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i] as string;
    headers[name === 'host' ? ':authority' : name] = pairs[i + 1] as string;
  }
  return session.request(headers);
}

/** The answer on a stream; undefined where it ended without a status, or was broken off. */
function answerOn(stream: ClientHttp2Stream, { transport }: ChaosRequest): Promise<ChaosAnswer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const seen: Record<string, string> = {};
    const note = (headers: object) => Object.assign(seen, headers);
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => {});
    stream.on('close', () => {
      const isGrpc = transport === 'grpc';
      const status = isGrpc ? seen['grpc-status'] : seen[':status'];
      if (status === undefined || (!isGrpc && stream.rstCode !== constants.NGHTTP2_NO_ERROR)) return resolve(undefined);
      resolve({
        status: Number(status),
        body: Buffer.concat(chunks),
        message: decodeURIComponent(seen['grpc-message'] ?? ''),
        requestId: seen['x-request-id'],
        jsonBytes: seen['inference-header-content-length'],
      });
    });
  });
}
