// What a fleet needs of Knative while its controllers do not run: that annotations of a Revision reach its PodAutoscaler.
import { systemClock } from '../../../src/kube/clock.ts';
import { Informer } from '../../../src/kube/informer.ts';
import type { KubeApi } from '../../../src/kube/kube-api.ts';
import { type KubeObject, kinds, nameOf } from '../../../src/kube/objects.ts';
import { namespace } from './fleet.ts';

/** Watches that end are begun again: nothing to tell. */
const silent = { info: () => {}, warn: () => {}, error: () => {} };

/** Knative's client allows itself five writes a second for each of its eight controllers. */
const everyMs = 25;

/** Carries annotations of Revisions over to their PodAutoscalers, as slowly as Knative does. */
export class Knative {
  readonly #api: KubeApi;
  readonly #revisions: Informer<Record<string, string>>;
  readonly #due = new Map<string, Record<string, string>>();
  #timer: NodeJS.Timeout | undefined;
  #carrying: Promise<unknown> = Promise.resolve();

  constructor(api: KubeApi) {
    this.#api = api;
    this.#revisions = new Informer(
      { kind: kinds.revision, selection: { namespace }, project: annotationsOf },
      { api, clock: systemClock, chance: Math.random, log: silent },
    );
    this.#revisions.onChange((key, now, before) => {
      // Those of the first list are carried over already.
      if (now && before) this.#due.set(key, now);
    });
  }

  /** Begins once all Revisions are there. */
  async start(): Promise<void> {
    this.#revisions.start();
    await this.#revisions.whenSynced();
    this.#timer = setInterval(() => this.#carryOne(), everyMs);
  }

  /** How many wait for their turn. */
  get waiting(): number {
    return this.#due.size;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#revisions.stop();
    await this.#carrying;
  }

  #carryOne(): void {
    for (const [key, annotations] of this.#due) {
      this.#due.delete(key);
      this.#carrying = this.#api.mergePatch(kinds.podAutoscaler, nameOf(key), { metadata: { annotations } });
      return;
    }
  }
}

function annotationsOf({ metadata }: KubeObject): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata.annotations ?? {}).filter(([key]) => key.startsWith('autoscaling.knative.dev/')),
  );
}
