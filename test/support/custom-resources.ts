// Custom resources, right and wrong, for the tests of their schemas here and on a real API server.

/** An InferencePolicy that says everything. */
export const policy = {
  apiVersion: 'paceline.dev/v1alpha1',
  kind: 'InferencePolicy',
  metadata: { name: 'digits', namespace: 'models' },
  spec: {
    targetRef: { group: 'serving.kserve.io', kind: 'InferenceService', name: 'digits' },
    slo: '200ms',
    sloPercentile: 99.5,
    mode: 'act',
    patience: '0.5',
    maxBatchSize: 32,
    late: 'shed',
    lateTimeout: '1.5s',
    replicaCost: '0.40/h',
    budget: '100 EUR/month',
    accuracy: 0.93,
    variantOf: 'digits',
    minAccuracy: 0.9,
    rollout: 'auto',
    trustHeaders: true,
    shareAcrossHeaders: ['authorization', 'cookie'],
  },
};

export const prices = {
  apiVersion: 'paceline.dev/v1alpha1',
  kind: 'PriceList',
  metadata: { name: 'cluster' },
  spec: {
    currency: 'EUR',
    billing: 'replica-seconds',
    prices: [{ instanceType: 'm7i.xlarge', nodeLabels: { zone: 'a' }, price: 0.2 }, { price: 1 }],
  },
};

/** Changes one field, by its steps; undefined takes it out. */
export function changed<T extends object>(object: T, steps: readonly (string | number)[], value: unknown): T {
  const copy = structuredClone(object);
  let at = copy as Record<string | number, unknown>;
  for (const step of steps.slice(0, -1)) at = at[step] as Record<string | number, unknown>;
  const last = steps.at(-1) as string | number;
  if (value === undefined) delete at[last];
  else at[last] = value;
  return copy;
}

/** Field, value, and whether the schema alone can tell (else CEL, or the program). */
export const wrongPolicies: [string[], unknown, boolean][] = [
  [['spec', 'targetRef'], undefined, true],
  [['spec', 'targetRef', 'name'], '', true],
  [['spec', 'targetRef', 'kind'], 'Deployment', true],
  [['spec', 'targetRef', 'kind'], 'Service', false],
  [['spec', 'slo'], '200', true],
  [['spec', 'slo'], 200, true],
  [['spec', 'slo'], '2h', false],
  [['spec', 'slo'], '2s', false],
  [['spec', 'lateTimeout'], '1d', true],
  [['spec', 'lateTimeout'], '0ms', false],
  [['spec', 'sloPercentile'], 100, true],
  [['spec', 'sloPercentile'], '99', true],
  [['spec', 'mode'], 'on', true],
  [['spec', 'patience'], '1.5', true],
  [['spec', 'patience'], 0.5, true],
  [['spec', 'maxBatchSize'], 0, true],
  [['spec', 'maxBatchSize'], 1.5, true],
  [['spec', 'late'], 'never', true],
  [['spec', 'budget'], '5', true],
  [['spec', 'budget'], '5 euro/h', true],
  [['spec', 'replicaCost'], '-1/h', true],
  [['spec', 'accuracy'], 93, true],
  [['spec', 'variantOf'], 'Digits', true],
  [['spec', 'trustHeaders'], 'yes', true],
  [['spec', 'shareAcrossHeaders'], ['two words'], true],
  [['spec', 'shareAcrossHeaders'], 'cookie', true],
];

/** Field and value; the schema can tell all of them. */
export const wrongPrices: [(string | number)[], unknown][] = [
  [['spec', 'currency'], 'euro'],
  [['spec', 'billing'], 'hours'],
  [['spec', 'prices'], []],
  [['spec', 'prices', 0, 'price'], -1],
  [['spec', 'prices', 0, 'price'], undefined],
  [['spec', 'prices', 0, 'nodeLabels'], {}],
  [['spec', 'prices', 0, 'nodeLabels', 'zone'], 3],
];
