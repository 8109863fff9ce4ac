/** A kind of object, as its address in the API names it. */
export interface ResourceKind {
  /** The empty string is the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

/** The part of an object's metadata that we read. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly managedFields?: unknown;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** Any object. What is in it beyond metadata is parsed by whoever reads it. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

/** Which object: a name and, where its kind has them, a namespace. */
export interface ObjectName {
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** `namespace/name`, or `name` alone: the key under which informers and queues know an object. */
export function keyOf({ namespace, name }: ObjectName): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** The object that a key names. */
export function nameOf(key: string): ObjectName {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** `group/version`, or `v1` for the core group. */
export function apiVersionOf({ group, version }: ResourceKind): string {
  return group === '' ? version : `${group}/${version}`;
}

function resource(group: string, version: string, plural: string, kind: string, namespaced = true): ResourceKind {
  return { group, version, plural, kind, namespaced };
}

/** The kinds that the controller reads or writes. */
export const kinds = {
  pod: resource('', 'v1', 'pods', 'Pod'),
  node: resource('', 'v1', 'nodes', 'Node', false),
  service: resource('', 'v1', 'services', 'Service'),
  secret: resource('', 'v1', 'secrets', 'Secret'),
  configMap: resource('', 'v1', 'configmaps', 'ConfigMap'),
  event: resource('', 'v1', 'events', 'Event'),
  deployment: resource('apps', 'v1', 'deployments', 'Deployment'),
  lease: resource('coordination.k8s.io', 'v1', 'leases', 'Lease'),
  mutatingWebhook: resource(
    'admissionregistration.k8s.io',
    'v1',
    'mutatingwebhookconfigurations',
    'MutatingWebhookConfiguration',
    false,
  ),
  validatingWebhook: resource(
    'admissionregistration.k8s.io',
    'v1',
    'validatingwebhookconfigurations',
    'ValidatingWebhookConfiguration',
    false,
  ),
  inferenceService: resource('serving.kserve.io', 'v1beta1', 'inferenceservices', 'InferenceService'),
  knativeService: resource('serving.knative.dev', 'v1', 'services', 'Service'),
  revision: resource('serving.knative.dev', 'v1', 'revisions', 'Revision'),
  route: resource('serving.knative.dev', 'v1', 'routes', 'Route'),
  podAutoscaler: resource('autoscaling.internal.knative.dev', 'v1alpha1', 'podautoscalers', 'PodAutoscaler'),
  serverlessService: resource('networking.internal.knative.dev', 'v1alpha1', 'serverlessservices', 'ServerlessService'),
  inferencePolicy: resource('paceline.dev', 'v1alpha1', 'inferencepolicies', 'InferencePolicy'),
  priceList: resource('paceline.dev', 'v1alpha1', 'pricelists', 'PriceList', false),
} as const satisfies Record<string, ResourceKind>;
