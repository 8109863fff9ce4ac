import type { Clock } from '../../kube/clock.ts';
import type { KubeApi, Selection } from '../../kube/kube-api.ts';
import { listAll } from '../../kube/list-all.ts';
import { apiVersionOf, type KubeObject, kinds, type ResourceKind } from '../../kube/objects.ts';
import {
  chooseInferencePolicy,
  type InferencePolicy,
  type InferencePolicySpec,
  madeByControllerLabel,
  readInferencePolicy,
} from '../../policy/inference-policy.ts';
import { type PriceList, readPriceList } from '../../policy/price-list.ts';
import type { ServiceName } from '../pod-identity.ts';
import { policyNameOf } from '../reconcile/policy-object.ts';

/** What a webhook wants to know of the cluster. It answers undefined where it does not know in time. */
export interface ServiceLookup {
  uidOf(namespace: string, service: ServiceName): Promise<string | undefined>;
  /** What the InferencePolicy that holds says over the annotations of a service: a user's, or the controller's with what was written into it. */
  liveSpec(namespace: string, service: ServiceName): Promise<InferencePolicySpec | undefined>;
  /** Users' InferencePolicies of a namespace. */
  policies(namespace: string): Promise<InferencePolicy[] | undefined>;
  /** All PriceLists of the cluster. */
  priceLists(): Promise<PriceList[] | undefined>;
  /** The operator's own annotations that KServe does not copy into templates. */
  uncopiedAnnotations(): Promise<readonly string[]>;
  /** An InferenceService or a Knative Service. */
  object(namespace: string, service: ServiceName): Promise<KubeObject | undefined>;
}

const answerMs = 800;

/** Asks the API server, for each pod anew: it is the one that is waiting for us, and the answer is never old. */
export class ApiLookup implements ServiceLookup {
  readonly #api: KubeApi;
  readonly #clock: Clock;
  readonly #kserveNamespace: string;

  constructor(api: KubeApi, clock: Clock, kserveNamespace: string) {
    this.#api = api;
    this.#clock = clock;
    this.#kserveNamespace = kserveNamespace;
  }

  async uidOf(namespace: string, service: ServiceName): Promise<string | undefined> {
    return (await this.object(namespace, service))?.metadata.uid;
  }

  async liveSpec(namespace: string, { kind, name }: ServiceName): Promise<InferencePolicySpec | undefined> {
    const [users = [], made] = await Promise.all([this.policies(namespace), this.#made(namespace, { kind, name })]);
    const all = made ? [...users, made] : users;
    const own = all.filter(({ spec }) => spec.targetRef.kind === kind && spec.targetRef.name === name);
    return chooseInferencePolicy(own)?.chosen.spec;
  }

  /** The one that the controller made, into which `paceline off` and whoever edits it write. */
  #made(namespace: string, service: ServiceName): Promise<InferencePolicy | undefined> {
    return this.#inTime(async () => {
      const name = policyNameOf(service);
      const item = await this.#api.get(kinds.inferencePolicy, { namespace, name });
      const isMade = item.metadata.labels?.[madeByControllerLabel] === 'true';
      return isMade ? readInferencePolicy(withKind(item, kinds.inferencePolicy)).value : undefined;
    });
  }

  policies(namespace: string): Promise<InferencePolicy[] | undefined> {
    const labelSelector = `${madeByControllerLabel}!=true`;
    return this.#inTime(() => this.#values(kinds.inferencePolicy, readInferencePolicy, { namespace, labelSelector }));
  }

  priceLists(): Promise<PriceList[] | undefined> {
    return this.#inTime(() => this.#values(kinds.priceList, readPriceList));
  }

  async uncopiedAnnotations(): Promise<readonly string[]> {
    const name = { namespace: this.#kserveNamespace, name: 'inferenceservice-config' };
    const config = await this.#inTime(() => this.#api.get(kinds.configMap, name));
    const text = (config?.data as { inferenceService?: string } | undefined)?.inferenceService ?? '{}';
    try {
      const { serviceAnnotationDisallowedList: listed } = JSON.parse(text) as Record<string, unknown>;
      return Array.isArray(listed) ? listed.filter((each) => typeof each === 'string') : [];
    } catch {
      return [];
    }
  }

  object(namespace: string, { kind, name }: ServiceName): Promise<KubeObject | undefined> {
    const resource = kind === 'InferenceService' ? kinds.inferenceService : kinds.knativeService;
    return this.#inTime(() => this.#api.get(resource, { namespace, name }));
  }

  /** All objects of a kind that can be read. */
  async #values<T>(
    kind: ResourceKind,
    read: (object: KubeObject) => { readonly value?: T },
    selection?: Selection,
  ): Promise<T[]> {
    const values: T[] = [];
    for await (const item of listAll(this.#api, kind, selection)) {
      const { value } = read(withKind(item, kind));
      if (value !== undefined) values.push(value);
    }
    return values;
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

/** The API server leaves out the kind of what is in a list. */
function withKind(item: KubeObject, kind: ResourceKind): KubeObject {
  return { ...item, apiVersion: apiVersionOf(kind), kind: kind.kind };
}
