import { Registry } from 'prom-client';
import { classKey, knativeClass } from '../../src/controller/actuators/autoscaler-class.ts';
import type { PartContext } from '../../src/controller/part.ts';
import { PolicyKeys } from '../../src/controller/policy-keys.ts';
import { ReconcilePart } from '../../src/controller/reconcile/part.ts';
import { Rollout } from '../../src/controller/rollout/step.ts';
import type { PodAnswer, PodCall } from '../../src/controller/signals/pod-call.ts';
import { RolloutEvidence } from '../../src/kernels/rollout-evidence.ts';
import type { KubeApi } from '../../src/kube/kube-api.ts';
import { KubeError } from '../../src/kube/kube-error.ts';
import { type KubeObject, kinds } from '../../src/kube/objects.ts';
import { ApiDouble } from './api-double.ts';
import { QuietLog } from './quiet-log.ts';
import { VirtualClock } from './virtual-clock.ts';

/** Seeded chance: the same numbers every time. */
export function chanceOf(seed: number): () => number {
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const namespace = 'shop';
export const original: Readonly<Record<string, string>> = {
  'autoscaling.knative.dev/class': 'kpa.autoscaling.knative.dev',
  'autoscaling.knative.dev/min-scale': '1',
};

const deploymentOf = (revision: string) => `${revision}-deployment`;

function isReady({ status }: KubeObject): boolean {
  return (
    (status as SeenStatus | undefined)?.conditions?.some(
      ({ type, status: is }) => type === 'Ready' && is === 'True',
    ) === true
  );
}

export interface SeenStatus {
  readonly conditions?: readonly { type: string; status: string; reason: string; message: string }[];
  readonly plan?: { readonly reason: string; readonly replicas: number };
  readonly saving?: object;
}

const serialModel = { baseMs: 50, slopeMs: 5 };

/**
 * One cluster in virtual time with one InferenceService `digits`: as much of KServe and Knative as carries annotations
 * from a Revision to its PodAutoscaler and pods, and companions that answer for a serial model of 50 ms + 5 ms an item.
 */
export class ControllerRig {
  readonly api = new ApiDouble();
  readonly clock = new VirtualClock();
  readonly log = new QuietLog();
  readonly chance: () => number;
  /** Items a second of the whole service. */
  load = 20;
  /** What companions answer instead of the truth. */
  signals: ((truth: object, pod: KubeObject) => PodAnswer | undefined) | undefined;
  /** Documents that companions were told, by pod. */
  readonly told = new Map<string, string[]>();
  /** Whether Knative carries annotations over to PodAutoscalers (since 1.21). */
  carries = true;
  /** Revisions whose pods never become Ready. */
  readonly broken = new Set<string>();
  #pods = 0;
  #nextIp = 1;
  #cancelCluster = () => {};

  constructor(seed = 1) {
    this.chance = chanceOf(seed);
  }

  /** Makes the service with its first revision. */
  async start(
    annotations: Record<string, string> = { 'paceline.dev/slo': '500ms' },
    autoscalerClass = knativeClass,
  ): Promise<void> {
    const named = autoscalerClass === knativeClass ? {} : { [classKey]: autoscalerClass };
    this.api.seed(kinds.inferenceService, {
      metadata: { namespace, name: 'digits', uid: 'isvc-uid', annotations: { ...named, ...annotations } },
      spec: { predictor: { minReplicas: 1, maxReplicas: 10 } },
      status: { deploymentMode: 'Knative' },
    });
    this.addRevision('digits-predictor-00001', 100, autoscalerClass);
    this.#turn();
    await this.clock.advance(5_000);
  }

  /** Adds a revision; with a share of traffic it is the only one that has some. */
  addRevision(name: string, percent: number, autoscalerClass = knativeClass): void {
    const labels = {
      'serving.kserve.io/inferenceservice': 'digits',
      component: 'predictor',
      'serving.knative.dev/revision': name,
      'serving.knative.dev/routingState': 'active',
    };
    const annotations = { ...original, [classKey]: autoscalerClass };
    const metadata = { namespace, name, labels, annotations };
    const uid = `${name}-uid`;
    const ours = autoscalerClass !== knativeClass;
    const conditions = ours ? [] : [{ type: 'Ready', status: 'True' }];
    this.api.seed(kinds.revision, { metadata: { ...metadata, uid }, status: { conditions } });
    const owner = { apiVersion: 'serving.knative.dev/v1', kind: 'Revision', name, uid, controller: true };
    this.api.seed(kinds.podAutoscaler, {
      metadata: { ...metadata, uid: `${name}-pa`, ownerReferences: [owner] },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: deploymentOf(name) },
        protocolType: 'http1',
      },
      ...(ours ? {} : { status: { desiredScale: 1, actualScale: 1 } }),
    });
    this.api.seed(kinds.deployment, {
      metadata: { namespace, name: deploymentOf(name), labels },
      spec: { replicas: 1 },
    });
    if (percent > 0) this.route(name, percent);
  }

  /** The traffic of the service, as its status has it. */
  route(name: string, percent: number): void {
    const predictor = {
      latestCreatedRevision: name,
      latestReadyRevision: name,
      latestRolledoutRevision: name,
      traffic: [{ revisionName: name, percent }],
    };
    this.api.edit(kinds.inferenceService, { namespace, name: 'digits' }, { status: { components: { predictor } } });
  }

  /** A process of the controller; `leads` is asked before each of its writes. */
  async controller(leads: () => boolean, transitions = 0, api: KubeApi = this.api): Promise<ReconcilePart> {
    const policyKeys = new PolicyKeys(this.api, 'paceline-system', this.clock);
    await policyKeys.refresh();
    const part = new ReconcilePart({
      rollout: new Rollout(new RolloutEvidence()),
      call: this.call,
      chance: this.chance,
    });
    const context: PartContext = {
      api,
      log: this.log,
      clock: this.clock,
      metrics: new Registry(),
      policyKeys,
      namespace: 'paceline-system',
      identity: 'controller-0',
      leaseTransitions: transitions,
      leads,
    };
    await part.start(context);
    return part;
  }

  readonly call: PodCall = async (ip, { method, body = '' }) => {
    const pod = this.api.all(kinds.pod).find(({ status }) => (status as { podIP?: string } | undefined)?.podIP === ip);
    if (!pod) throw new Error('connection refused');
    if (method === 'PUT') {
      const documents = this.told.get(pod.metadata.name) ?? [];
      documents.push(body);
      this.told.set(pod.metadata.name, documents);
      return { status: 200, body: '{}' };
    }
    const truth = this.#truth(pod);
    return this.signals?.(truth, pod) ?? { status: 200, body: JSON.stringify(truth) };
  };

  revision(name = 'digits-predictor-00001'): Readonly<Record<string, string>> {
    return this.api.peek(kinds.revision, { namespace, name })?.metadata.annotations ?? {};
  }

  minScale(name?: string): number {
    return Number(this.revision(name)['autoscaling.knative.dev/min-scale']);
  }

  policy(): KubeObject | undefined {
    return this.api.peek(kinds.inferencePolicy, { namespace, name: 'digits' });
  }

  /** The policy's status, as far as tests read it. */
  status(name = 'digits'): SeenStatus {
    return (this.api.peek(kinds.inferencePolicy, { namespace, name })?.status ?? {}) as SeenStatus;
  }

  condition(type: string, name = 'digits') {
    return this.status(name).conditions?.find((each) => each.type === type);
  }

  annotate(annotations: Record<string, string | null>): void {
    this.api.edit(kinds.inferenceService, { namespace, name: 'digits' }, { metadata: { annotations } });
  }

  stop(): void {
    this.#cancelCluster();
  }

  /**
   * Knative: annotations to PodAutoscalers, replicas to pods, and what a class that is not its own says to Revisions. A pod
   * takes three seconds to become Ready.
   */
  #turn(): void {
    this.#cancelCluster = this.clock.after(500, () => {
      for (const revision of this.api.all(kinds.revision)) {
        // One that a test adds alone is nobody's to scale.
        if (this.api.peek(kinds.podAutoscaler, revision.metadata)) this.#scale(revision);
      }
      this.#turn();
    });
  }

  #scale(revision: KubeObject): void {
    const { name, annotations = {} } = revision.metadata;
    const kept = Object.entries(annotations).filter(([key]) => key.startsWith('autoscaling.knative.dev/'));
    if (this.carries)
      this.api.edit(kinds.podAutoscaler, { namespace, name }, { metadata: { annotations: Object.fromEntries(kept) } });
    const autoscaler = this.api.peek(kinds.podAutoscaler, { namespace, name })?.metadata.annotations ?? {};
    const deployment = { namespace, name: deploymentOf(name) };
    if (autoscaler[classKey] === knativeClass) {
      const replicas = Math.max(Number(autoscaler['autoscaling.knative.dev/min-scale'] ?? 0), 1);
      this.api.edit(kinds.deployment, deployment, { spec: { replicas } });
    }
    const wanted = this.replicas(name);
    const pods = this.api
      .all(kinds.pod)
      .filter(({ metadata }) => metadata.labels?.['serving.knative.dev/revision'] === name);
    for (let i = pods.length; i < wanted; i++) this.#addPod(revision);
    for (const pod of pods.slice(wanted)) this.api.remove(kinds.pod, pod.metadata);
    if (autoscaler[classKey] !== knativeClass) this.#follow(name, pods.some(isReady));
  }

  /** Knative's reconcilers of ServerlessServices and Revisions. */
  #follow(name: string, ready: boolean): void {
    const at = { namespace, name };
    const service = this.api.peek(kinds.serverlessService, at);
    if (service) {
      const conditions = [{ type: 'Ready', status: ready ? 'True' : 'Unknown' }];
      const names = { serviceName: name, privateServiceName: `${name}-private` };
      const observedGeneration = service.metadata.generation;
      this.api.edit(kinds.serverlessService, at, { status: { ...names, observedGeneration, conditions } });
    }
    const said = (this.api.peek(kinds.podAutoscaler, at)?.status ?? {}) as SeenStatus & { serviceName?: string };
    const initialized = said.conditions?.find(({ type }) => type === 'ScaleTargetInitialized')?.status === 'True';
    const status = initialized && said.serviceName ? 'True' : 'Unknown';
    this.api.edit(kinds.revision, at, { status: { conditions: [{ type: 'Ready', status }] } });
  }

  /** What the Deployment of a revision asks for. */
  replicas(name = 'digits-predictor-00001'): number {
    const deployment = this.api.peek(kinds.deployment, { namespace, name: deploymentOf(name) });
    return (deployment?.spec as { replicas: number } | undefined)?.replicas ?? 0;
  }

  #addPod({ metadata }: KubeObject): void {
    const name = `${metadata.name}-${++this.#pods}`;
    const ip = `10.0.${Math.floor(this.#nextIp / 250)}.${(this.#nextIp++ % 250) + 1}`;
    const created = this.clock.wallMs();
    const labels = { ...metadata.labels, 'paceline.dev/companion': 'true' };
    const creationTimestamp = new Date(created).toISOString();
    this.api.seed(kinds.pod, {
      metadata: { namespace, name, labels, creationTimestamp },
      spec: { nodeName: 'node' },
      status: { podIP: ip, phase: 'Pending' },
    });
    this.clock.after(3_000, () => {
      if (this.broken.has(metadata.name) || !this.api.peek(kinds.pod, { namespace, name })) return;
      const lastTransitionTime = new Date(created + 3_000).toISOString();
      const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True', lastTransitionTime }] };
      this.api.edit(kinds.pod, { namespace, name }, { status });
    });
  }

  #truth({ metadata }: KubeObject): object {
    const revision = metadata.labels?.['serving.knative.dev/revision'] as string;
    const pods = this.api.all(kinds.pod).filter((pod) => (pod.status as { phase?: string })?.phase === 'Running');
    const rate = this.load / Math.max(pods.length, 1);
    const { baseMs, slopeMs } = serialModel;
    const latencyMs = [1, 4, 16, 32, 64].map((items) => {
      const expected = baseMs + slopeMs * items;
      return { items, expected, quantile: expected * 1.05 };
    });
    return {
      schemaVersion: 2,
      isvc: `${namespace}/digits`,
      isvcUid: 'isvc-uid',
      revision,
      uptimeMs: 60_000,
      mode: 'act',
      policySequence: [1, 1],
      attainment: { share: rate < 100 ? 1 : 0.5, requests: Math.round(rate * 60) },
      arrivalRate: rate,
      arrivals: Array.from({ length: 60 }, () => rate),
      busyShare: 0.5,
      waiting: 0,
      lateWaiting: 0,
      upstreamWaiting: 0,
      inFlight: 1,
      inFlightLimit: 1,
      draining: false,
      lanes: [{ target: '/', requests: 100, capacity: 80, knee: 32, latencyMs }],
      lanesTotal: 1,
      mostSplittingHeader: null,
    };
  }
}

/** An API whose requests fail as chance has it: before they took effect, or with the answer lost after. */
export function flaky(rig: ControllerRig, share: () => number): void {
  const failure = () => {
    const dice = rig.chance();
    if (dice < 0.3) return new KubeError(409, 'Conflict', 'injected');
    return dice < 0.6 ? new KubeError(500, 'InternalError', 'injected') : new KubeError(0, 'Unreachable', 'injected');
  };
  rig.api.before = () => {
    if (rig.chance() < share()) throw failure();
  };
  rig.api.after = () => {
    if (rig.chance() < share()) throw new KubeError(0, 'Unreachable', 'answer lost');
  };
}
