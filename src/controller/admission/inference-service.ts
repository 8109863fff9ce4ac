import { readAnnotations } from '../../policy/annotations.ts';
import type { InferencePolicySpec } from '../../policy/inference-policy.ts';
import { mergePolicy } from '../../policy/inference-policy.ts';
import { refuses } from '../../policy/problem.ts';
import type { ServicePolicy } from '../../policy/service-policy.ts';
import { type FirstStep, firstCanaryStep } from '../rollout/first-step.ts';

/** The part of an InferenceService that the webhook reads or writes. What else is in it is handed through untouched. */
export interface InferenceService {
  readonly metadata: {
    readonly name?: string;
    readonly namespace?: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
    readonly [field: string]: unknown;
  };
  readonly spec: {
    readonly predictor: {
      readonly batcher?: Batcher | null;
      readonly canaryTrafficPercent?: number | null;
      readonly [field: string]: unknown;
    };
    readonly [field: string]: unknown;
  };
  readonly status?: {
    readonly deploymentMode?: string;
    readonly components?: { readonly predictor?: object };
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

/** KServe's batcher. Its latency is in ms. */
export interface Batcher {
  readonly maxBatchSize?: number;
  readonly maxLatency?: number;
  readonly [field: string]: unknown;
}

/**
 * Records which batcher is ours, as `SIZE/LATENCY`. KServe copies annotations into the pod template, but this one changes
 * only together with the batcher, which is in the template too. It holds what we wrote, never a decision.
 */
export const batcherAnnotation = 'paceline.dev/batcher';

/** Without our webhook KServe's own agent batches: with 1 ms it sends nearly at once, and does not wait 5 s. */
const batcherLatencyMs = 1;

/** What is known beside the two objects. */
export interface Circumstances {
  /** What an InferencePolicy says over the annotations. */
  readonly live?: Partial<InferencePolicySpec> | undefined;
  /** Annotations that KServe does not copy into templates here, beside those that it never copies. */
  readonly uncopied?: readonly string[];
  /** The update is our own: its canary steps are meant as they are. */
  readonly byController?: boolean;
}

/** What the webhook made of an InferenceService. */
export interface Defaulted {
  readonly service: InferenceService;
  readonly batcher?: 'added' | 'updated' | 'taken-back' | 'theirs';
  readonly canary?: FirstStep;
}

/**
 * What KServe has to see so that a companion can stand in the path: a batcher where the user has none, and the first step
 * of a canary in the update that makes a revision. Pure; twice is the same as once.
 *
 * @param before the object that is updated
 */
export function defaulted(
  service: InferenceService,
  before: InferenceService | undefined,
  { live = {}, uncopied = [], byController = false }: Circumstances = {},
): Defaulted {
  const { policy, problems } = readAnnotations(service.metadata.annotations ?? {});
  // What cannot be read is refused or warned of elsewhere: it withdraws nothing.
  if (service.metadata.deletionTimestamp !== undefined || refuses(problems)) return { service };
  const { service: batched, ...batching } = withBatcher(service, policy);
  if (byController) return { service: batched, ...batching };
  const consent = policy && mergePolicy(policy, live);
  const canary = firstCanaryStep(before, batched, consent, uncopied);
  if (!canary) return { service: batched, ...batching };
  const { canaryTrafficPercent: _was, ...predictor } = batched.spec.predictor;
  const step = canary.percent === null ? {} : { canaryTrafficPercent: canary.percent };
  return { service: withPredictor(batched, { ...predictor, ...step }), ...batching, canary };
}

function withBatcher(service: InferenceService, policy: ServicePolicy | undefined): Omit<Defaulted, 'canary'> {
  const { batcher, ...predictor } = service.spec.predictor;
  const noted = service.metadata.annotations?.[batcherAnnotation];
  const ours = noted !== undefined && batcher != null && noted === noteOf(batcher);
  if (!policy || policy.mode === 'off' || !batches(service)) {
    if (noted === undefined) return { service };
    // Somebody has made it theirs meanwhile: only the note goes.
    const given = ours ? withPredictor(service, predictor) : service;
    return { service: withNote(given, undefined), ...(ours ? { batcher: 'taken-back' as const } : {}) };
  }
  if (batcher != null && !ours) {
    return { service: noted === undefined ? service : withNote(service, undefined), batcher: 'theirs' };
  }
  const wanted: Batcher = { maxBatchSize: policy.maxBatchSize, maxLatency: batcherLatencyMs };
  const note = noteOf(wanted);
  if (noted === note && batcher != null) return { service };
  const given = withPredictor(service, { ...predictor, batcher: wanted });
  return { service: withNote(given, note), batcher: batcher == null ? 'added' : 'updated' };
}

/** ModelMesh serves many models with one server, and has no agent of this kind. */
function batches({ metadata, status }: InferenceService): boolean {
  const mode = status?.deploymentMode ?? metadata.annotations?.['serving.kserve.io/deploymentMode'];
  return mode !== 'ModelMesh';
}

/** Only what we write ourselves has a note: other fields, or other values, make it somebody else's. */
function noteOf(batcher: Batcher): string | undefined {
  const { maxBatchSize, maxLatency, ...others } = batcher;
  return Object.keys(others).length === 0 ? `${maxBatchSize}/${maxLatency}` : undefined;
}

function withPredictor(service: InferenceService, predictor: InferenceService['spec']['predictor']): InferenceService {
  return { ...service, spec: { ...service.spec, predictor } };
}

function withNote(service: InferenceService, note: string | undefined): InferenceService {
  const { [batcherAnnotation]: _was, ...others } = service.metadata.annotations ?? {};
  const annotations = note === undefined ? others : { ...others, [batcherAnnotation]: note };
  return { ...service, metadata: { ...service.metadata, annotations } };
}
