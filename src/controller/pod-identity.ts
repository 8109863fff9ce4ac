/** What of a pod says whom it serves: enough of a whole pod, of an informer's projection or of one being admitted. */
export interface PodIdentity {
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[] | undefined;
}

/** The object that a policy is for. */
export interface ServiceName {
  readonly kind: 'InferenceService' | 'Service';
  readonly name: string;
}

/** Labels of KServe and Knative by which pods are found. */
export const podLabels = {
  inferenceService: 'serving.kserve.io/inferenceservice',
  component: 'component',
  knativeService: 'serving.knative.dev/service',
  knativeServiceUid: 'serving.knative.dev/serviceUID',
  revision: 'serving.knative.dev/revision',
  companion: 'paceline.dev/companion',
} as const;

/**
 * The InferenceService or plain Knative Service that a pod serves; undefined where it serves none, and for
 * transformers and explainers: they carry their InferenceService's label and annotations too, but no model.
 */
export function serviceOf({ labels = {} }: PodIdentity): ServiceName | undefined {
  const inferenceService = labels[podLabels.inferenceService];
  if (inferenceService) {
    const component = labels[podLabels.component] ?? 'predictor';
    return component === 'predictor' ? { kind: 'InferenceService', name: inferenceService } : undefined;
  }
  const knativeService = labels[podLabels.knativeService];
  return knativeService ? { kind: 'Service', name: knativeService } : undefined;
}

/**
 * The Deployment and Service of a predictor in Standard mode (KServe's `PredictorServiceName`): of the stable one by
 * `spec.predictor.name`, of a canary (KServe 0.20 and later) by `spec.canary[].predictor.name`.
 */
export function predictorServiceName(service: string, predictor?: string | undefined): string {
  return predictor ? `${service}-${predictor}-predictor` : `${service}-predictor`;
}

/** Pods with the same template: a Knative Revision, in Standard mode a ReplicaSet. Undefined for a bare pod. */
export function revisionOf({ labels = {}, ownerReferences = [] }: PodIdentity): string | undefined {
  return labels[podLabels.revision] || ownerReferences.find(({ kind }) => kind === 'ReplicaSet')?.name;
}
