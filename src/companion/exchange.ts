import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BatchProtocol, Measured, MergeInput } from '../protocol/protocol.ts';
import type { TraceContext } from '../telemetry/trace-context.ts';
import type { Carrier } from './carrier.ts';
import { type ErrorCode, errorBody, errorSpecs } from './errors.ts';
import { forHttp2 } from './headers.ts';
import { accountOf, noteCode } from './observing/account.ts';
import { withRequestId } from './observing/request-id.ts';
import type { Queued } from './queued.ts';
import { lengthOf } from './upstream.ts';

/**
 * One request and its one answer.
 *
 * ```
 *   reading ──► waiting ──► sent ──► ended        ended: answered, refused or left, whichever comes first
 *      └───────────┴──────────┴────────▲
 * ```
 */
export class Exchange implements MergeInput, Queued {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** When its head was read. */
  readonly receivedAt: number;
  /** When its body was complete: deadlines count from here, because the way up is the caller's own. */
  arrivedAt: number;
  readonly protocol: BatchProtocol;
  readonly carrier: Carrier;
  /** Once it has been read. */
  body: Buffer = empty;
  /** A message in its frame, as it came. */
  framed: Buffer | undefined;
  measured: Measured = unmeasured;
  laneKey = '';
  /** Its caller used the name of the variants' group, and must find that in the reply. */
  renamed = false;
  softDeadline = 0;
  hardDeadline = 0;
  band = 4;
  tenant = 0;
  /** Where it waits in the kernel; -1 when it does not. */
  slot = -1;
  sentAt = 0;
  /** Of the time between arrival and sending, the part in which a slot was free. */
  waitMs = 0;
  ended = false;
  /** Requests in the call that answered it, when that was sent, and how long it took; ms. */
  batch = 0;
  calledAt = 0;
  execMs = 0;
  /** When the model's answer was handed to it; 0 where there was none. */
  answeredAt = 0;
  /** Somebody else answers. */
  passed = false;
  /** Of the call that it shared, where calls are traced. */
  batchSpan: TraceContext | undefined;
  /** Bytes that it holds of the budget. */
  heldBytes = 0;
  /** Called once, when it ends. */
  onEnd: ((exchange: Exchange, left: boolean) => void) | undefined;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    protocol: BatchProtocol,
    carrier: Carrier,
    arrivedAt: number,
  ) {
    this.request = request;
    this.response = response;
    this.protocol = protocol;
    this.carrier = carrier;
    this.receivedAt = arrivedAt;
    this.arrivedAt = arrivedAt;
    const account = accountOf(response);
    if (account) account.exchange = this;
    // Whoever writes an answer ends it first.
    response.on('close', () => this.#end(true));
  }

  /** Lets somebody write its answer, unless it has ended. */
  answer(write: (response: ServerResponse) => void): boolean {
    if (this.ended) return false;
    this.#end(false);
    write(this.response);
    return true;
  }

  /** Answers with an error of ours. Does nothing if the exchange has ended. */
  fail(code: ErrorCode, message?: string): boolean {
    if (this.ended) return false;
    this.#end(false);
    noteCode(this.response, code);
    this.carrier.fail(this.response, code, message);
    return true;
  }

  /** Ends without an answer of its own: somebody else answers. */
  handOver(): void {
    this.passed = true;
    this.#end(false);
  }

  #end(left: boolean): void {
    if (this.ended) return;
    this.ended = true;
    this.onEnd?.(this, left);
    this.onEnd = undefined;
  }
}

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
}

declare module 'node:http' {
  interface ServerResponse {
    /** Present on the responses of node:http2's compatibility layer. */
    readonly stream?: unknown;
  }
}

const inOnePieceMax = 4096;
const empty = Buffer.alloc(0);
const unmeasured: Measured = { items: 0, signature: '', uniform: true, holes: [] };
