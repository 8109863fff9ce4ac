import type { KubeApi } from '../src/kube/kube-api.ts';
import { type KubeObject, kinds } from '../src/kube/objects.ts';
import type { Watched } from './settings.ts';

/** Pods of a service at one moment. */
export interface ReplicaSample {
  /** ms since 1970. */
  readonly atMs: number;
  readonly ready: number;
  /** On a node and not ready yet: they cost as much. */
  readonly starting: number;
  /** Leaving: they finish what they have, and nobody waits for them. */
  readonly ending: number;
}

/** Replica-seconds and starts of one service over a run. */
export interface ReplicaUse {
  readonly replicaSeconds: number;
  readonly most: number;
  /** From being on a node to being ready, of each pod that became ready in the run, in ms. Sorted. */
  readonly coldStartsMs: readonly number[];
}

interface Pod extends KubeObject {
  spec?: { nodeName?: string };
  status?: { phase?: string; conditions?: { type: string; status: string; lastTransitionTime?: string }[] };
}

/** Counts a service's pods each second, by whatever label its platform gives them. */
export class ReplicaWatch {
  readonly #api: KubeApi;
  readonly #watched: Watched;
  readonly #samples: ReplicaSample[] = [];
  readonly #starts = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #failure: unknown;
  #startedMs = 0;

  constructor(api: KubeApi, watched: Watched) {
    this.#api = api;
    this.#watched = watched;
  }

  /** @throws when the pods cannot be listed, before anything is begun. */
  async start(): Promise<void> {
    this.#startedMs = Date.now();
    await this.#sample();
    this.#timer = setInterval(() => void this.#sample().catch((error) => (this.#failure ??= error)), 1000);
  }

  /** Ends counting. What could not be counted on the way is said once. */
  stop(): { samples: readonly ReplicaSample[]; failure: unknown } {
    clearInterval(this.#timer);
    return { samples: this.#samples, failure: this.#failure };
  }

  get last(): ReplicaSample | undefined {
    return this.#samples.at(-1);
  }

  /** Between two moments, each sample holding until the next. */
  use(fromMs: number, toMs: number): ReplicaUse {
    let replicaSeconds = 0;
    let most = 0;
    for (const [at, { atMs, ready, starting }] of this.#samples.entries()) {
      const untilMs = Math.min(toMs, this.#samples[at + 1]?.atMs ?? toMs);
      const heldMs = untilMs - Math.max(fromMs, atMs);
      if (heldMs <= 0) continue;
      replicaSeconds += ((ready + starting) * heldMs) / 1000;
      most = Math.max(most, ready + starting);
    }
    return { replicaSeconds, most, coldStartsMs: [...this.#starts.values()].sort((a, b) => a - b) };
  }

  async #sample(): Promise<void> {
    const { namespace, service } = this.#watched;
    const atMs = Date.now();
    const pods = new Map<string, Pod>();
    for (const labelSelector of [
      `serving.kserve.io/inferenceservice=${service}`,
      `serving.knative.dev/service=${service}`,
    ]) {
      const { items } = await this.#api.list(kinds.pod, { namespace, labelSelector }, 1000);
      for (const pod of items as readonly Pod[]) pods.set(pod.metadata.name, pod);
    }
    const counts = { ready: 0, starting: 0, ending: 0 };
    for (const pod of pods.values()) {
      if (!pod.spec?.nodeName || /Succeeded|Failed/.test(pod.status?.phase ?? '')) continue;
      const conditions = new Map((pod.status?.conditions ?? []).map((each) => [each.type, each]));
      const isReady = conditions.get('Ready')?.status === 'True';
      if (pod.metadata.deletionTimestamp) counts.ending++;
      else if (isReady) counts.ready++;
      else counts.starting++;
      const scheduledMs = Date.parse(conditions.get('PodScheduled')?.lastTransitionTime ?? '');
      // The API's times are whole seconds: our own clock says when we saw it become ready, to a second as well.
      if (
        isReady &&
        !pod.metadata.deletionTimestamp &&
        !this.#starts.has(pod.metadata.name) &&
        scheduledMs >= this.#startedMs
      ) {
        this.#starts.set(pod.metadata.name, Math.max(0, atMs - scheduledMs));
      }
    }
    this.#samples.push({ atMs, ...counts });
  }
}
