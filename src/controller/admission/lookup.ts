import type { Clock } from '../../kube/clock.ts';
import type { KubeApi } from '../../kube/kube-api.ts';
import { kinds } from '../../kube/objects.ts';
import {
  chooseInferencePolicy,
  type InferencePolicy,
  type InferencePolicySpec,
  madeByControllerLabel,
  readInferencePolicy,
} from '../../policy/inference-policy.ts';
import type { ServiceName } from '../pod-identity.ts';

/** What a webhook wants to know of the cluster. It answers undefined where it does not know in time. */
export interface ServiceLookup {
  uidOf(namespace: string, service: ServiceName): Promise<string | undefined>;
  /** What users' InferencePolicies say over the annotations of a service. */
  liveSpec(namespace: string, service: ServiceName): Promise<InferencePolicySpec | undefined>;
}

const answerMs = 800;
/** Users' own InferencePolicies of one namespace. The controller's say what the annotations say. */
const policiesMax = 500;

/** Asks the API server, for each pod anew: it is the one that is waiting for us, and the answer is never old. */
export class ApiLookup implements ServiceLookup {
  readonly #api: KubeApi;
  readonly #clock: Clock;

  constructor(api: KubeApi, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
  }

  uidOf(namespace: string, { kind, name }: ServiceName): Promise<string | undefined> {
    const resource = kind === 'InferenceService' ? kinds.inferenceService : kinds.knativeService;
    return this.#inTime(async () => (await this.#api.get(resource, { namespace, name })).metadata.uid);
  }

  liveSpec(namespace: string, service: ServiceName): Promise<InferencePolicySpec | undefined> {
    return this.#inTime(async () => {
      const labelSelector = `${madeByControllerLabel}!=true`;
      const { items } = await this.#api.list(kinds.inferencePolicy, { namespace, labelSelector }, policiesMax);
      const policies = items
        .map((item) => readInferencePolicy(item).value)
        .filter((policy): policy is InferencePolicy => policy !== undefined)
        .filter(({ spec }) => spec.targetRef.kind === service.kind && spec.targetRef.name === service.name);
      return chooseInferencePolicy(policies)?.chosen.spec;
    });
  }

  /** A question that fails or takes too long is one without an answer: admission does not wait for it. */
  #inTime<T>(ask: () => Promise<T>): Promise<T | undefined> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(answerMs, () => resolve(undefined));
      ask()
        .catch(() => undefined)
        .then((answer) => {
          cancel();
          resolve(answer);
        });
    });
  }
}
