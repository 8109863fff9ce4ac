import { companionOptionSpecs } from './companion-options.ts';
import { nearest } from './nearest.ts';
import * as kinds from './option-kinds.ts';
import { error, fieldOf, type Place, type Problem, problemAt, warning } from './problem.ts';
import { lateTimeoutPerSlo, rate, type ServicePolicy } from './service-policy.ts';
import { UnitError } from './units.ts';

export const annotationPrefix = 'paceline.dev/';

/** One annotation: its name without prefix, its meaning, how it is read and what it is when nobody says. */
export interface AnnotationSpec {
  readonly name: string;
  /** The field of a ServicePolicy; undefined where the annotation is not for users. */
  readonly key: keyof ServicePolicy;
  readonly kind: kinds.OptionKind;
  readonly description: string;
  /** What a user would write, or in words what it follows from; undefined where the annotation is required. */
  readonly fallback?: string | { readonly follows: string };
}

/** Keys with our prefix that Paceline writes itself. They are no wishes, and no mistakes. */
export const ownAnnotations: ReadonlySet<string> = new Set(['original', 'injected', 'companion', 'batcher']);

const share: kinds.OptionKind = {
  placeholder: 'share',
  accepts: '0 to 1, such as 0.93',
  parse: (text) => {
    const value = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= 0 && value <= 1)) throw new UnitError(`"${text}" is not a share from 0 to 1, such as 0.93`);
    return value;
  },
};

const serviceName: kinds.OptionKind = {
  placeholder: 'name',
  accepts: 'a name such as digits: small letters, digits and -, at most 63',
  parse: (text) => {
    if (/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text)) return text;
    throw new UnitError(`"${text}" is not a name of small letters, digits and -, at most 63 of them, such as digits`);
  },
};

/** All annotations, in the order of their page. Those that a companion has a flag for are read as the flag is. */
export const annotationSpecs: readonly AnnotationSpec[] = [
  like('slo', 'sloMs'),
  like('slo-percentile', 'sloQuantile'),
  {
    ...like('mode', 'mode'),
    description:
      'act on decisions; advise decides and reports everything and changes nothing; off passes requests through untouched, and as an annotation puts no companion into new pods',
  },
  {
    ...like('patience', 'patience'),
    kind: {
      ...kinds.patience,
      parse: (text) => {
        const value = kinds.patience.parse(text) as number;
        return value < 0 ? 'auto' : value;
      },
    },
  },
  like('max-batch-size', 'maxBatchSize'),
  like('late', 'late'),
  like('late-timeout', 'lateTimeoutMs'),
  {
    name: 'replica-cost',
    key: 'replicaCost',
    kind: rate,
    description: 'price of one replica',
    fallback: { follows: 'from the PriceList' },
  },
  {
    name: 'budget',
    key: 'budget',
    kind: rate,
    description: 'bound on what all revisions of the service spend together',
    fallback: '',
  },
  {
    name: 'accuracy',
    key: 'accuracy',
    kind: share,
    description: 'measured accuracy of this variant',
    fallback: '',
  },
  {
    name: 'variant-of',
    key: 'variantOf',
    kind: serviceName,
    description: 'the group of variants that this service belongs to, which is the name that its callers use',
    fallback: '',
  },
  {
    name: 'min-accuracy',
    key: 'minAccuracy',
    kind: share,
    description: "least accuracy of the group's answers on average",
    fallback: '',
  },
  {
    name: 'rollout',
    key: 'rollout',
    kind: kinds.oneOf('rule', 'auto', 'manual'),
    description: 'auto walks a canary on evidence of latency, errors, cost and accuracy, and owns canaryTrafficPercent',
    fallback: 'manual',
  },
  like('trust-headers', 'trustHeaders'),
  like('share-across-headers', 'shareAcrossHeaders'),
];

/** An annotation that says what a companion's flag of the same name says. */
function like(flag: string, key: keyof ServicePolicy): AnnotationSpec {
  const spec = companionOptionSpecs.find((each) => each.flag === flag);
  if (spec === undefined) throw new Error(`no companion option ${flag}`);
  const { kind, description, fallback } = spec;
  return fallback === undefined
    ? { name: flag, key, kind, description }
    : { name: flag, key, kind, description, fallback };
}

/** The field of an annotation in problems. */
export function annotationField(name: string, where: readonly PropertyKey[] = ['metadata', 'annotations']): string {
  return fieldOf([...where, annotationPrefix + name]);
}

/**
 * The policy that annotations ask for, and all that is wrong with them. Without `paceline.dev/slo` there is no policy;
 * where any value is wrong there is none either, because half of what was meant is something else.
 *
 * @param where the steps to the annotations, for the fields of problems
 */
export function readAnnotations(
  annotations: Readonly<Record<string, string>>,
  where: readonly PropertyKey[] = ['metadata', 'annotations'],
): { policy?: ServicePolicy; problems: Problem[] } {
  const problems: Problem[] = [];
  const values: Record<string, unknown> = {};
  const said = new Map(
    Object.entries(annotations)
      .filter(([key]) => key.startsWith(annotationPrefix))
      .map(([key, value]) => [key.slice(annotationPrefix.length), value]),
  );
  for (const { name, key, kind, fallback } of annotationSpecs) {
    const text = said.get(name) ?? (typeof fallback === 'string' && fallback !== '' ? fallback : undefined);
    said.delete(name);
    if (text === undefined) continue;
    try {
      if (typeof text !== 'string') throw new UnitError('annotations are strings: put the value in quotes');
      values[key] = kind.parse(text.trim());
    } catch (thrown) {
      if (!(thrown instanceof UnitError)) throw thrown;
      problems.push(error('PL_ANNOTATION_VALUE', annotationField(name, where), thrown.message));
    }
  }
  const names = annotationSpecs.map(({ name }) => name);
  for (const name of said.keys()) {
    if (ownAnnotations.has(name)) continue;
    const meant = nearest(name, names);
    const hint = meant === undefined ? `there are: ${names.join(', ')}` : `did you mean ${annotationPrefix}${meant}?`;
    problems.push(
      warning('PL_ANNOTATION_UNKNOWN', annotationField(name, where), `${annotationPrefix}${name} is ignored: ${hint}`),
    );
  }
  const settings = annotationSpecs.filter(({ name }) => Object.hasOwn(annotations, annotationPrefix + name));
  if (settings.length > 0 && !Object.hasOwn(annotations, `${annotationPrefix}slo`)) {
    problems.push(
      warning(
        'PL_SLO_MISSING',
        annotationField(settings[0]?.name as string, where),
        `without ${annotationPrefix}slo nothing happens: add it, such as "200ms"`,
      ),
    );
  }
  if (values.sloMs === undefined || problems.some(({ severity }) => severity === 'error')) return { problems };
  const sloMs = values.sloMs as number;
  const policy = {
    shareAcrossHeaders: [],
    lateTimeoutMs: lateTimeoutPerSlo * sloMs,
    ...values,
  } as unknown as ServicePolicy;
  problems.push(...checkTogether(policy, (name) => ({ field: annotationField(name, where) })));
  return problems.some(({ severity }) => severity === 'error') ? { problems } : { policy, problems };
}

/**
 * What single values cannot show.
 *
 * @param where in which place the setting with this annotation's name was written
 */
export function checkTogether(policy: ServicePolicy, where: (name: string) => Place): Problem[] {
  const problems: Problem[] = [];
  const { sloMs, lateTimeoutMs, accuracy, minAccuracy, variantOf, budget, replicaCost } = policy;
  if (lateTimeoutMs < sloMs) {
    problems.push(
      problemAt(
        error,
        'PL_LATE_TIMEOUT',
        where('late-timeout'),
        `the late timeout (${lateTimeoutMs} ms) is shorter than the SLO (${sloMs} ms), so that requests would fail before they are late: make it at least the SLO, or leave it out for ${lateTimeoutPerSlo} x SLO`,
      ),
    );
  }
  if (variantOf !== undefined && accuracy === undefined) {
    problems.push(
      problemAt(
        warning,
        'PL_ACCURACY_MISSING',
        where('variant-of'),
        'a variant without accuracy counts as less accurate than any other: measure it and set accuracy, such as "0.93"',
      ),
    );
  }
  if (minAccuracy !== undefined && accuracy !== undefined && variantOf === undefined && accuracy < minAccuracy) {
    problems.push(
      problemAt(
        error,
        'PL_ACCURACY_FLOOR',
        where('min-accuracy'),
        `the only variant has accuracy ${accuracy}, below the floor of ${minAccuracy}: lower the floor, or name a group with variant-of`,
      ),
    );
  }
  if (budget?.currency && replicaCost?.currency && budget.currency !== replicaCost.currency) {
    problems.push(
      problemAt(
        error,
        'PL_CURRENCY',
        where('budget'),
        `the budget is in ${budget.currency} and the price of a replica in ${replicaCost.currency}: write both in one currency`,
      ),
    );
  }
  return problems;
}
