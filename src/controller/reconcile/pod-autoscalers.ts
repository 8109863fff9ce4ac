import type { KubeObject } from '../../kube/objects.ts';
import { podAutoscalerClass } from '../../policy/service-view.ts';
import { conditionOf, count, durationMs, kept, record, text } from './fields.ts';
import type {
  AutoscalerCondition,
  ObservedPodAutoscaler,
  ObservedServerlessService,
  OwnAutoscaler,
} from './observed.ts';
import { serviceKey } from './projections.ts';

/** Knative's own deadline for a revision to come up (config-deployment, progress-deadline). */
const progressDeadlineMs = 600_000;

/** What is kept of a PodAutoscaler: its name is its Revision's. */
export interface ProjectedPodAutoscaler extends ObservedPodAutoscaler {
  readonly service: string;
}

export function projectPodAutoscaler(object: KubeObject): ProjectedPodAutoscaler | undefined {
  const service = serviceKey(object);
  if (service === undefined) return undefined;
  const status = record(object.status);
  const { annotations = {} } = object.metadata;
  const own = annotations['autoscaling.knative.dev/class'] === podAutoscalerClass;
  return {
    service,
    annotations: kept(annotations, /^autoscaling\.knative\.dev\//),
    desiredScale: count(status.desiredScale) ?? 0,
    actualScale: count(status.actualScale) ?? 0,
    own: own ? ownAutoscaler(object) : undefined,
  };
}

/** Everything that answering for one takes: kept of those of our class alone. */
function ownAutoscaler({ metadata, spec, status }: KubeObject): OwnAutoscaler {
  const { scaleTargetRef, protocolType } = record(spec);
  const said = record(status);
  const controller = metadata.ownerReferences?.find((owner) => owner.controller);
  return {
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    generation: metadata.generation ?? 0,
    controllerUid: controller?.uid,
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    scaleTargetRef: record(scaleTargetRef),
    protocolType: text(protocolType) ?? '',
    progressDeadlineMs:
      durationMs(metadata.annotations?.['serving.knative.dev/progress-deadline']) ?? progressDeadlineMs,
    status: {
      observedGeneration: count(said.observedGeneration) ?? 0,
      serviceName: text(said.serviceName) ?? '',
      metricsServiceName: text(said.metricsServiceName) ?? '',
      desiredScale: count(said.desiredScale),
      actualScale: count(said.actualScale),
      conditions: Array.isArray(said.conditions) ? said.conditions.flatMap(condition) : [],
    },
  };
}

function condition(value: unknown): AutoscalerCondition[] {
  const { type, status, reason, message, lastTransitionTime } = record(value);
  if (typeof type !== 'string' || (status !== 'True' && status !== 'False' && status !== 'Unknown')) return [];
  return [
    { type, status, reason: text(reason), message: text(message), lastTransitionTime: text(lastTransitionTime) ?? '' },
  ];
}

/** What is kept of a ServerlessService that answers for a PodAutoscaler of ours. */
export interface ProjectedServerlessService extends ObservedServerlessService {
  readonly service: string;
}

export function projectServerlessService(object: KubeObject): ProjectedServerlessService | undefined {
  const service = serviceKey(object);
  if (service === undefined) return undefined;
  const { metadata } = object;
  const { mode, numActivators, protocolType, objectRef } = record(object.spec);
  const status = record(object.status);
  const ready = conditionOf(object, 'Ready');
  return {
    service,
    controllerUid: metadata.ownerReferences?.find((owner) => owner.controller)?.uid,
    mode: mode === 'Serve' ? 'Serve' : 'Proxy',
    numActivators: count(numActivators) ?? 0,
    protocolType: text(protocolType) ?? '',
    target: text(record(objectRef).name) ?? '',
    serviceName: text(status.serviceName) ?? '',
    privateServiceName: text(status.privateServiceName) ?? '',
    // What it says about an older spec says nothing about this one.
    ready: ready?.status === 'True' && count(status.observedGeneration) === metadata.generation,
  };
}
