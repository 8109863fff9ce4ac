import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { BatchProtocol } from '../../protocol/protocol.ts';
import type { TraceContext } from '../../telemetry/trace-context.ts';
import type { ErrorCode } from '../errors.ts';
import type { Guard } from '../guard.ts';
import { isAnswered } from '../http/answered.ts';
import type { RequestSpan } from './request-span.ts';
import { statusOf, tap } from './tap.ts';

/** How a request ended, as `paceline_requests_total` has it. */
export type RequestOutcome = 'answered' | 'refused' | 'failed' | 'left' | 'passed';

/** What became of a request that may share a batch. Times in ms on the clock of `performance.now()`. */
export interface Course {
  readonly protocol: Pick<BatchProtocol, 'name'>;
  readonly measured: { readonly items: number };
  readonly laneKey: string;
  readonly arrivedAt: number;
  /** When its answer would be late; 0 where it has no objective. */
  readonly softDeadline: number;
  /** When it left the queue; 0 while it has not. */
  readonly sentAt: number;
  /** Of the time until then, the part in which a slot was free. */
  readonly waitMs: number;
  /** Requests in the call that answered it, when that was sent, and how long it took. */
  readonly batch: number;
  readonly calledAt: number;
  readonly execMs: number;
  readonly batchSpan: TraceContext | undefined;
  /** When the model's answer was handed to it; 0 where there was none. */
  readonly answeredAt: number;
  /** Somebody else answered. */
  readonly passed: boolean;
}

/** What one request came to. Times in ms on the clock of `performance.now()`, sizes in bytes of bodies. */
export class Account {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly receivedAt: number;
  /** When the last byte of the answer was handed to the connection, or the caller left. */
  endedAt = 0;
  requestBytes = 0;
  responseBytes = 0;
  /** Where it is a request that may share a batch. */
  exchange: Course | undefined;
  /** Of an error of ours. */
  code: ErrorCode | undefined;
  span: RequestSpan | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, receivedAt: number) {
    this.request = request;
    this.response = response;
    this.receivedAt = receivedAt;
  }

  get status(): number {
    return statusOf(this.response);
  }

  /** Of gRPC, where it has one. */
  get grpcStatus(): number | undefined {
    const stream = this.response.stream as ServerHttp2Stream | undefined;
    const status = stream?.sentTrailers?.['grpc-status'] ?? stream?.sentHeaders?.['grpc-status'];
    return status === undefined ? undefined : Number(status);
  }

  get outcome(): RequestOutcome {
    if (!isAnswered(this.response)) return 'left';
    const sent = this.exchange !== undefined && this.exchange.sentAt > 0;
    if (this.code !== undefined) return sent ? 'failed' : 'refused';
    if (!this.exchange || this.exchange.passed) return 'passed';
    return this.#refusedByModel(400) ? 'failed' : 'answered';
  }

  /** Whether it met its objective; undefined where it had none, or its caller left before. */
  get met(): boolean | undefined {
    const { exchange, outcome } = this;
    if (!exchange || exchange.softDeadline === 0) return undefined;
    const inTime = (exchange.answeredAt || this.endedAt) <= exchange.softDeadline;
    if (outcome === 'left') return inTime ? undefined : false;
    return inTime && (outcome === 'answered' || (outcome === 'passed' && !this.#refusedByModel(500)));
  }

  /** Whether the model said no: with a status from `least` on, or with one of gRPC, which comes with 200. */
  #refusedByModel(least: number): boolean {
    return this.status >= least || (this.grpcStatus ?? 0) !== 0;
  }

  /** Waiting while no slot was free, and waiting for company; ms. */
  get waited(): { queueMs: number; waitMs: number } {
    const { exchange } = this;
    if (!exchange || exchange.sentAt === 0) return { queueMs: 0, waitMs: 0 };
    return { queueMs: Math.max(0, exchange.sentAt - exchange.arrivedAt - exchange.waitMs), waitMs: exchange.waitMs };
  }
}

/** Somebody who wants to know of requests. */
export interface AccountReader {
  /** Before anything is done with it: headers may still be changed. */
  begun?(account: Account): void;
  ended(account: Account): void;
}

const accounts = new WeakMap<ServerResponse, Account>();

/** The account of a request; undefined where nobody reads accounts. */
export function accountOf(response: ServerResponse): Account | undefined {
  return accounts.get(response);
}

/** A request is answered with an error of ours. */
export function noteCode(response: ServerResponse, code: ErrorCode): void {
  const account = accounts.get(response);
  if (account) account.code ??= code;
}

/** Keeps an account of each request from its head to its end. */
export class Accounts {
  readonly #readers: readonly AccountReader[];
  readonly #guard: Guard;

  constructor(readers: readonly AccountReader[], guard: Guard) {
    this.#guard = guard;
    this.#readers = readers;
  }

  open(request: IncomingMessage, response: ServerResponse, receivedAt: number): void {
    const account = new Account(request, response, receivedAt);
    accounts.set(response, account);
    tap(request, response, {
      requestBytes: (chunk) => {
        account.requestBytes += chunk.length;
      },
      requestEnd: nothing,
      responseBytes: (chunk) => {
        account.responseBytes += chunk.length;
      },
    });
    for (const reader of this.#readers) this.#guard.run(nothing, () => reader.begun?.(account));
    response.once('close', () => {
      account.endedAt = performance.now();
      for (const reader of this.#readers) this.#guard.run(nothing, () => reader.ended(account));
    });
  }
}

function nothing(): void {}
