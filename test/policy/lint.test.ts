import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { lintTexts } from '../../src/policy/lint.ts';
import { suite } from '../support/suite.ts';

const service = `apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: digits
  annotations:
    paceline.dev/slo: 200ms
    paceline.dev/late-timeout: 100ms
spec:
  predictor:
    containerConcurrency: 1
`;

/** What a report says, briefly: `line:column code field`. */
function said(text: string, name = 'file.yaml'): string[] {
  return lintTexts([{ name, text }]).findings.map(
    ({ line, column, code, field }) => `${line}:${column} ${code} ${field}`,
  );
}

suite('lint', (test) => {
  test('what is no YAML is said with its line, and the other documents are read', () => {
    assert.equal(said(`a: [1\nb: 2\n---\n${service}`), [
      '2:1 PL_SYNTAX ',
      '10:5 PL_LATE_TIMEOUT metadata.annotations[paceline.dev/late-timeout]',
    ]);
    assert.match(said('key: 1\nkey: 2\n')[0] ?? '', /^2:1 PL_SYNTAX/);
    assert.match(said('{{- if .Values.x }}\na: {{ .Values.x }}\n')[0] ?? '', /PL_SYNTAX/);
  });

  test('aliases that blow up are no object', () => {
    const levels = Array.from({ length: 12 }, (_, at) => `a${at + 1}: &a${at + 1} [${Array(9).fill(`*a${at}`)}]`);
    assert.equal(said(`a0: &a0 [x]\n${levels.join('\n')}\n`), []);
  });

  test('kinds and versions of ours that there are not', () => {
    assert.equal(said('apiVersion: paceline.dev/v1alpha1\nkind: InferencePolicys\n'), ['2:1 PL_KIND_UNKNOWN kind']);
    assert.equal(said('apiVersion: paceline.dev/v1\nkind: PriceList\n'), ['1:1 PL_KIND_UNKNOWN apiVersion']);
  });

  test('unquoted words and numbers are what kubectl makes of them', () => {
    const annotated = service
      .replace('late-timeout: 100ms', 'mode: off')
      .replace('slo: 200ms', 'slo: 200ms\n    paceline.dev/accuracy: 0.9');
    assert.equal(said(annotated), [
      '7:5 PL_ANNOTATION_VALUE metadata.annotations[paceline.dev/accuracy]',
      '8:5 PL_ANNOTATION_VALUE metadata.annotations[paceline.dev/mode]',
    ]);
    const policy = `apiVersion: paceline.dev/v1alpha1
kind: InferencePolicy
metadata: {name: p}
spec:
  targetRef: {name: digits}
  mode: off
  patience: 0.5
`;
    const { findings } = lintTexts([{ name: '-', text: policy }]);
    assert.equal(
      findings.map(({ line, field }) => [line, field]),
      [
        [6, 'spec.mode'],
        [7, 'spec.patience'],
      ],
    );
    assert.match(findings[0]?.message ?? '', /is false.*quotes/);
    assert.match(findings[1]?.message ?? '', /"0\.5"/);
  });

  test('the line is that of the key, or of what it should stand in', () => {
    const right = service.replace('    paceline.dev/late-timeout: 100ms\n', '');
    assert.equal(said(right), ['9:5 PL_CONCURRENCY spec.predictor.containerConcurrency']);
    const timed = right.replace('containerConcurrency: 1', 'minReplicas: 1').replace('200ms', '2m');
    // There is no timeout to point at: its predictor is.
    assert.match(said(timed)[0] ?? '', /^8:3 PL_TIMEOUT spec\.predictor\.timeout/);
  });

  test('JSON and Lists are read, and items have lines of their own', () => {
    const json = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [{ kind: 'Pod' }, serviceObject()] }, null, 2);
    const line = json.split('\n').findIndex((each) => each.includes('late-timeout')) + 1;
    assert.ok(said(json)[0]?.startsWith(`${line}:`), said(json)[0]);
  });

  test('objects are judged together, and a finding stands where the setting was written', () => {
    const policy = `apiVersion: paceline.dev/v1alpha1
kind: InferencePolicy
metadata: {name: p}
spec:
  targetRef: {name: digits}
  budget: 1/h
`;
    const price =
      'apiVersion: paceline.dev/v1alpha1\nkind: PriceList\nmetadata: {name: c}\nspec: {currency: EUR, prices: [{price: 2}]}\n';
    const plain = service
      .replace('    paceline.dev/late-timeout: 100ms\n', '')
      .replace('containerConcurrency: 1', 'minReplicas: 1');
    const { findings, objects } = lintTexts([
      { name: 'service.yaml', text: plain },
      { name: 'policy.yaml', text: policy },
      { name: 'prices.yaml', text: price },
    ]);
    assert.is(objects, 3);
    assert.equal(
      findings.map(({ file, line, code, object }) => ({ file, line, code, object })),
      [{ file: 'policy.yaml', line: 6, code: 'PL_BUDGET', object: 'InferencePolicy/default/p' }],
    );
    const elsewhere = policy.replace('{name: p}', '{name: p, namespace: other}');
    assert.equal(
      lintTexts([
        { name: 'a', text: plain },
        { name: 'b', text: elsewhere },
        { name: 'c', text: price },
      ]).findings,
      [],
    );
  });

  test('what two copies of a service have in common is said once', () => {
    const policy = (name: string) =>
      `---\napiVersion: paceline.dev/v1alpha1\nkind: InferencePolicy\nmetadata: {name: ${name}}\nspec: {targetRef: {name: digits}}\n`;
    const plain = service
      .replace('    paceline.dev/late-timeout: 100ms\n', '')
      .replace('Concurrency: 1', 'Concurrency: 0');
    assert.equal(said(`${plain}---\n${plain}${policy('a')}${policy('b')}`), [
      '29:20 PL_POLICY_CONFLICT spec.targetRef.name',
    ]);
  });

  test('what is not ours is passed over', () => {
    const text = 'kind: Deployment\napiVersion: apps/v1\n---\n---\njust text\n---\n[1, 2]\n---\nkind: List\nitems: 3\n';
    assert.equal(lintTexts([{ name: '-', text }]), { findings: [], objects: 0 });
    assert.equal(lintTexts([{ name: '-', text: '' }]), { findings: [], objects: 0 });
  });

  test('the samples are clean', () => {
    const folder = fileURLToPath(new URL('../../manifests/samples/', import.meta.url));
    const names = ['digits-knative', 'digits-service', 'digits-standard', 'inference-policy', 'price-list'];
    const sources = names.map((name) => ({ name, text: readFileSync(`${folder}${name}.yaml`, 'utf8') }));
    const { findings, objects } = lintTexts(sources);
    assert.equal(findings, []);
    assert.is(objects, 5);
  });
});

function serviceObject(): object {
  return {
    apiVersion: 'serving.kserve.io/v1beta1',
    kind: 'InferenceService',
    metadata: { name: 'digits', annotations: { 'paceline.dev/slo': '1s', 'paceline.dev/late-timeout': '1ms' } },
  };
}
