import { apiVersionOf, type KubeObject, kinds, type OwnerReference } from '../../kube/objects.ts';
import { type ServiceView, viewService } from '../../policy/service-view.ts';
import { replicasBefore } from '../actuators/held-replicas.ts';
import { podLabels, predictorServiceName, revisionOf, type ServiceName, serviceOf } from '../pod-identity.ts';
import { conditionOf, count, kept, record, text, timeMs } from './fields.ts';
import type { ObservedDeployment, ObservedPod, ObservedRevision, TargetName } from './observed.ts';

// What the informers keep of each object. An object of the API is parsed here once: a field of another type than the
// API's counts as absent.

/** Where a service's requests go now. */
interface TrafficShare {
  readonly revision: string;
  readonly percent: number;
  /** It goes to the latest Ready revision, whichever that is. */
  readonly latest: boolean;
}

/** What is kept of an InferenceService or a plain Knative Service. */
export interface Target {
  readonly target: TargetName;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly deploymentMode: 'knative' | 'standard';
  readonly autoscalerClass: string | undefined;
  /** Name of the Deployment of its stable predictor in Standard mode. */
  readonly deploymentName: string | undefined;
  readonly minReplicas: number | undefined;
  readonly maxReplicas: number | undefined;
  readonly containerConcurrency: number | undefined;
  readonly canaryTrafficPercent: number | undefined;
  readonly latestCreatedRevision: string | undefined;
  readonly latestReadyRevision: string | undefined;
  readonly latestRolledoutRevision: string | undefined;
  readonly traffic: readonly TrafficShare[];
  readonly ending: boolean;
  /** What admission looks at; of services that have opted in only. */
  readonly view: ServiceView | undefined;
}

const keptAnnotation = /^(paceline\.dev|serving\.kserve\.io|autoscaling\.knative\.dev)\//;
const ksvcName = 'serving.kserve.io/inferenceservice';

/** An InferenceService. */
export function projectInferenceService(object: KubeObject): Target {
  const annotations = kept(object.metadata.annotations, keptAnnotation);
  const spec = record(record(object.spec).predictor);
  const status = record(object.status);
  const predictor = record(record(status.components).predictor);
  const mode = text(status.deploymentMode) ?? annotations['serving.kserve.io/deploymentMode'] ?? 'Knative';
  const { target, uid, resourceVersion, ending } = identity(object, 'serving.kserve.io', 'InferenceService');
  return {
    target,
    uid,
    resourceVersion,
    ending,
    annotations,
    deploymentMode: mode === 'Standard' || mode === 'RawDeployment' ? 'standard' : 'knative',
    autoscalerClass: annotations['serving.kserve.io/autoscalerClass'],
    deploymentName: predictorServiceName(object.metadata.name, text(spec.name)),
    minReplicas: count(spec.minReplicas),
    maxReplicas: count(spec.maxReplicas),
    containerConcurrency: count(spec.containerConcurrency),
    canaryTrafficPercent: count(spec.canaryTrafficPercent),
    latestCreatedRevision: text(predictor.latestCreatedRevision),
    latestReadyRevision: text(predictor.latestReadyRevision),
    latestRolledoutRevision: text(predictor.latestRolledoutRevision),
    traffic: trafficOf(predictor.traffic),
    view: viewOf(object, 'serving.kserve.io/v1beta1', 'InferenceService'),
  };
}

/** Nothing of a service that has not opted in, and no annotation that is nobody's business here. */
function viewOf(object: KubeObject, apiVersion: string, kind: string): ServiceView | undefined {
  // The API server leaves out the kind of what is in a list.
  const view = viewService({ ...object, apiVersion, kind });
  if (view?.annotations['paceline.dev/slo'] === undefined) return undefined;
  return { ...view, annotations: kept(view.annotations, keptAnnotation) };
}

/** A plain Knative Service: one that no InferenceService owns. Its template's annotations are those that its pods get. */
export function projectKnativeService(object: KubeObject): Target | undefined {
  if (object.metadata.labels?.[ksvcName] !== undefined) return undefined;
  const template = record(record(object.spec).template);
  const own = record(record(template.metadata).annotations) as Record<string, string>;
  const annotations = kept({ ...object.metadata.annotations, ...own }, keptAnnotation);
  const status = record(object.status);
  const { target, uid, resourceVersion, ending } = identity(object, 'serving.knative.dev', 'Service');
  return {
    target,
    uid,
    resourceVersion,
    ending,
    annotations,
    deploymentMode: 'knative',
    autoscalerClass: undefined,
    deploymentName: undefined,
    minReplicas: scaleOf(annotations, 'min-scale', 'minScale'),
    maxReplicas: scaleOf(annotations, 'max-scale', 'maxScale'),
    containerConcurrency: count(record(template.spec).containerConcurrency),
    canaryTrafficPercent: undefined,
    latestCreatedRevision: text(status.latestCreatedRevisionName),
    latestReadyRevision: text(status.latestReadyRevisionName),
    latestRolledoutRevision: text(status.latestReadyRevisionName),
    traffic: trafficOf(status.traffic),
    view: viewOf(object, 'serving.knative.dev/v1', 'Service'),
  };
}

/** Knative reads a hyphenated key before its alias in camel case. */
function scaleOf(annotations: Readonly<Record<string, string>>, ...names: string[]): number | undefined {
  const said = names.map((name) => text(annotations[`autoscaling.knative.dev/${name}`])).find((each) => each);
  return said === undefined ? undefined : count(Number(said));
}

/** What is kept of a Revision; its PodAutoscaler is another object. */
export interface ProjectedRevision
  extends Omit<ObservedRevision, 'podAutoscaler' | 'serverlessService' | 'trafficPercent' | 'hasLatestTraffic'> {
  readonly service: string;
}

export function projectRevision(object: KubeObject): ProjectedRevision | undefined {
  const service = serviceKey(object);
  if (service === undefined) return undefined;
  const { metadata } = object;
  return {
    service,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    createdMs: timeMs(metadata.creationTimestamp) ?? 0,
    ready: conditionOf(object, 'Ready')?.status === 'True',
    reachable: metadata.labels?.['serving.knative.dev/routingState'] !== 'reserve',
    annotations: kept(metadata.annotations, /^autoscaling\.knative\.dev\//),
  };
}

/** What is kept of a predictor's Deployment in Standard mode. */
export interface ProjectedDeployment extends ObservedDeployment {
  readonly service: string;
}

export function projectDeployment(object: KubeObject): ProjectedDeployment | undefined {
  const { metadata } = object;
  // Knative's own Deployments are its autoscaler's business.
  if (metadata.labels?.[podLabels.revision] !== undefined) return undefined;
  const service = serviceKey(object);
  if (service === undefined) return undefined;
  return {
    service,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    replicas: count(record(object.spec).replicas) ?? 1,
    replicasBefore: replicasBefore(metadata),
    readyReplicas: count(record(object.status).readyReplicas) ?? 0,
  };
}

/** What is kept of a pod. */
export interface ProjectedPod extends ObservedPod {
  readonly service: string;
}

export function projectPod(object: KubeObject): ProjectedPod | undefined {
  const { metadata } = object;
  const service = serviceKey(object);
  const revision = revisionOf(metadata);
  if (service === undefined || revision === undefined) return undefined;
  const spec = record(object.spec);
  const status = record(object.status);
  if (status.phase === 'Succeeded' || status.phase === 'Failed') return undefined;
  const ready = conditionOf(object, 'Ready');
  // A pod on the host's network has the node's address: whatever listens there is not only this pod's.
  const ip = spec.hostNetwork === true ? undefined : text(status.podIP);
  return {
    service,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid ?? '',
    revision,
    ip,
    node: text(spec.nodeName),
    createdMs: timeMs(metadata.creationTimestamp) ?? 0,
    readyMs: ready?.status === 'True' ? (timeMs(ready.since) ?? 0) : undefined,
    ending: metadata.deletionTimestamp !== undefined,
    memoryGb: memoryGbOf(spec.containers),
    companion: metadata.labels?.[podLabels.companion] === 'true',
  };
}

/** The key of a service in queue, indexes and logs: `Kind/namespace/name`. */
export function serviceKeyOf({ kind, namespace, name }: Omit<TargetName, 'group'>): string {
  return `${kind}/${namespace}/${name}`;
}

/** The service as objects name it that go when it goes. */
export function ownerOf({ target, uid }: Pick<Target, 'target' | 'uid'>): OwnerReference {
  const kind = target.kind === 'Service' ? kinds.knativeService : kinds.inferenceService;
  return { apiVersion: apiVersionOf(kind), kind: kind.kind, name: target.name, uid };
}

/** The service that a key names. */
export function targetOf(key: string): TargetName {
  const [kind, namespace, name] = key.split('/') as [ServiceName['kind'], string, string];
  return { group: kind === 'Service' ? 'serving.knative.dev' : 'serving.kserve.io', kind, namespace, name };
}

/** The key of the service that an object belongs to by its labels. */
export function serviceKey({ metadata }: KubeObject): string | undefined {
  const service = serviceOf(metadata);
  return service && serviceKeyOf({ ...service, namespace: metadata.namespace ?? '' });
}

/** Taken apart where it goes into an object that is kept: one made by spreading has a hidden class of its own. */
function identity({ metadata }: KubeObject, group: TargetName['group'], kind: TargetName['kind']) {
  const { name, namespace = '', uid = '', resourceVersion = '', deletionTimestamp } = metadata;
  return { target: { group, kind, namespace, name }, uid, resourceVersion, ending: deletionTimestamp !== undefined };
}

function trafficOf(value: unknown): TrafficShare[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((each) => {
    const revision = text(record(each).revisionName);
    const { percent, latestRevision } = record(each);
    return revision === undefined ? [] : [{ revision, percent: count(percent) ?? 0, latest: latestRevision === true }];
  });
}

const quantityUnits: Record<string, number> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** The sum of the containers' memory requests, in GB. */
function memoryGbOf(containers: unknown): number {
  if (!Array.isArray(containers)) return 0;
  const bytes = containers.map((container) => {
    const quantity = record(record(record(container).resources).requests).memory;
    const match = /^(\d+(?:\.\d+)?)([kMGT]|[KMGT]i)?$/.exec(typeof quantity === 'string' ? quantity : '');
    return match ? Number(match[1]) * (quantityUnits[match[2] ?? ''] as number) : 0;
  });
  return bytes.reduce((sum, each) => sum + each, 0) / 1e9;
}
