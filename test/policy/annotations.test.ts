import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { annotationPrefix, annotationSpecs, readAnnotations } from '../../src/policy/annotations.ts';
import { companionOptionSpecs, resolveCompanionOptions } from '../../src/policy/companion-options.ts';
import { mergePolicy, readInferencePolicy, specOf } from '../../src/policy/inference-policy.ts';
import { fieldOf, refuses, stepsOf } from '../../src/policy/problem.ts';
import { problemSpecs } from '../../src/policy/problem-codes.ts';
import type { ServicePolicy } from '../../src/policy/service-policy.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { suite } from '../support/suite.ts';

const targetRef = { group: 'serving.kserve.io', kind: 'InferenceService', name: 'digits' } as const;

/** Annotations with our prefix put before each key. */
function ours(settings: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [annotationPrefix + name, value]));
}

/** `severity code name` of each problem. */
function said(settings: Readonly<Record<string, string>>): string[] {
  return readAnnotations(ours(settings)).problems.map(
    ({ severity, code, field }) => `${severity} ${code} ${String(stepsOf(field).at(-1)).replace(annotationPrefix, '')}`,
  );
}

/** A value for each annotation that it takes. */
const right: Record<string, fc.Arbitrary<string>> = {
  slo: fc.oneof(
    fc.integer({ min: 1, max: 9999 }).map((ms) => `${ms}ms`),
    fc.integer({ min: 1, max: 99 }).map((tenths) => `${tenths / 10}s`),
  ),
  'slo-percentile': fc.integer({ min: 5000, max: 9999 }).map((hundredths) => String(hundredths / 100)),
  mode: fc.constantFrom('act', 'advise', 'off'),
  patience: fc.oneof(
    fc.constant('auto'),
    fc.integer({ min: 0, max: 1000 }).map((n) => String(n / 1000)),
  ),
  'max-batch-size': fc.integer({ min: 1, max: 1024 }).map(String),
  late: fc.constantFrom('defer', 'shed'),
  'late-timeout': fc.integer({ min: 10, max: 60 }).map((minutes) => `${minutes}m`),
  'replica-cost': rates(),
  budget: rates(),
  accuracy: shares(),
  'variant-of': fc.stringMatching(/^[a-z][a-z0-9-]{0,20}[a-z0-9]$/),
  'min-accuracy': shares(),
  rollout: fc.constantFrom('auto', 'manual'),
  'trust-headers': fc.constantFrom('true', 'false'),
  'share-across-headers': fc
    .uniqueArray(fc.constantFrom('cookie', 'authorization', 'x-user'), { maxLength: 3 })
    .map((names) => names.join(',')),
};

function shares(): fc.Arbitrary<string> {
  return fc.integer({ min: 0, max: 10_000 }).map((n) => String(n / 10_000));
}

function rates(): fc.Arbitrary<string> {
  return fc
    .tuple(
      fc.oneof(fc.constant(0), fc.integer({ min: 1000, max: 10_000_000 })),
      fc.constantFrom('', ' USD', 'USD'),
      fc.constantFrom('h', 'day', 'month'),
    )
    .map(([amount, currency, unit]) => `${amount / 1000}${currency}/${unit}`);
}

suite('annotations', (test) => {
  test('a value that cannot be is an error at its key, and there is no policy', () => {
    for (const [name, ...values] of [
      ['slo', '', '200', '0ms', '2h', '-1s', '1e3ms', '200 bananas'],
      ['slo-percentile', '100', '49', '0.99', 'p99'],
      ['mode', 'on', 'Act', 'false'],
      ['patience', '1.1', '-1', 'none'],
      ['max-batch-size', '0', '1025', '1.5', 'many'],
      ['late', 'drop'],
      ['late-timeout', '5'],
      ['replica-cost', '0.40', '0.40/s', '$0.40/h', '-1/h', '1e3/h', '0.40 usd/h', '9999999999/h', 'NaN/h'],
      ['budget', '5 EURO/h', '/h', '5//h'],
      ['accuracy', '93', '1.01', '-0.1', '93%', '.9'],
      ['variant-of', 'Digits', '-a', 'a-', 'a.b', 'a'.repeat(64)],
      ['min-accuracy', 'high'],
      ['rollout', 'yes'],
      ['trust-headers', 'yes', '1'],
      ['share-across-headers', 'two words', 'a:b'],
    ] as const) {
      for (const value of values) {
        const { policy, problems } = readAnnotations(ours({ slo: '200ms', [name]: value }));
        assert.is(policy, undefined, `${name}=${value}`);
        assert.equal(
          problems.map(({ severity, code, field }) => [severity, code, field]),
          [['error', 'PL_ANNOTATION_VALUE', `metadata.annotations[paceline.dev/${name}]`]],
          `${name}=${value}`,
        );
      }
    }
  });

  test('a value that is no string, as YAML may give it', () => {
    const { problems } = readAnnotations({ 'paceline.dev/slo': '1s', 'paceline.dev/mode': false } as unknown as Record<
      string,
      string
    >);
    assert.match(problems[0]?.message ?? '', /quotes/);
  });

  test('keys that mean nothing warn with the nearest name, and change nothing', () => {
    assert.equal(said({ slo: '1s', pateince: '1' }), ['warning PL_ANNOTATION_UNKNOWN pateince']);
    const { policy, problems } = readAnnotations(ours({ slo: '1s', 'slo-percentil': '95', 'something-else': 'x' }));
    assert.is(policy?.sloQuantile, 0.99);
    assert.match(problems[0]?.message ?? '', /did you mean paceline\.dev\/slo-percentile\?/);
    assert.match(problems[1]?.message ?? '', /there are: slo, /);
    assert.equal(said({ slo: '1s', original: '{}', batcher: '64/1' }), [], 'what Paceline writes itself');
    assert.equal(said({ slo: '1s', __proto__x: '1', constructor: '1', toString: '1' }).length, 3);
  });

  test('settings without an SLO opt nothing in, and say so', () => {
    assert.equal(readAnnotations({ 'other.dev/slo': '1s' }), { problems: [] });
    assert.equal(said({ budget: '1/h' }), ['warning PL_SLO_MISSING budget']);
    assert.is(readAnnotations(ours({ budget: '1/h' })).policy, undefined);
  });

  test('what single values cannot show', () => {
    assert.equal(said({ slo: '1s', 'late-timeout': '999ms' }), ['error PL_LATE_TIMEOUT late-timeout']);
    assert.equal(said({ slo: '1s', 'late-timeout': '1s' }), []);
    assert.equal(said({ slo: '1s', 'variant-of': 'a' }), ['warning PL_ACCURACY_MISSING variant-of']);
    assert.equal(said({ slo: '1s', accuracy: '0.9', 'min-accuracy': '0.95' }), [
      'error PL_ACCURACY_FLOOR min-accuracy',
    ]);
    assert.equal(said({ slo: '1s', accuracy: '0.9', 'min-accuracy': '0.95', 'variant-of': 'a' }), []);
    assert.equal(said({ slo: '1s', budget: '1 USD/h', 'replica-cost': '1 EUR/h' }), ['error PL_CURRENCY budget']);
    assert.equal(said({ slo: '1s', budget: '1 USD/h', 'replica-cost': '1/h' }), []);
  });

  test('the SLO alone gives the defaults of the design', () => {
    const { policy, problems } = readAnnotations(ours({ slo: '200ms' }));
    assert.equal(problems, []);
    assert.equal(policy, {
      sloMs: 200,
      sloQuantile: 0.99,
      mode: 'act',
      patience: 'auto',
      maxBatchSize: 64,
      late: 'defer',
      lateTimeoutMs: 1000,
      rollout: 'manual',
      trustHeaders: false,
      shareAcrossHeaders: [],
    });
  });

  test('an annotation and the flag of its name are read alike', () => {
    const shared = annotationSpecs.filter(({ name }) => companionOptionSpecs.some(({ flag }) => flag === name));
    assert.ok(shared.length >= 10, `${shared.length}`);
    const read = fc.record(Object.fromEntries(shared.map(({ name }) => [name, right[name] as fc.Arbitrary<string>])));
    fc.assert(
      fc.property(read, (settings) => {
        const { policy } = readAnnotations(ours(settings));
        const options = resolveCompanionOptions(
          { ...settings, upstream: 'http://127.0.0.1:1', 'model-name': 'own' },
          {},
        );
        for (const { key } of shared) {
          const wanted = key === 'patience' && options.patience < 0 ? 'auto' : options[key as keyof typeof options];
          assert.equal(policy?.[key], wanted, key);
        }
      }),
      propertyRuns(100, 11),
    );
  });

  test('any map at all: it never throws, and every problem has code, field and message', () => {
    const names = fc.oneof(
      fc.constantFrom(...annotationSpecs.map(({ name }) => annotationPrefix + name)),
      fc.string().map((name) => annotationPrefix + name),
      fc.string(),
    );
    const values = fc.oneof(
      fc.string(),
      fc.constantFrom('auto', '1s', '99', '0.5', '1/h', 'act'),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.dictionary(names, values), (annotations) => {
        const { policy, problems } = readAnnotations(annotations);
        assert.is(policy !== undefined && refuses(problems), false);
        for (const { severity, code, field, message } of problems) {
          assert.ok(code in problemSpecs, code);
          assert.ok(severity === 'error' || severity === 'warning');
          // Kubernetes has no brackets in keys.
          if (!/[[\]].*[[\]].*[[\]]/s.test(field)) assert.is(fieldOf(stepsOf(field)), field);
          assert.ok(message.length > 10, message);
        }
      }),
      propertyRuns(1000, 12),
    );
  });

  test('annotations -> policy -> spec of an InferencePolicy -> policy', () => {
    const any: fc.Arbitrary<object> = fc.record(right, { requiredKeys: ['slo'] });
    const settings = any
      .map((each) => each as Record<string, string>)
      .filter((each) => !refuses(readAnnotations(ours(each)).problems));
    const other = readAnnotations(ours({ slo: '7s', 'late-timeout': '8s' })).policy as ServicePolicy;
    fc.assert(
      fc.property(settings, (each) => {
        const { policy } = readAnnotations(ours(each));
        assert.ok(policy);
        const spec = specOf(policy, targetRef);
        const object = { apiVersion: 'paceline.dev/v1alpha1', kind: 'InferencePolicy', metadata: { name: 'p' }, spec };
        const read = readInferencePolicy(JSON.parse(JSON.stringify(object)));
        assert.equal(read.problems, []);
        assert.equal(mergePolicy(other, read.value?.spec ?? {}), policy);
      }),
      propertyRuns(300, 13),
    );
  });
});

suite('an InferencePolicy over annotations', (test) => {
  const policy = readAnnotations(ours({ slo: '200ms', budget: '5/h' })).policy as ServicePolicy;

  test('says what it says, and leaves the rest', () => {
    assert.equal(mergePolicy(policy, { targetRef }), policy);
    assert.equal(mergePolicy(policy, { targetRef, mode: 'off', patience: '0.25', maxBatchSize: 8 }), {
      ...policy,
      mode: 'off',
      patience: 0.25,
      maxBatchSize: 8,
    });
  });

  test('a late timeout that followed from the SLO follows from the new one; one that was said stays', () => {
    assert.is(mergePolicy(policy, { slo: '1s' }).lateTimeoutMs, 5000);
    const explicit = { ...policy, lateTimeoutMs: 1500 };
    assert.is(mergePolicy(explicit, { slo: '1s' }).lateTimeoutMs, 1500);
    assert.is(mergePolicy(explicit, { slo: '1s', lateTimeout: '3s' }).lateTimeoutMs, 3000);
  });
});
