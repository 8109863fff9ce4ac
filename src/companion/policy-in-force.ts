import { Setting } from '../kernels/reasons.ts';
import type { CompanionOptions } from '../policy/companion-options.ts';
import { documentRefusals } from '../policy/document-refusals.ts';
import { clockSkewMs, DocumentGate, type DocumentRefusal, type PolicyDocument } from '../policy/policy-document.ts';
import { lateTimeoutPerSlo } from '../policy/service-policy.ts';
import type { Log } from '../telemetry/log.ts';

/** What of a companion's configuration a policy document may change while it runs. */
export type LivePolicy = Pick<
  CompanionOptions,
  'mode' | 'sloMs' | 'sloQuantile' | 'patience' | 'maxBatchSize' | 'late' | 'lateTimeoutMs'
>;

/** The answer to a document. */
export interface PolicyReply {
  readonly status: number;
  readonly body: { readonly error?: string; readonly code?: DocumentRefusal; readonly sequence?: readonly number[] };
}

/**
 * The policy that holds: what was injected, or what a signed document says instead until it expires. One timer while a
 * document holds, none otherwise. A field that a document leaves out is as it was injected.
 */
export class PolicyInForce {
  current: LivePolicy;
  readonly #injected: LivePolicy;
  readonly #gate: DocumentGate | undefined;
  readonly #log: Log;
  readonly #onChange: (policy: LivePolicy) => void;
  readonly #onReply: (result: string) => void;
  #document: PolicyDocument | undefined;
  #expiresAt = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param onReply hears of every document: `accepted`, or the code of the refusal. */
  constructor(
    options: CompanionOptions,
    log: Log,
    onChange: (policy: LivePolicy) => void,
    onReply: (result: string) => void,
  ) {
    const { mode, sloMs, sloQuantile, patience, maxBatchSize, late, lateTimeoutMs } = options;
    this.#injected = { mode, sloMs, sloQuantile, patience, maxBatchSize, late, lateTimeoutMs };
    this.current = this.#injected;
    this.#log = log;
    this.#onChange = onChange;
    this.#onReply = onReply;
    const [current, next] = options.policyKeys.map(pemOf);
    if (current !== undefined) {
      this.#gate = new DocumentGate({ current, next }, { isvcUid: options.isvcUid, revision: options.revision });
    }
  }

  /** Sequence of the document that holds, or null where what was injected does. */
  get sequence(): PolicyDocument['sequence'] | null {
    return this.#document?.sequence ?? null;
  }

  /** Ms until what was injected holds again; null where it does. */
  get expiresInMs(): number | null {
    return this.#document === undefined ? null : Math.max(0, this.#expiresAt - performance.now());
  }

  /** Takes a document, or says why not. `now` in ms since 1970. */
  put(text: string, now = Date.now()): PolicyReply {
    const taken = this.#gate?.accept(text, now) ?? { refused: 'PL_POLICY_SIGNATURE' as const };
    if ('refused' in taken) {
      const { status, meaning } = documentRefusals[taken.refused];
      this.#onReply(taken.refused);
      this.#log.warn({ code: taken.refused, holds: this.sequence }, 'a policy document was refused');
      const held = this.#gate?.sequence;
      return { status, body: { error: meaning, code: taken.refused, ...(held && { sequence: held }) } };
    }
    const { document } = taken;
    this.#onReply('accepted');
    // The clock that expiry runs by is monotonic: setting a node's clock neither ends nor prolongs a policy.
    const livesMs = document.issuedAt + document.ttlMs + clockSkewMs - now;
    this.#expiresAt = performance.now() + livesMs;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#expire(), livesMs);
    this.#timer.unref();
    this.#document = document;
    this.#hold(this.#merged(document), { sequence: document.sequence }, 'a policy document was accepted');
    return { status: 200, body: { sequence: document.sequence } };
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #expire(): void {
    const sequence = this.#document?.sequence;
    this.#document = undefined;
    this.#hold(this.#injected, { sequence }, 'the policy document expired: what was injected holds again');
  }

  /** A controller repeats itself before a document expires: what changes nothing is not worth a line. */
  #hold(policy: LivePolicy, fields: object, message: string): void {
    const before = this.current;
    const changed = (Object.keys(policy) as (keyof LivePolicy)[]).filter((key) => policy[key] !== before[key]);
    this.current = policy;
    if (changed.length === 0) return;
    this.#log.info({ ...fields, ...Object.fromEntries(changed.map((key) => [key, policy[key]])) }, message);
    this.#onChange(policy);
  }

  #merged(document: PolicyDocument): LivePolicy {
    const injected = this.#injected;
    const { sloMs = injected.sloMs, patience = injected.patience } = document;
    const { lateTimeoutMs = document.sloMs === undefined ? injected.lateTimeoutMs : lateTimeoutPerSlo * sloMs } =
      document;
    return {
      mode: document.mode,
      sloMs,
      sloQuantile: document.sloQuantile ?? injected.sloQuantile,
      patience: patience === 'auto' ? -1 : patience,
      maxBatchSize: document.maxBatchSize ?? injected.maxBatchSize,
      late: document.late ?? injected.late,
      lateTimeoutMs: Math.min(Math.max(lateTimeoutMs, sloMs), 3_600_000),
    };
  }
}

/** Has a scheduler decide by a policy from now on. */
export function applySettings(scheduler: { set(setting: Setting, value: number): void }, policy: LivePolicy): void {
  scheduler.set(Setting.SloMs, policy.sloMs);
  scheduler.set(Setting.SloQuantile, policy.sloQuantile);
  scheduler.set(Setting.Patience, policy.patience);
  scheduler.set(Setting.MaxBatchItems, policy.maxBatchSize);
  scheduler.set(Setting.DeferLate, policy.late === 'defer' ? 1 : 0);
  scheduler.set(Setting.LateTimeoutMs, policy.lateTimeoutMs);
}

function pemOf(key: string): string {
  return `-----BEGIN PUBLIC KEY-----\n${key}\n-----END PUBLIC KEY-----\n`;
}
