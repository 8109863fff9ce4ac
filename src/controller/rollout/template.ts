import type { CanaryService } from './kserve-view.ts';

/**
 * Annotations that KServe does not copy into the revision template (`ServiceAnnotationDisallowedList`), or moves from
 * there to the Knative Service (`managedKsvcAnnotations`). A change of one of these makes no Revision.
 */
const annotationsOutside: readonly string[] = [
  'autoscaling.knative.dev/min-scale',
  'autoscaling.knative.dev/max-scale',
  'internal.serving.kserve.io/storage-initializer-sourceuri',
  'kubectl.kubernetes.io/last-applied-configuration',
  'modelFormat',
  'serving.knative.dev/rollout-duration',
  'serving.knative.openshift.io/enablePassthrough',
];

/** Labels that KServe keeps out of the template (`RevisionTemplateLabelDisallowedList`). */
const labelsOutside: readonly string[] = ['networking.knative.dev/visibility'];

/** Fields of the predictor that no Knative template holds: the split itself, and what only Standard mode reads. */
const fieldsOutside = new Set([
  'canaryTrafficPercent',
  'deploymentStrategy',
  'autoScaling',
  'scaleMetricType',
  'name',
  // Both are laid over the service's own, below.
  'annotations',
  'labels',
]);

/** Of the batcher and the logger only these reach the template, as annotations. */
const sidecarFields: Readonly<Record<string, readonly string[]>> = {
  batcher: ['maxBatchSize', 'maxLatency'],
  logger: ['url', 'mode', 'metadataHeaders', 'metadataAnnotations'],
};

/** Where an empty object is the same as none. Elsewhere it means something: `emptyDir: {}`, `batcher: {}`. */
const emptyIsAbsent = new Set(['resources', 'limits', 'requests', 'annotations', 'labels', 'nodeSelector']);

/**
 * Whether the update makes KServe write another revision template, so that Knative makes a Revision.
 *
 * It has to be exact in both directions. A change that is not seen sends everything to an unproven model; one that is
 * seen and is none, together with a percentage below 100, makes KServe serve the model before the last again. So what
 * KServe takes for the same counts as the same: null and absent, `minReplicas` absent and 1, `maxReplicas` absent and 0.
 *
 * @param disallowed what the operator added to `serviceAnnotationDisallowedList` of KServe's configuration.
 */
export function changesTemplate(
  before: CanaryService,
  after: CanaryService,
  disallowed: readonly string[] = [],
): boolean {
  const outside = new Set([...annotationsOutside, ...disallowed]);
  return canonical(templateOf(before, outside)) !== canonical(templateOf(after, outside));
}

function templateOf(service: CanaryService, annotations: ReadonlySet<string>): unknown {
  const { predictor } = service.spec;
  const spec: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(predictor)) {
    if (!fieldsOutside.has(key)) spec[key] = key in sidecarFields ? only(value, sidecarFields[key] ?? []) : value;
  }
  spec.minReplicas ??= 1;
  if (spec.maxReplicas === 0) delete spec.maxReplicas;
  return {
    spec,
    annotations: without({ ...service.metadata.annotations, ...objectOf(predictor.annotations) }, annotations),
    labels: without({ ...service.metadata.labels, ...objectOf(predictor.labels) }, new Set(labelsOutside)),
  };
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function only(value: unknown, keys: readonly string[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => keys.includes(key)));
}

function without(entries: Record<string, unknown>, keys: ReadonlySet<string>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(entries).filter(([key]) => !keys.has(key)));
}

/** JSON with sorted keys, without what is null or absent. The order of a list counts. */
function canonical(value: unknown): string {
  return JSON.stringify(pruned(value));
}

function pruned(value: unknown): unknown {
  if (value === null || value === undefined) return undefined;
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((each) => pruned(each) ?? null);
  if (typeof value !== 'object') return value;
  const entries: [string, unknown][] = [];
  for (const [key, each] of Object.entries(value)) {
    const kept = pruned(each);
    if (kept === undefined) continue;
    if (emptyIsAbsent.has(key) && typeof kept === 'object' && kept !== null && Object.keys(kept).length === 0) continue;
    entries.push([key, kept]);
  }
  entries.sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
  return Object.fromEntries(entries);
}
