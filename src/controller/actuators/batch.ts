import { type PolicyDocument, signDocument } from '../../policy/policy-document.ts';
import type { ObservedPod } from '../reconcile/observed.ts';
import type { PodCall } from '../signals/pod-call.ts';
import type { Actuation, ActuationContext, Actuator } from './actuator.ts';

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
  readonly #failed = new Map<string, { readonly failures: number; readonly atMs: number }>();
  #counter = 0;

  constructor(call: PodCall, signingKeyPem: () => string | undefined) {
    this.#call = call;
    this.#signingKeyPem = signingKeyPem;
  }

  async apply(order: BatchOrder, { uid, pods }: BatchTarget, context: ActuationContext): Promise<Actuation> {
    const key = this.#signingKeyPem();
    if (key === undefined)
      return { changes: [], refused: { reason: 'WriteFailed', message: 'there is no signing key yet' } };
    const due = pods.filter(
      (pod) => pod.companion && pod.ip !== undefined && !pod.ending && this.#isDue(order, pod, context),
    );
    const changes: string[] = [];
    let failed: string | undefined;
    const queue = [...due];
    const worker = async () => {
      for (let pod = queue.shift(); pod; pod = queue.shift()) {
        if (!context.leads()) return;
        const before = this.#told.get(pod.uid)?.content;
        const failure = await this.#tell(uid, order, pod, key, context);
        this.#note(pod.uid, failure !== undefined, context.nowMs);
        if (failure) failed = `${pod.name}: ${failure}`;
        else if (before !== undefined && before !== contentOf(order, pod))
          changes.push(`pod ${pod.name}: ${contentOf(order, pod)}`);
      }
    };
    await Promise.all(Array.from({ length: Math.min(parallel, due.length) }, worker));
    return failed === undefined
      ? { changes }
      : { changes, refused: { reason: 'WriteFailed', message: `not every companion took its policy: ${failed}` } };
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

  #note(uid: string, failed: boolean, nowMs: number): void {
    const failures = (this.#failed.get(uid)?.failures ?? 0) + 1;
    this.#failed.delete(uid);
    if (failed) this.#failed.set(uid, { failures, atMs: nowMs });
    if (this.#failed.size > remembered) this.#failed.delete(this.#failed.keys().next().value as string);
  }

  async #tell(
    uid: string,
    order: BatchOrder,
    pod: ObservedPod,
    key: string,
    { nowMs, transitions }: ActuationContext,
  ): Promise<string | undefined> {
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
      const { status } = await this.#call(pod.ip!, { method: 'PUT', path: '/policy', body, timeoutMs });
      if (status !== 200 && status !== 204) return `status ${status}`;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
    this.#told.delete(pod.uid);
    this.#told.set(pod.uid, { content: contentOf(order, pod), atMs: nowMs });
    if (this.#told.size > remembered) this.#told.delete(this.#told.keys().next().value as string);
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
