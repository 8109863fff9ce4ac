import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { type InferencePolicy, madeByControllerLabel, readInferencePolicy } from '../../src/policy/inference-policy.ts';
import { type PriceList, readPriceList } from '../../src/policy/price-list.ts';
import { problemSpecs } from '../../src/policy/problem-codes.ts';
import type { ServiceReview } from '../../src/policy/review-context.ts';
import { effectivePolicy, reviewService } from '../../src/policy/review-service.ts';
import { podAutoscalerClass, type ServiceView, viewService } from '../../src/policy/service-view.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { suite } from '../support/suite.ts';

type Annotations = Record<string, string>;

const slo = { 'paceline.dev/slo': '200ms' };
const knative = { 'serving.kserve.io/deploymentMode': 'Knative' };
const standard = { 'serving.kserve.io/deploymentMode': 'Standard' };

/** An InferenceService as the API gives it. */
function inferenceService(annotations: Annotations, predictor: object = {}, spec: object = {}): ServiceView {
  return view({
    apiVersion: 'serving.kserve.io/v1beta1',
    kind: 'InferenceService',
    metadata: { name: 'digits', namespace: 'models', annotations },
    spec: { predictor, ...spec },
  });
}

function knativeService(template: Annotations, spec: object = {}, own: Annotations = {}): ServiceView {
  return view({
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: { name: 'digits', namespace: 'models', annotations: own },
    spec: { template: { metadata: { annotations: template }, spec } },
  });
}

function view(object: object): ServiceView {
  const found = viewService(object);
  assert.ok(found);
  return found;
}

function policyOf(name: string, spec: object, metadata: object = {}): InferencePolicy {
  const { value, problems } = readInferencePolicy({
    apiVersion: 'paceline.dev/v1alpha1',
    kind: 'InferencePolicy',
    metadata: { name, namespace: 'models', creationTimestamp: '2026-01-01T00:00:00Z', ...metadata },
    spec: { targetRef: { name: 'digits' }, ...spec },
  });
  assert.equal(problems, []);
  return value as InferencePolicy;
}

function pricesOf(prices: object[], over: object = {}): PriceList {
  const { value, problems } = readPriceList({
    apiVersion: 'paceline.dev/v1alpha1',
    kind: 'PriceList',
    metadata: { name: 'cluster' },
    spec: { currency: 'USD', prices, ...over },
  });
  assert.equal(problems, []);
  return value as PriceList;
}

/** `severity code field` of each problem. */
function said(service: ServiceView, review: Omit<ServiceReview, 'service'> = {}): string[] {
  return reviewService({ service, ...review }).map(({ severity, code, field }) => `${severity} ${code} ${field}`);
}

const onSlo = 'metadata.annotations[paceline.dev/slo]';
const onBudget = 'metadata.annotations[paceline.dev/budget]';
const onClass = 'metadata.annotations[serving.kserve.io/autoscalerClass]';

suite('review: what cannot work', (test) => {
  test('ModelMesh', () => {
    const service = inferenceService({ ...slo, 'serving.kserve.io/deploymentMode': 'ModelMesh' });
    assert.equal(said(service), ['error PL_DEPLOYMENT_MODE metadata.annotations[serving.kserve.io/deploymentMode]']);
  });

  test('our class with a minimum of 0, given or by default', () => {
    const ours = { 'autoscaling.knative.dev/class': podAutoscalerClass };
    assert.equal(said(inferenceService({ ...slo, ...knative, ...ours }, { minReplicas: 0 })), [
      'error PL_CLASS_ZERO spec.predictor.minReplicas',
    ]);
    assert.equal(said(inferenceService({ ...slo, ...knative, ...ours })), []);
    assert.equal(said(knativeService({ ...slo, ...ours })), [
      'error PL_CLASS_ZERO spec.template.metadata.annotations[autoscaling.knative.dev/class]',
    ]);
    assert.equal(said(knativeService({ ...slo, ...ours, 'autoscaling.knative.dev/min-scale': '1' })), []);
    assert.equal(said(knativeService({ ...slo, ...ours, 'autoscaling.knative.dev/minScale': '1' })), [], 'the alias');
  });

  test('our class without an objective', () => {
    const ours = { 'autoscaling.knative.dev/class': podAutoscalerClass };
    const field = 'metadata.annotations[autoscaling.knative.dev/class]';
    assert.equal(said(inferenceService({ ...knative, ...ours })), [`warning PL_CLASS_ALONE ${field}`]);
    assert.equal(said(inferenceService({ ...slo, 'paceline.dev/mode': 'off', ...knative, ...ours })), []);
  });

  test('a budget that does not pay what always runs', () => {
    const priced = { ...slo, 'paceline.dev/replica-cost': '0.40/h', 'paceline.dev/budget': '0.79/h' };
    assert.equal(said(inferenceService(priced, { minReplicas: 2 })), [`error PL_BUDGET ${onBudget}`]);
    assert.equal(said(inferenceService({ ...priced, 'paceline.dev/budget': '0.80/h' }, { minReplicas: 2 })), []);
    assert.equal(
      said(inferenceService({ ...priced, 'paceline.dev/budget': '0.1/h' })),
      [`error PL_BUDGET ${onBudget}`],
      'one by default',
    );
    assert.equal(said(inferenceService({ ...priced, 'paceline.dev/budget': '0.1/h' }, { minReplicas: 0 })), [
      `warning PL_BUDGET ${onBudget}`,
    ]);
  });

  test('a budget against the PriceList: even the cheapest node, or only the dearest', () => {
    const lists = { priceLists: [pricesOf([{ instanceType: 'a', price: 1 }, { price: 3 }])] };
    const service = (budget: string) => inferenceService({ ...slo, 'paceline.dev/budget': budget });
    assert.equal(said(service('0.99/h'), lists), [`error PL_BUDGET ${onBudget}`]);
    assert.equal(said(service('2/h'), lists), [`warning PL_BUDGET ${onBudget}`]);
    assert.equal(said(service('3/h'), lists), []);
    assert.equal(said(service('3 EUR/h'), lists), [`error PL_CURRENCY ${onBudget}`]);
    assert.equal(said(service('1/h'), { priceLists: [pricesOf([{ price: 3 }], { billing: 'request' })] }), []);
  });

  test('what an InferencePolicy makes of annotations that were right', () => {
    const service = inferenceService({ ...slo, 'paceline.dev/late-timeout': '500ms' });
    const [problem] = reviewService({ service, policies: [policyOf('p', { slo: '1s' })] });
    assert.is(problem?.code, 'PL_LATE_TIMEOUT');
    assert.is(problem?.field, 'metadata.annotations[paceline.dev/late-timeout]');
    assert.is(effectivePolicy(service, [policyOf('p', { slo: '1s' })]).policy, undefined);
  });
});

suite('review: what will hurt', (test) => {
  test('containerConcurrency below twice the batch; 1 is the known trap', () => {
    const at = (containerConcurrency: number, more: Annotations = {}) =>
      reviewService({ service: inferenceService({ ...slo, ...more }, { containerConcurrency }) });
    assert.match(at(1)[0]?.message ?? '', /nothing is ever batched/);
    assert.match(at(127)[0]?.message ?? '', /two batches of 64.*raise it to 128.*max-batch-size to "63"/);
    assert.equal(
      at(127).map(({ severity, field }) => [severity, field]),
      [['warning', 'spec.predictor.containerConcurrency']],
    );
    for (const fine of [0, 128, 500]) assert.equal(at(fine), []);
    assert.equal(at(16, { 'paceline.dev/max-batch-size': '8' }), []);
    assert.equal(said(knativeService(slo, { containerConcurrency: 2 })), [
      'warning PL_CONCURRENCY spec.template.spec.containerConcurrency',
    ]);
    const own = { ...slo, ...standard, 'serving.kserve.io/autoscalerClass': 'external' };
    assert.equal(said(inferenceService(own, { containerConcurrency: 1 })), [], 'no queue-proxy, no bound');
  });

  test('a concurrency target below the batch, where nobody steers it', () => {
    const advise = { ...slo, 'paceline.dev/mode': 'advise' };
    assert.equal(said(inferenceService(advise, { scaleTarget: 1 })), [
      'warning PL_SCALE_TARGET spec.predictor.scaleTarget',
    ]);
    assert.equal(said(inferenceService(advise, { scaleTarget: 1, scaleMetric: 'rps' })), []);
    assert.equal(said(inferenceService(slo, { scaleTarget: 1 })), []);
    assert.equal(said(knativeService({ ...advise, 'autoscaling.knative.dev/target': '10' })), [
      'warning PL_SCALE_TARGET spec.template.metadata.annotations[autoscaling.knative.dev/target]',
    ]);
  });

  test('timeouts below the late timeout, given or by default', () => {
    const late = (text: string) => ({ ...slo, ...knative, 'paceline.dev/late-timeout': text });
    assert.equal(said(inferenceService(late('20s'), { timeout: 10 })), ['warning PL_TIMEOUT spec.predictor.timeout']);
    assert.equal(said(inferenceService(late('10s'), { timeout: 10 })), []);
    assert.equal(said(inferenceService(late('10m'))), ['warning PL_TIMEOUT spec.predictor.timeout']);
    assert.equal(said(knativeService({ ...slo, 'paceline.dev/late-timeout': '6m' })), [
      'warning PL_TIMEOUT spec.template.spec.timeoutSeconds',
    ]);
    const [below] = reviewService({ service: inferenceService({ 'paceline.dev/slo': '2s' }, { timeout: 1 }) });
    assert.match(below?.message ?? '', /not above the SLO.*at least 10/);
    const gateway = {
      ...slo,
      ...standard,
      'serving.kserve.io/autoscalerClass': 'external',
      'paceline.dev/late-timeout': '2m',
    };
    assert.equal(
      said(inferenceService(gateway)),
      ['warning PL_TIMEOUT spec.predictor.timeout'],
      '60 s in Standard mode',
    );
  });

  test("settings of KServe's batcher that fight ours", () => {
    const batched = (batcher: object) => said(inferenceService(slo, { batcher }));
    assert.equal(batched({ maxBatchSize: 64, maxLatency: 1 }), []);
    assert.equal(batched({ maxBatchSize: 32, maxLatency: 1 }), [], 'ours, from before a policy changed');
    assert.equal(batched({}), ['warning PL_BATCHER spec.predictor.batcher'], 'KServe waits 5 s by default');
    assert.equal(batched({ maxLatency: 200 }), ['warning PL_BATCHER spec.predictor.batcher.maxLatency']);
    assert.equal(batched({ maxLatency: 199, maxBatchSize: 32 }), [
      'warning PL_BATCHER spec.predictor.batcher.maxBatchSize',
    ]);
    assert.equal(batched({ maxLatency: 1, timeout: 60 }), ['warning PL_BATCHER spec.predictor.batcher.timeout']);
  });

  test('scaling that is not ours to set', () => {
    assert.equal(said(inferenceService({ ...slo, ...standard })), [`warning PL_AUTOSCALER ${onClass}`]);
    assert.equal(said(inferenceService({ ...slo, ...standard, 'serving.kserve.io/autoscalerClass': 'keda' })), [
      `warning PL_AUTOSCALER ${onClass}`,
    ]);
    assert.equal(said(inferenceService({ ...slo, ...standard, 'serving.kserve.io/autoscalerClass': 'external' })), []);
    assert.equal(
      said(inferenceService({ ...slo, ...standard }, { minReplicas: 2, maxReplicas: 2 })),
      [],
      'nothing to plan',
    );
    assert.equal(said(inferenceService({ ...slo, ...standard, 'paceline.dev/mode': 'advise' })), []);
    assert.equal(said(inferenceService(slo), { deploymentMode: 'standard' }), [`warning PL_AUTOSCALER ${onClass}`]);
    const ofClass = (name: string) => said(knativeService({ ...slo, 'autoscaling.knative.dev/class': name }));
    for (const foreign of ['hpa.autoscaling.knative.dev', 'scaler.example.com']) {
      assert.equal(ofClass(foreign), [
        'warning PL_AUTOSCALER spec.template.metadata.annotations[autoscaling.knative.dev/class]',
      ]);
    }
    assert.equal(ofClass('kpa.autoscaling.knative.dev'), []);
  });

  test('canaries: by hand while rollout is auto, past the companion, or where there are none', () => {
    const auto = { ...slo, 'paceline.dev/rollout': 'auto' };
    const byHand = inferenceService({ ...auto, ...knative }, { canaryTrafficPercent: 20 });
    assert.equal(said(byHand), ['warning PL_CANARY_BY_HAND spec.predictor.canaryTrafficPercent']);
    assert.equal(said(byHand, { canaryIsOurs: true }), []);
    assert.equal(said(inferenceService({ ...auto, ...knative }, { canaryTrafficPercent: 100 })), []);
    assert.equal(said(inferenceService(slo, { canaryTrafficPercent: 20 })), [], 'rollout manual');
    const bypassed = inferenceService(slo, {}, { canary: [{ predictor: {}, trafficPercent: 10 }] });
    assert.equal(said(bypassed), ['warning PL_CANARY_BYPASSED spec.canary']);
    const external = { ...auto, ...standard, 'serving.kserve.io/autoscalerClass': 'external' };
    assert.equal(said(inferenceService(external)), ['warning PL_ROLLOUT_MODE spec.predictor.canaryTrafficPercent']);
    assert.equal(said(knativeService(auto)), ['warning PL_ROLLOUT_MODE spec.traffic']);
    assert.equal(said(inferenceService({ ...auto, 'serving.kserve.io/disable-auto-update': 'true' })), [
      'warning PL_FROZEN metadata.annotations[serving.kserve.io/disable-auto-update]',
    ]);
  });

  test("a probe that KServe's agent does not start with", () => {
    const own = { ...slo, ...standard, 'serving.kserve.io/autoscalerClass': 'external' };
    assert.equal(said(inferenceService(own, { model: { readinessProbe: { exec: { command: ['true'] } } } })), [
      'warning PL_PROBE_KIND spec.predictor.model.readinessProbe',
    ]);
    assert.equal(said(inferenceService(own, { containers: [{ readinessProbe: { grpc: { port: 9000 } } }] })), [
      'warning PL_PROBE_KIND spec.predictor.containers[0].readinessProbe',
    ]);
    assert.equal(said(inferenceService(own, { containers: [{ readinessProbe: { tcpSocket: { port: 1 } } }] })), []);
    assert.equal(
      said(inferenceService({ ...slo, ...knative }, { containers: [{ readinessProbe: { grpc: {} } }] })),
      [],
    );
  });

  test('a budget without a price: unknown, or known to be none', () => {
    const service = inferenceService({ ...slo, 'paceline.dev/budget': '1/h' });
    assert.equal(said(service), [`warning PL_PRICE_MISSING ${onBudget}`]);
    assert.match(reviewService({ service })[0]?.message ?? '', /make sure/);
    assert.match(reviewService({ service, priceLists: [] })[0]?.message ?? '', /bounds nothing/);
  });

  test('what companions have measured', () => {
    const latencyMs = [
      { items: 8, expected: 300, quantile: 400 },
      { items: 1, expected: 150, quantile: 210 },
    ];
    assert.equal(said(inferenceService(slo), { observed: { latencyMs } }), [`warning PL_SLO_UNREACHABLE ${onSlo}`]);
    const fine = latencyMs.map((each) => ({ ...each, quantile: each.quantile - 10 }));
    assert.equal(said(inferenceService(slo), { observed: { latencyMs: fine } }), []);
    const onShare = 'metadata.annotations[paceline.dev/share-across-headers]';
    const split = (lanes: number) => ({ observed: { splittingHeader: { name: 'Cookie', lanes } } });
    assert.equal(said(inferenceService(slo), split(12)), [`warning PL_LANES_SPLIT ${onShare}`]);
    assert.equal(said(inferenceService(slo), split(2)), []);
    assert.equal(said(inferenceService({ ...slo, 'paceline.dev/share-across-headers': 'cookie' }), split(12)), []);
    const cold = { observed: { coldStartMs: 4000 } };
    assert.equal(said(inferenceService(slo, { minReplicas: 0 }), cold), [`warning PL_COLD_START ${onSlo}`]);
    assert.equal(said(inferenceService(slo), cold), []);
  });

  test('annotations where they reach no pod', () => {
    assert.equal(said(knativeService({}, {}, slo)), [
      'warning PL_ANNOTATION_PLACE metadata.annotations[paceline.dev/slo]',
    ]);
    assert.equal(said(inferenceService({}, { annotations: slo })), [
      'warning PL_ANNOTATION_PLACE spec.predictor.annotations[paceline.dev/slo]',
    ]);
  });

  test('with mode off, or without an SLO, nothing else is said', () => {
    const trapped = { containerConcurrency: 1, batcher: {} };
    assert.equal(said(inferenceService({ ...slo, 'paceline.dev/mode': 'off' }, trapped)), []);
    assert.equal(said(inferenceService({}, trapped)), []);
  });
});

suite('review: InferencePolicies of a service', (test) => {
  const service = inferenceService(slo);

  test('the oldest holds, the others say so, and those of other services are passed over', () => {
    const old = policyOf('old', { patience: '0' });
    const young = policyOf('young', { patience: '1' }, { creationTimestamp: '2026-01-02T00:00:00Z' });
    const other = policyOf('other', { targetRef: { name: 'letters' } }, { creationTimestamp: '2025-01-01T00:00:00Z' });
    const elsewhere = policyOf('elsewhere', {}, { namespace: 'n', creationTimestamp: '2025-01-01T00:00:00Z' });
    const knativeOne = policyOf('knative', {
      targetRef: { group: 'serving.knative.dev', kind: 'Service', name: 'digits' },
    });
    const policies = [young, other, old, elsewhere, knativeOne];
    assert.is(effectivePolicy(service, policies).policy?.patience, 0);
    const [problem, ...rest] = reviewService({ service, policies });
    assert.equal(rest, []);
    assert.is(problem?.code, 'PL_POLICY_CONFLICT');
    assert.is(problem?.object, 'InferencePolicy/models/young');
  });

  test("one that a user makes holds before the controller's, however young", () => {
    const made = policyOf('digits', {}, { labels: { [madeByControllerLabel]: 'true' } });
    const users = policyOf('mine', { maxBatchSize: 8 }, { creationTimestamp: '2026-06-01T00:00:00Z' });
    assert.is(effectivePolicy(service, [made, users]).policy?.maxBatchSize, 8);
  });

  test('of two as old the first by name, in any order', () => {
    const [a, b] = [policyOf('a', { maxBatchSize: 1 }), policyOf('b', { maxBatchSize: 2 })];
    assert.is(effectivePolicy(service, [b, a]).policy?.maxBatchSize, 1);
    assert.is(effectivePolicy(service, [a, b]).policy?.maxBatchSize, 1);
  });

  test('one for a service that has not opted in warns at the policy, and opts nothing in', () => {
    const plain = inferenceService({});
    const [problem] = reviewService({ service: plain, policies: [policyOf('p', { slo: '1s' })] });
    assert.equal([problem?.code, problem?.object], ['PL_NOT_OPTED_IN', 'InferencePolicy/models/p']);
    assert.is(effectivePolicy(plain, [policyOf('p', { slo: '1s' })]).policy, undefined);
  });

  test('a problem with what a policy says is at the policy', () => {
    const policies = [policyOf('p', { budget: '1/h', replicaCost: '2/h' })];
    const [problem] = reviewService({ service, policies });
    assert.equal(
      [problem?.code, problem?.field, problem?.object],
      ['PL_BUDGET', 'spec.budget', 'InferencePolicy/models/p'],
    );
  });
});

suite('review: anything at all', (test) => {
  const key = fc.constantFrom(
    'paceline.dev/slo',
    'paceline.dev/budget',
    'paceline.dev/rollout',
    'serving.kserve.io/deploymentMode',
    'serving.kserve.io/autoscalerClass',
    'autoscaling.knative.dev/class',
    'autoscaling.knative.dev/min-scale',
    'autoscaling.knative.dev/target',
    '__proto__',
  );
  const word = fc.constantFrom(
    '1s',
    '1/h',
    'auto',
    'Standard',
    'Knative',
    'ModelMesh',
    'hpa',
    podAutoscalerClass,
    '0',
    '-1',
    '',
  );
  const annotations = fc.oneof(fc.dictionary(key, word), fc.anything());
  const value = fc.oneof(fc.integer(), fc.double(), fc.string(), fc.constant(null), fc.anything());
  const predictor = fc.oneof(
    fc.record(
      {
        minReplicas: value,
        maxReplicas: value,
        containerConcurrency: value,
        scaleTarget: value,
        timeout: value,
        batcher: fc.oneof(value, fc.record({ maxBatchSize: value, maxLatency: value, timeout: value })),
        canaryTrafficPercent: value,
        model: value,
        containers: fc.oneof(value, fc.array(fc.record({ readinessProbe: value }))),
        annotations,
      },
      { requiredKeys: [] },
    ),
    fc.anything(),
  );
  const object = fc.record({
    apiVersion: fc.constantFrom('serving.kserve.io/v1beta1', 'serving.knative.dev/v1'),
    kind: fc.constantFrom('InferenceService', 'Service'),
    metadata: fc.oneof(fc.record({ name: value, namespace: value, annotations }), fc.anything()),
    spec: fc.oneof(
      fc.record({
        predictor,
        canary: value,
        template: fc.record({ metadata: fc.record({ annotations }), spec: predictor }),
      }),
      fc.anything(),
    ),
    status: fc.anything(),
  });

  test('it never throws, and every problem has a known code, its severity, a field and a message', () => {
    let reviewed = 0;
    let problems = 0;
    fc.assert(
      fc.property(object, fc.constantFrom('knative', 'standard', undefined), (each, deploymentMode) => {
        const service = viewService(each);
        if (service === undefined) return;
        reviewed++;
        for (const { severity, code, field, message } of reviewService({ service, deploymentMode })) {
          problems++;
          const spec = problemSpecs[code as keyof typeof problemSpecs];
          assert.ok(spec, code);
          // An error may be a warning where it is not certain, never the other way round.
          assert.ok(severity === 'warning' || spec.severity === 'error', code);
          assert.ok(field.length > 3 && message.length > 10, `${code} ${field} ${message}`);
        }
      }),
      propertyRuns(1000, 31),
    );
    assert.ok(reviewed > 300 && problems > 100, `${reviewed} services, ${problems} problems`);
  });

  test('an object of another kind is none', () => {
    for (const each of [null, 3, [], {}, { kind: 'InferenceService' }, { apiVersion: 'v1', kind: 'Service' }]) {
      assert.is(viewService(each), undefined);
    }
  });
});
