import type { Log } from '../../telemetry/log.ts';
import { parseTraceparent } from '../../telemetry/trace-context.ts';
import type { Account, AccountReader } from './account.ts';
import { requestIdOf } from './request-id.ts';

/** What of a request's own words a line may hold, in characters. */
const targetMax = 256;
const idMax = 128;

/** How much is logged. */
export interface AccessLogOptions {
  /** Of the requests that went well, 0 to 1. Those that failed or missed their objective always are. */
  readonly share: number;
  /** Lines a second, of all kinds. */
  readonly perSecond: number;
}

/**
 * One structured line a request: those that failed, were refused or missed their objective, and a share of the others. A rate
 * bounds them all; the next line says how many were held back.
 */
export class AccessLog implements AccountReader {
  readonly #log: Log;
  readonly #options: AccessLogOptions;
  readonly #now: () => number;
  readonly #random: () => number;
  #tokens: number;
  #filledAt: number;
  #heldBack = 0;

  constructor(log: Log, options: AccessLogOptions, now = () => performance.now(), random: () => number = Math.random) {
    this.#log = log;
    this.#options = options;
    this.#now = now;
    this.#random = random;
    this.#tokens = options.perSecond;
    this.#filledAt = now();
  }

  ended(account: Account): void {
    const wrong = isWrong(account);
    if (!wrong && !(this.#random() < this.#options.share)) return;
    const now = this.#now();
    const { perSecond } = this.#options;
    this.#tokens = Math.min(perSecond, this.#tokens + ((now - this.#filledAt) / 1000) * perSecond);
    this.#filledAt = now;
    if (this.#tokens < 1) {
      this.#heldBack++;
      return;
    }
    this.#tokens--;
    const fields = { ...fieldsOf(account), ...(this.#heldBack > 0 ? { heldBack: this.#heldBack } : {}) };
    this.#heldBack = 0;
    if (wrong) this.#log.warn(fields, 'request');
    else this.#log.info(fields, 'request');
  }
}

function isWrong(account: Account): boolean {
  const { outcome, met, status, grpcStatus } = account;
  return outcome === 'refused' || outcome === 'failed' || met === false || status >= 500 || (grpcStatus ?? 0) > 0;
}

/** The fields of a line, as docs/observing.md lists them. */
function fieldsOf(account: Account): Record<string, unknown> {
  const { request, exchange, code, met, grpcStatus } = account;
  const traceId = account.span?.context.traceId ?? parseTraceparent(request.headers.traceparent)?.traceId;
  const { queueMs, waitMs } = account.waited;
  return {
    requestId: requestIdOf(request).slice(0, idMax),
    ...(traceId === undefined ? {} : { traceId }),
    method: request.method,
    path: (request.url ?? '').split('?', 1)[0]?.slice(0, targetMax),
    status: account.status,
    ...(grpcStatus === undefined ? {} : { grpcStatus }),
    outcome: account.outcome,
    ...(code === undefined ? {} : { code }),
    ...(met === undefined ? {} : { met }),
    ms: rounded(account.endedAt - account.receivedAt),
    ...(exchange && exchange.sentAt > 0
      ? {
          queueMs: rounded(queueMs),
          waitMs: rounded(waitMs),
          execMs: rounded(exchange.execMs),
          batch: exchange.batch,
        }
      : {}),
    ...(exchange && exchange.measured.items > 0 ? { items: exchange.measured.items } : {}),
    requestBytes: account.requestBytes,
    responseBytes: account.responseBytes,
  };
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
