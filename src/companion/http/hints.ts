import type { IncomingHttpHeaders } from 'node:http';
import type { Measured } from '../../protocol/protocol.ts';
import { grpcTimeoutIn } from './grpc-timeout.ts';

/** When a request is wanted and how urgently. Times in ms of the companion's clock; Infinity: the domain's own. */
export interface Hints {
  readonly softDeadline: number;
  readonly hardDeadline: number;
  readonly band: number;
  readonly tenant: number;
}

/** Bands run from 0, the most urgent, to 7. */
const defaultBand = 4;
const bandMax = 7;
const tenantsMax = 1023;

/** Reads what callers say about one request, and lets them only lower and shorten unless they are trusted. */
export class HintReader {
  readonly #trusted: boolean;
  readonly #objective: () => { readonly sloMs: number; readonly lateTimeoutMs: number };
  readonly #tenants = new Map<string, number>();

  /** @param objective what holds where a request says nothing; it may change while the companion runs. */
  constructor(trusted: boolean, objective: () => { readonly sloMs: number; readonly lateTimeoutMs: number }) {
    this.#trusted = trusted;
    this.#objective = objective;
  }

  /**
   * The hints of a request, or what is wrong with them.
   *
   * @param arrivedAt when its body was there, from which an objective counts; a deadline of gRPC counts from `receivedAt`
   */
  read(headers: IncomingHttpHeaders, measured: Measured, arrivedAt: number, receivedAt = arrivedAt): Hints | string {
    const allowed = grpcTimeoutIn(headers['grpc-timeout']);
    if (Number.isNaN(allowed)) return 'grpc-timeout is a number of at most eight digits and a unit: H, M, S, m, u or n';
    const timeout = numberOf(headers['paceline-timeout-ms']);
    if (timeout !== undefined && !(timeout > 0 && timeout <= 3_600_000)) {
      return 'paceline-timeout-ms is a number of milliseconds above 0';
    }
    const asked = numberOf(headers['paceline-priority']) ?? measured.priority;
    if (asked !== undefined && !(Number.isInteger(asked) && asked >= 0)) {
      return 'paceline-priority is a whole number: 1 is the highest, 0 the default';
    }
    const { sloMs, lateTimeoutMs } = this.#objective();
    const soft = this.#softMs(timeout, sloMs);
    const hard = Math.min(
      this.#trusted ? Math.max(lateTimeoutMs, soft) : lateTimeoutMs,
      measured.timeoutUs ? measured.timeoutUs / 1000 : Number.POSITIVE_INFINITY,
      allowed === undefined ? Number.POSITIVE_INFINITY : Math.max(0, allowed - (arrivedAt - receivedAt)),
    );
    const wanted = asked ? Math.min(asked - 1, bandMax) : defaultBand;
    return {
      softDeadline: arrivedAt + Math.min(soft, hard),
      hardDeadline: arrivedAt + hard,
      band: this.#trusted ? wanted : Math.max(wanted, defaultBand),
      tenant: this.#trusted ? this.#tenant(headers) : 0,
    };
  }

  #softMs(timeout: number | undefined, sloMs: number): number {
    if (timeout === undefined) return sloMs;
    return this.#trusted ? timeout : Math.min(timeout, sloMs);
  }

  /** Tenants get numbers as they come; beyond the bound they share the first. */
  #tenant(headers: IncomingHttpHeaders): number {
    const name = headers['paceline-tenant'] ?? headers['x-gateway-inference-fairness-id'];
    if (typeof name !== 'string' || name === '') return 0;
    const known = this.#tenants.get(name);
    if (known !== undefined) return known;
    if (this.#tenants.size >= tenantsMax) return 0;
    const next = this.#tenants.size + 1;
    this.#tenants.set(name, next);
    return next;
  }
}

function numberOf(value: string | string[] | undefined): number | undefined {
  if (value === undefined) return undefined;
  return typeof value === 'string' && /^\d{1,12}(?:\.\d{1,6})?$/.test(value) ? Number(value) : Number.NaN;
}
