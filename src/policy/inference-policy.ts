import { z } from 'zod';
import { annotationSpecs } from './annotations.ts';
import {
  apiVersion,
  conditionsSchema,
  metadataSchema,
  readObject,
  textOf,
  withReadableStatus,
  withRules,
  wordOf,
} from './crd-schema.ts';
import * as kinds from './option-kinds.ts';
import type { Problem } from './problem.ts';
import { formatRate, parseRate, ratePattern } from './rates.ts';
import { lateTimeoutPerSlo, rate, type ServicePolicy } from './service-policy.ts';
import { formatDuration, parseDuration } from './units.ts';

const durationPattern = '^[0-9]{1,9}(\\.[0-9]{1,17})?(us|ms|s|m|h)$';
const durationText = () =>
  textOf(kinds.duration, durationPattern, 32, [
    {
      // Parsed by the kind too; CEL's duration() and ours have the units that the pattern allows in common.
      cel: "duration(self) >= duration('1ms') && duration(self) <= duration('1h')",
      message: 'is not a duration from 1ms to 1h',
    },
  ]);
const rateText = () => textOf(rate, ratePattern, 48);
const share = () => z.number().min(0).max(1);

/** The kinds whose pods can have a companion. */
export const targetKinds: Readonly<Record<string, string>> = {
  InferenceService: 'serving.kserve.io',
  Service: 'serving.knative.dev',
};

const targetSchema = withRules(
  z.strictObject({
    group: z.enum(['serving.kserve.io', 'serving.knative.dev']).default('serving.kserve.io'),
    kind: z.enum(['InferenceService', 'Service']).default('InferenceService'),
    name: z.string().min(1).max(253).meta({ description: 'name of the service, in the namespace of this policy' }),
  }),
  [
    {
      cel: "self.group == 'serving.kserve.io' ? self.kind == 'InferenceService' : self.kind == 'Service'",
      message:
        'targetRef names an InferenceService of serving.kserve.io, or a Service of serving.knative.dev: set group and kind together',
      holds: ({ group, kind }) => targetKinds[kind] === group,
    },
    { cel: 'self == oldSelf', message: 'a policy stays with its target: make another one for another service' },
  ],
);

/** What overrides the target's annotations. Each field means what the annotation of the same name means. */
export const inferencePolicySpecSchema = withRules(
  z.strictObject({
    targetRef: targetSchema.meta({ description: 'the service that this policy is for' }),
    slo: durationText().optional().meta(describe('slo')),
    sloPercentile: z.number().min(50).max(99.99).optional().meta(describe('slo-percentile')),
    mode: wordOf('act', 'advise', 'off').optional().meta(describe('mode')),
    patience: textOf(kinds.patience, '^(auto|0(\\.[0-9]{1,17})?|1(\\.0{1,17})?)$', 20)
      .optional()
      .meta(describe('patience')),
    maxBatchSize: z.int().min(1).max(1024).optional().meta(describe('max-batch-size')),
    late: wordOf('defer', 'shed').optional().meta(describe('late')),
    lateTimeout: durationText().optional().meta(describe('late-timeout')),
    replicaCost: rateText().optional().meta(describe('replica-cost')),
    budget: rateText().optional().meta(describe('budget')),
    accuracy: share().optional().meta(describe('accuracy')),
    variantOf: z
      .string()
      .max(63)
      .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, { error: 'is not a name of small letters, digits and -' })
      .optional()
      .meta(describe('variant-of')),
    minAccuracy: share().optional().meta(describe('min-accuracy')),
    rollout: wordOf('auto', 'manual').optional().meta(describe('rollout')),
    trustHeaders: z.boolean().optional().meta(describe('trust-headers')),
    shareAcrossHeaders: z
      .array(
        z
          .string()
          .max(128)
          .regex(/^[a-z0-9!#$%&'*+.^_`|~-]+$/, { error: 'is not the name of a header in small letters' }),
      )
      .max(64)
      .refine((names) => new Set(names).size === names.length, { error: 'names a header twice' })
      .optional()
      .meta({ ...describe('share-across-headers'), 'x-kubernetes-list-type': 'set' }),
  }),
  [
    {
      cel: '!has(self.slo) || !has(self.lateTimeout) || duration(self.lateTimeout) >= duration(self.slo)',
      message: 'lateTimeout is shorter than slo, so that requests would fail before they are late: make it longer',
      holds: ({ slo, lateTimeout }) =>
        slo === undefined || lateTimeout === undefined || parseDuration(lateTimeout) >= parseDuration(slo),
    },
  ],
);

/** The description of the annotation of this name, so that both say the same. */
function describe(name: string): { description: string } {
  const spec = annotationSpecs.find((each) => each.name === name);
  if (spec === undefined) throw new Error(`no annotation ${name}`);
  return { description: spec.description };
}

const planSchema = z.object({
  reason: z.string().max(64),
  message: z.string().max(1024).optional(),
  replicas: z.int().min(0).optional(),
  maxBatchSize: z.int().min(1).optional(),
  patience: z.number().min(0).max(1).optional(),
  attainment: z.number().min(0).max(1).optional(),
  costPerHour: z.number().min(0).optional(),
  utilisation: z.number().min(0).optional(),
});

/** What was decided last and what came of it. Written at most every 10 s, and only on change. */
export const inferencePolicyStatusSchema = z.object({
  observedGeneration: z.int().min(0).optional(),
  conditions: conditionsSchema.optional(),
  mode: z.enum(['act', 'advise', 'off']).optional().meta({ description: 'the mode in force' }),
  slo: z.string().max(64).optional().meta({ description: 'the SLO in force, such as 200ms at 99 %' }),
  decidedAt: z.string().optional().meta({ format: 'date-time' }),
  plan: planSchema.optional().meta({ description: 'what was decided, with what it is expected to do' }),
  runnerUp: planSchema.optional().meta({ description: 'the best plan that was not chosen, and why not' }),
  observed: z
    .object({
      attainment: z.number().min(0).max(1).optional(),
      heldUpstream: z.number().min(0).optional(),
      arrivalRate: z.number().min(0).optional(),
      readyReplicas: z.int().min(0).optional(),
      costPerHour: z.number().min(0).optional(),
      currency: z.string().max(3).optional(),
    })
    .optional()
    .meta({
      description:
        'what was seen: attainment counts requests that reached a companion, heldUpstream those that wait before one',
    }),
  saving: z
    .object({
      replicaSeconds: z.number(),
      cost: z.number().optional(),
      since: z.string().meta({ format: 'date-time' }),
    })
    .optional()
    .meta({ description: 'in mode advise: what acting would have saved since then' }),
  rollout: z
    .object({
      phase: z.string().max(64),
      state: z
        .string()
        .max(4096)
        .optional()
        .meta({ description: "what the controller keeps for itself: the walk's evidence" }),
      reason: z.string().max(64).optional(),
      message: z.string().max(1024).optional(),
      canaryPercent: z.int().min(0).max(100).optional(),
      stableRevision: z.string().max(253).optional(),
      canaryRevision: z.string().max(253).optional(),
    })
    .optional(),
});

/** An InferencePolicy: what overrides the annotations of one service, and where decisions about it are reported. */
export const inferencePolicySchema = z.object({
  apiVersion: z.literal(apiVersion),
  kind: z.literal('InferencePolicy'),
  metadata: metadataSchema,
  spec: inferencePolicySpecSchema,
  status: inferencePolicyStatusSchema.optional(),
});

export type InferencePolicy = z.output<typeof inferencePolicySchema>;
export type InferencePolicySpec = InferencePolicy['spec'];
export type InferencePolicyStatus = z.output<typeof inferencePolicyStatusSchema>;

/** The types of an InferencePolicy's conditions. */
export type InferencePolicyCondition = 'Accepted' | 'Injected' | 'Planned' | 'Enforced';

/** Reads an InferencePolicy, or says all that is wrong with it. */
export function readInferencePolicy(object: unknown): { value?: InferencePolicy; problems: Problem[] } {
  return readObject(inferencePolicySchema, withReadableStatus(object, inferencePolicyStatusSchema), 'PL_POLICY_SPEC');
}

/**
 * The annotations' policy with what an InferencePolicy says instead. A late timeout that only followed from the SLO
 * follows from the new one.
 */
export function mergePolicy(policy: ServicePolicy, spec: Partial<InferencePolicySpec>): ServicePolicy {
  const sloMs = spec.slo === undefined ? policy.sloMs : parseDuration(spec.slo);
  const followed = policy.lateTimeoutMs === lateTimeoutPerSlo * policy.sloMs;
  const over: { -readonly [K in keyof ServicePolicy]?: ServicePolicy[K] | undefined } = {
    sloQuantile: spec.sloPercentile === undefined ? undefined : spec.sloPercentile / 100,
    mode: spec.mode,
    patience: spec.patience === undefined ? undefined : spec.patience === 'auto' ? 'auto' : Number(spec.patience),
    maxBatchSize: spec.maxBatchSize,
    late: spec.late,
    replicaCost: spec.replicaCost === undefined ? undefined : parseRate(spec.replicaCost),
    budget: spec.budget === undefined ? undefined : parseRate(spec.budget),
    accuracy: spec.accuracy,
    variantOf: spec.variantOf,
    minAccuracy: spec.minAccuracy,
    rollout: spec.rollout,
    trustHeaders: spec.trustHeaders,
    shareAcrossHeaders: spec.shareAcrossHeaders,
  };
  const said = Object.fromEntries(Object.entries(over).filter(([, value]) => value !== undefined));
  const lateTimeoutMs =
    spec.lateTimeout === undefined
      ? followed
        ? lateTimeoutPerSlo * sloMs
        : policy.lateTimeoutMs
      : parseDuration(spec.lateTimeout);
  return { ...policy, ...said, sloMs, lateTimeoutMs };
}

/** A policy as the spec of an InferencePolicy that says all of it. */
export function specOf(policy: ServicePolicy, targetRef: InferencePolicySpec['targetRef']): InferencePolicySpec {
  const { sloMs, sloQuantile, lateTimeoutMs, patience, replicaCost, budget, shareAcrossHeaders, ...same } = policy;
  return {
    targetRef,
    slo: formatDuration(sloMs),
    sloPercentile: percentOf(sloQuantile),
    lateTimeout: formatDuration(lateTimeoutMs),
    patience: String(patience),
    ...(replicaCost && { replicaCost: formatRate(replicaCost) }),
    ...(budget && { budget: formatRate(budget) }),
    shareAcrossHeaders: [...shareAcrossHeaders],
    ...same,
  };
}

/** 0.57 x 100 is 56.99999999999999: what a user wrote is the shortest number that gives the share. */
function percentOf(share: number): number {
  const rounded = Number((share * 100).toPrecision(12));
  return rounded / 100 === share ? rounded : share * 100;
}

/** The field of a spec that says what this annotation says. */
export function specFieldOf(annotation: string): Exclude<keyof InferencePolicySpec, 'targetRef'> {
  return annotation.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()) as Exclude<
    keyof InferencePolicySpec,
    'targetRef'
  >;
}

/** Whether a policy is about this service. */
export function targetsService(
  { metadata, spec }: InferencePolicy,
  service: { readonly kind: string; readonly name: string; readonly namespace: string },
): boolean {
  const { kind, name } = spec.targetRef;
  return kind === service.kind && name === service.name && (metadata.namespace ?? 'default') === service.namespace;
}

/** The label of InferencePolicies that the controller makes: any that a user makes wins over them. */
export const madeByControllerLabel = 'paceline.dev/made-by-controller';

/** Of the policies of one target the one that holds: users' before the controller's, then the oldest, then by name. */
export function chooseInferencePolicy(
  policies: readonly InferencePolicy[],
): { chosen: InferencePolicy; others: InferencePolicy[] } | undefined {
  const rank = ({ metadata }: InferencePolicy): [number, string, string] => [
    metadata.labels?.[madeByControllerLabel] === 'true' ? 1 : 0,
    metadata.creationTimestamp ?? '\uffff',
    metadata.name,
  ];
  const [chosen, ...others] = [...policies].sort((one, other) => {
    const [a, b] = [rank(one), rank(other)];
    for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return (a[at] as string) < (b[at] as string) ? -1 : 1;
    return 0;
  });
  return chosen && { chosen, others };
}
