import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BatchProtocol, Measured } from '../../protocol/protocol.ts';
import type { TraceContext } from '../../telemetry/trace-context.ts';
import type { ErrorCode } from '../errors.ts';
import { accountOf, noteCode } from '../observing/account.ts';
import type { Carried, Carrier } from './carrier.ts';
import type { Queued } from './queued.ts';

/**
 * One request and its one answer.
 *
 * ```
 *   reading ──► waiting ──► sent ──► ended        ended: answered, refused or left, whichever comes first
 *      └───────────┴──────────┴────────▲
 * ```
 */
export class Exchange implements Carried, Queued {
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

const empty = Buffer.alloc(0);
const unmeasured: Measured = { items: 0, signature: '', uniform: true, holes: [] };
