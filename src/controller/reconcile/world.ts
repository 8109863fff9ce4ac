import { Informer, type InformerOptions, type InformerTools } from '../../kube/informer.ts';
import { keyOf, kinds } from '../../kube/objects.ts';
import {
  choosePriceList,
  dearestPrice,
  type PriceList,
  type ReplicaPrice,
  readPriceList,
} from '../../policy/price-list.ts';
import { podAutoscalerClass } from '../../policy/service-view.ts';
import type { Log } from '../../telemetry/log.ts';
import { knativeClass, ownClassLabel } from '../actuators/autoscaler-class.ts';
import { KnativeConfig, knativeDefaults } from './knative-settings.ts';
import { isNewsOfPodAutoscaler, isNewsOfPolicy, isNewsOfRevision } from './news.ts';
import type { ObservedPod, ObservedRevision, ObservedService, TargetName } from './observed.ts';
import {
  type ProjectedPodAutoscaler,
  type ProjectedServerlessService,
  projectPodAutoscaler,
  projectServerlessService,
} from './pod-autoscalers.ts';
import {
  type ProjectedDeployment,
  type ProjectedPod,
  type ProjectedRevision,
  projectDeployment,
  projectInferenceService,
  projectKnativeService,
  projectPod,
  projectRevision,
  serviceKeyOf,
  type Target,
} from './projections.ts';
import { projectPolicy, type StoredPolicy } from './stored-policies.ts';

export interface WorldOptions extends InformerTools {
  readonly log: Log;
  /** Which kinds the cluster has: without Knative or KServe their kinds are not watched. */
  readonly knative: boolean;
  readonly kserve: boolean;
  /** Where Knative runs. */
  readonly knativeNamespace: string;
  /** Called with the key of a service of which something changed. */
  readonly onService: (service: string) => void;
  readonly onPod: (pod: ProjectedPod | undefined, before: ProjectedPod | undefined) => void;
  /** Called when prices changed. */
  readonly onPrices: () => void;
}

interface ProjectedNode {
  readonly labels: Readonly<Record<string, string>>;
}

/** All that the controller reads of the cluster, kept up to date, and put together by service. */
export class World {
  readonly #informers: Informer<unknown>[] = [];
  readonly #inferenceServices: Informer<Target> | undefined;
  readonly #knativeServices: Informer<Target> | undefined;
  readonly #revisions: Informer<ProjectedRevision> | undefined;
  readonly #podAutoscalers: Informer<ProjectedPodAutoscaler> | undefined;
  readonly #serverlessServices: Informer<ProjectedServerlessService> | undefined;
  readonly #deployments: Informer<ProjectedDeployment> | undefined;
  readonly #pods: Informer<ProjectedPod>[] = [];
  readonly #knative: KnativeConfig | undefined;
  readonly #nodes: Informer<ProjectedNode>;
  readonly #policies: Informer<StoredPolicy>;
  readonly #priceLists: Informer<PriceList>;
  /** Kept until nodes or prices change: it is the same for all services. */
  #dearest: { readonly price: ReplicaPrice | undefined } | undefined;

  constructor(options: WorldOptions) {
    const { knative, kserve, onService, onPod, onPrices } = options;
    const watch = <T>(informer: InformerOptions<T>): Informer<T> => {
      const made = new Informer(informer, options);
      this.#informers.push(made as Informer<unknown>);
      return made;
    };
    const byService = <T extends { readonly service: string }>(
      informer: InformerOptions<T>,
      isNews: (now: T, before: T) => boolean = () => true,
    ): Informer<T> => {
      const made = watch({ ...informer, indexes: { service: (value: T) => [value.service] } });
      made.onChange((_, now, before) => {
        if (now && (!before || isNews(now, before))) onService(now.service);
        if (before && before.service !== now?.service) onService(before.service);
      });
      return made;
    };
    const targets = (informer: InformerOptions<Target>): Informer<Target> => {
      const made = watch(informer);
      made.onChange((_, now, before) => onService(serviceKeyOf((now ?? before)!.target)));
      return made;
    };
    if (kserve) {
      this.#inferenceServices = targets({ kind: kinds.inferenceService, project: projectInferenceService });
      const selection = { labelSelector: 'serving.kserve.io/inferenceservice' };
      this.#deployments = byService({ kind: kinds.deployment, selection, project: projectDeployment });
    }
    if (knative) {
      this.#knative = new KnativeConfig({ ...options, namespace: options.knativeNamespace });
      this.#knativeServices = targets({ kind: kinds.knativeService, project: projectKnativeService });
      this.#revisions = byService({ kind: kinds.revision, project: projectRevision }, isNewsOfRevision);
      this.#podAutoscalers = byService(
        { kind: kinds.podAutoscaler, project: projectPodAutoscaler },
        isNewsOfPodAutoscaler,
      );
      // Those of other classes are somebody else's: thousands of them need not be kept.
      const selection = { labelSelector: ownClassLabel };
      this.#serverlessServices = byService({
        kind: kinds.serverlessService,
        selection,
        project: projectServerlessService,
      });
    }
    for (const labelSelector of podSelectors(knative, kserve)) {
      const pods = byService({ kind: kinds.pod, selection: { labelSelector }, project: projectPod });
      pods.onChange((_, now, before) => onPod(now, before));
      this.#pods.push(pods);
    }
    this.#nodes = watch({ kind: kinds.node, project: ({ metadata }) => ({ labels: metadata.labels ?? {} }) });
    this.#policies = byService({ kind: kinds.inferencePolicy, project: projectPolicy }, isNewsOfPolicy);
    this.#priceLists = watch({
      kind: kinds.priceList,
      project: (object) => readPriceList(object).value,
    });
    for (const informer of [this.#nodes, this.#priceLists]) {
      informer.onChange(() => {
        this.#dearest = undefined;
      });
    }
    this.#priceLists.onChange(onPrices);
  }

  start(): void {
    for (const informer of this.#informers) informer.start();
  }

  async whenSynced(): Promise<void> {
    await Promise.all([this.#knative?.start(), ...this.#informers.map((informer) => informer.whenSynced())]);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#knative?.stop(), ...this.#informers.map((informer) => informer.stop())]);
  }

  /** Kinds whose first list is not complete yet. */
  get unsynced(): string[] {
    return this.#informers.filter(({ synced }) => !synced).map(({ kind }) => kind.plural);
  }

  /** Keys of all services, with or without a policy. */
  *services(): IterableIterator<string> {
    for (const informer of [this.#inferenceServices, this.#knativeServices]) {
      for (const { target } of informer?.values() ?? []) yield serviceKeyOf(target);
    }
  }

  /** The services of one namespace. */
  *targetsIn(namespace: string): IterableIterator<Target> {
    for (const informer of [this.#inferenceServices, this.#knativeServices]) {
      for (const each of informer?.values() ?? []) if (each.target.namespace === namespace) yield each;
    }
  }

  /** Names of the Revisions that a service has. */
  revisionNames(service: string): string[] {
    return (this.#revisions?.by('service', service) ?? []).map(({ name }) => name);
  }

  target({ kind, namespace, name }: TargetName): Target | undefined {
    const informer = kind === 'Service' ? this.#knativeServices : this.#inferenceServices;
    return informer?.get(keyOf({ namespace, name }));
  }

  policies(service: string): StoredPolicy[] {
    return this.#policies.by('service', service);
  }

  pods(service: string): ProjectedPod[] {
    return this.#pods.flatMap((pods) => pods.by('service', service));
  }

  priceList(): PriceList | undefined {
    return choosePriceList([...this.#priceLists.values()]);
  }

  /** What a replica costs on the dearest node. */
  dearestPrice(): ReplicaPrice | undefined {
    const list = this.priceList();
    this.#dearest ??= {
      price:
        list &&
        dearestPrice(
          list,
          [...this.#nodes.values()].map(({ labels }) => labels),
        ),
    };
    return this.#dearest.price;
  }

  nodeLabels(node: string | undefined): Readonly<Record<string, string>> {
    return (node === undefined ? undefined : this.#nodes.get(node)?.labels) ?? {};
  }

  /** Everything about one service. */
  observe(target: Target): ObservedService {
    const service = serviceKeyOf(target.target);
    const revisions = (this.#revisions?.by('service', service) ?? []).sort(older).map((revision): ObservedRevision => {
      const key = keyOf(revision);
      return {
        ...revision,
        trafficPercent: trafficOf(target, revision.name),
        hasLatestTraffic: target.traffic.some(
          ({ revision: of, percent, latest }) => latest && percent > 0 && of === revision.name,
        ),
        podAutoscaler: this.#podAutoscalers?.get(key),
        serverlessService: this.#serverlessServices?.get(key),
      };
    });
    const deployment = stableDeployment(target, this.#deployments?.by('service', service) ?? []);
    const { annotations } = target;
    const knative = this.#knative?.settings ?? knativeDefaults;
    return {
      target: target.target,
      uid: target.uid,
      resourceVersion: target.resourceVersion,
      annotations,
      deploymentMode: target.deploymentMode,
      autoscaler: autoscalerOf(target),
      // KServe's default is one replica, Knative's what its settings say.
      minReplicas: target.minReplicas ?? (target.target.kind === 'Service' ? knative.minScale : 1),
      maxReplicas: target.maxReplicas || (target.deploymentMode === 'knative' ? knative.maxScale : 0),
      containerConcurrency: target.containerConcurrency ?? 0,
      knative,
      canaryTrafficPercent: target.canaryTrafficPercent,
      latestCreatedRevision: target.latestCreatedRevision,
      latestReadyRevision: target.latestReadyRevision,
      latestRolledoutRevision: target.latestRolledoutRevision,
      revisions,
      deployment,
      pods: this.pods(service).map((pod): ObservedPod => pod),
    };
  }
}

function autoscalerOf({ deploymentMode, annotations, autoscalerClass }: Target): ObservedService['autoscaler'] {
  if (deploymentMode === 'standard') {
    const known = (['hpa', 'keda', 'external', 'none'] as const).find((each) => each === (autoscalerClass ?? 'hpa'));
    return known ?? 'hpa';
  }
  const named = annotations['autoscaling.knative.dev/class'] ?? knativeClass;
  if (named === podAutoscalerClass) return 'class';
  return named === knativeClass ? 'knative' : 'hpa';
}

/**
 * The Deployment that a plan is for: that of the stable predictor. Beside it there may be those of canaries
 * (`spec.canary`, KServe 0.20 and later), which KServe scales by their share, and of the workers of a predictor of several nodes.
 * Before KServe 0.11 the only one had another name.
 */
function stableDeployment(
  { deploymentName }: Target,
  all: readonly ProjectedDeployment[],
): ProjectedDeployment | undefined {
  return all.find(({ name }) => name === deploymentName) ?? (all.length === 1 ? all[0] : undefined);
}

function trafficOf({ traffic }: Target, revision: string): number {
  return traffic.filter((each) => each.revision === revision).reduce((sum, { percent }) => sum + percent, 0);
}

function older(one: ProjectedRevision, other: ProjectedRevision): number {
  return one.createdMs - other.createdMs || (one.name < other.name ? -1 : 1);
}

/** Knative labels every pod with its Revision; in Standard mode there is only KServe's label. One selector cannot say "or". */
function podSelectors(knative: boolean, kserve: boolean): string[] {
  return [
    ...(knative ? ['serving.knative.dev/revision'] : []),
    ...(kserve ? ['serving.kserve.io/inferenceservice,!serving.knative.dev/revision'] : []),
  ];
}
