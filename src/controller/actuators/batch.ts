import { documentRefusals } from '../../policy/document-refusals.ts';
import { type DocumentRefusal, type PolicyDocument, signDocument } from '../../policy/policy-document.ts';
import type { ObservedPod } from '../reconcile/observed.ts';
import type { PodAnswer, PodCall } from '../signals/pod-call.ts';
import type { Actuation, ActuationContext, ActuationRefusal, Actuator } from './actuator.ts';

/** What the companions of one service are to do. */
export interface BatchOrder {
  readonly mode: PolicyDocument['mode'];
  readonly sloMs: number;
  readonly sloQuantile: number;
  readonly late: 'defer' | 'shed';
  readonly lateTimeoutMs: number;
  /** By revision; a revision that is not named gets the policy's own bounds. */
  readonly batches: ReadonlyMap<string, { readonly maxBatchSize: number; readonly patience: number | 'auto' }>;
  readonly otherwise: { readonly maxBatchSize: number; readonly patience: number | 'auto' };
}

/** The companions of one service. */
export interface BatchTarget {
  readonly uid: string;
  readonly pods: readonly (ObservedPod & {
    /** Sequence of the document that it said is in force; undefined where it said that none is, or nothing. */
    readonly sequence: readonly [number, number] | undefined;
    readonly heard: boolean;
  })[];
}

const ttlMs = 300_000;
/** A document is told again well before it expires. */
const renewMs = 120_000;
const timeoutMs = 1_000;
const parallel = 8;
const remembered = 50_000;

/** A companion that did not take its document is left alone for a while: it must not hold up the other services. */
const retryMs = { first: 5_000, most: 60_000 };

/** An answer that refuses a document is short. */
const refusalCharsMax = 4_096;
const codeShape = /^PL_[A-Z_]{1,60}$/;
/** Refusals that no later document ends. */
const endedByRestart: ReadonlySet<string> = new Set(['PL_POLICY_SIGNATURE', 'PL_POLICY_SCHEMA']);

/** Why a companion did not take its document. */
interface Failure {
  readonly reason: Extract<ActuationRefusal, 'RestartRequired' | 'WriteFailed'>;
  readonly text: string;
}

interface Told {
  readonly content: string;
  readonly atMs: number;
}

/** Tells companions what to do by signed policy documents. What they are told ends by itself when nobody repeats it. */
export class Batch implements Actuator<BatchOrder, BatchTarget> {
  readonly name = 'batch';
  readonly #call: PodCall;
  readonly #signingKeyPem: () => string | undefined;
  /** By pod UID. */
  readonly #told = new Map<string, Told>();
  /** Pods that did not take what they were told last, by UID. */
  readonly #failed = new Map<string, { readonly failures: number; readonly atMs: number; readonly failure: Failure }>();
  #counter = 0;

  constructor(call: PodCall, signingKeyPem: () => string | undefined) {
    this.#call = call;
    this.#signingKeyPem = signingKeyPem;
  }

  async apply(order: BatchOrder, { uid, pods }: BatchTarget, context: ActuationContext): Promise<Actuation> {
    const key = this.#signingKeyPem();
    if (key === undefined)
      return { changes: [], refused: { reason: 'WriteFailed', message: 'there is no signing key yet' } };
    const live = pods.filter((pod) => pod.companion && pod.ip !== undefined && !pod.ending);
    const due = live.filter((pod) => this.#isDue(order, pod, context));
    const changes: string[] = [];
    const queue = [...due];
    const worker = async () => {
      for (let pod = queue.shift(); pod; pod = queue.shift()) {
        if (!context.leads()) return;
        const before = this.#told.get(pod.uid)?.content;
        const failure = await this.#tell(uid, order, pod, key, context);
        this.#note(pod.uid, failure, context.nowMs);
        if (!failure && before !== undefined && before !== contentOf(order, pod))
          changes.push(`pod ${pod.name}: ${contentOf(order, pod)}`);
      }
    };
    await Promise.all(Array.from({ length: Math.min(parallel, due.length) }, worker));
    const refused = this.#refusal(live);
    return refused ? { changes, refused } : { changes };
  }

  /** What is wrong for as long as it is, between two tries too: first what waits for a user, then by name. */
  #refusal(pods: BatchTarget['pods']): Actuation['refused'] {
    let worst: { readonly name: string; readonly failure: Failure } | undefined;
    for (const { uid, name } of this.#failed.size === 0 ? [] : pods) {
      const failure = this.#failed.get(uid)?.failure;
      if (!failure) continue;
      const same = worst?.failure.reason === failure.reason;
      if (!worst || (same ? name < worst.name : failure.reason === 'RestartRequired')) worst = { name, failure };
    }
    if (!worst) return undefined;
    const { reason, text } = worst.failure;
    return { reason, message: `not every companion took its policy: ${worst.name}: ${text}` };
  }

  /** Nothing to restore: companions return to what was injected when their document expires. */
  async giveBack(): Promise<void> {}

  #isDue(order: BatchOrder, pod: BatchTarget['pods'][number], { nowMs }: ActuationContext): boolean {
    const failed = this.#failed.get(pod.uid);
    if (failed) {
      const waitMs = Math.min(retryMs.most, retryMs.first * 2 ** Math.min(failed.failures - 1, 10));
      if (nowMs >= failed.atMs && nowMs - failed.atMs < waitMs) return false;
    }
    const told = this.#told.get(pod.uid);
    if (!told || told.content !== contentOf(order, pod)) return true;
    // A clock that was set back must not keep documents from being renewed.
    if (nowMs - told.atMs >= renewMs || nowMs < told.atMs) return true;
    // A companion that started anew has forgotten.
    return pod.heard && pod.sequence === undefined && nowMs - told.atMs > 15_000;
  }

  #note(uid: string, failure: Failure | undefined, nowMs: number): void {
    const failures = (this.#failed.get(uid)?.failures ?? 0) + 1;
    this.#failed.delete(uid);
    if (failure) this.#failed.set(uid, { failures, atMs: nowMs, failure });
    if (this.#failed.size > remembered) this.#failed.delete(this.#failed.keys().next().value as string);
  }

  async #tell(
    uid: string,
    order: BatchOrder,
    pod: ObservedPod,
    key: string,
    { nowMs, transitions }: ActuationContext,
  ): Promise<Failure | undefined> {
    this.#counter = Math.max(this.#counter + 1, nowMs);
    const { batches, otherwise, ...rest } = order;
    const { maxBatchSize, patience } = batches.get(pod.revision) ?? otherwise;
    const sequence = [transitions, this.#counter] as const;
    const body = signDocument(
      {
        schemaVersion: 1,
        isvcUid: uid,
        revision: pod.revision,
        issuedAt: nowMs,
        sequence,
        ttlMs,
        ...rest,
        maxBatchSize,
        patience,
      },
      key,
    );
    try {
      const answer = await this.#call(pod.ip!, { method: 'PUT', path: '/policy', body, timeoutMs });
      if (answer.status !== 200 && answer.status !== 204) return failureOf(answer);
    } catch (error) {
      return { reason: 'WriteFailed', text: error instanceof Error ? error.message : String(error) };
    }
    this.#told.delete(pod.uid);
    this.#told.set(pod.uid, { content: contentOf(order, pod), atMs: nowMs });
    if (this.#told.size > remembered) this.#told.delete(this.#told.keys().next().value as string);
    return undefined;
  }
}

/** A refusal in the words of its code. Nothing else of an answer gets into a status: anything may listen at that address. */
function failureOf({ status, body }: PodAnswer): Failure {
  const code = refusalCodeOf(body);
  if (code === undefined) return { reason: 'WriteFailed', text: `status ${status}` };
  const { help } = Object.hasOwn(documentRefusals, code) ? documentRefusals[code as DocumentRefusal] : { help: '' };
  const text = `status ${status}, ${code}${help && `. ${help}`}`;
  return { reason: endedByRestart.has(code) ? 'RestartRequired' : 'WriteFailed', text };
}

function refusalCodeOf(body: string): string | undefined {
  if (body.length > refusalCharsMax) return undefined;
  try {
    const { code } = JSON.parse(body) as { code?: unknown };
    return typeof code === 'string' && codeShape.test(code) ? code : undefined;
  } catch {
    return undefined;
  }
}

/** What a pod is told, in words: the same text is the same order. */
function contentOf(order: BatchOrder, pod: ObservedPod): string {
  const { maxBatchSize, patience } = order.batches.get(pod.revision) ?? order.otherwise;
  const { mode, sloMs, sloQuantile, late, lateTimeoutMs } = order;
  const shown = patience === 'auto' ? patience : patience.toFixed(2);
  return `${mode}, batches of at most ${maxBatchSize}, patience ${shown}, ${sloMs} ms at ${sloQuantile}, ${late} ${lateTimeoutMs} ms`;
}
