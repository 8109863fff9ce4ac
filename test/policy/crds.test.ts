import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { crdFiles, crdOf, definitions } from '../../scripts/manifests/crds.ts';
import { readInferencePolicy } from '../../src/policy/inference-policy.ts';
import { readPriceList } from '../../src/policy/price-list.ts';
import { changed, policy, prices, wrongPolicies, wrongPrices } from '../support/custom-resources.ts';
import { suite } from '../support/suite.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

type Schema = {
  type?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  additionalProperties?: Schema | boolean;
  required?: string[];
  [keyword: string]: unknown;
};

const schemas = definitions.map((definition) => {
  const crd = crdOf(definition) as { spec: { versions: { schema: { openAPIV3Schema: Schema } }[] } };
  return { kind: definition.kind, crd, schema: crd.spec.versions[0]?.schema.openAPIV3Schema as Schema };
});

suite('custom resource definitions', (test) => {
  const ajv = new Ajv({ strict: false, formats: { int64: true, 'date-time': true } });
  const byKind = new Map(schemas.map(({ kind, schema }) => [kind, ajv.compile(schema)]));

  test('what is wrong is refused by the schema where it can tell, and by the program in any case', () => {
    for (const [steps, value, schemaTells] of wrongPolicies) {
      const object = changed(policy, steps, value);
      const shown = `${steps.join('.')} = ${JSON.stringify(value)}`;
      assert.is(byKind.get('InferencePolicy')?.(object), !schemaTells, shown);
      const { value: read, problems } = readInferencePolicy(object);
      assert.is(read, undefined, shown);
      assert.ok(
        problems.some(({ field }) => `${steps.join('.')}[0]`.startsWith(field)),
        `${shown}: ${problems.map(({ field }) => field)}`,
      );
    }
    for (const [steps, value] of wrongPrices) {
      const object = changed(prices, steps, value);
      const shown = `${steps.join('.')} = ${JSON.stringify(value)}`;
      assert.is(byKind.get('PriceList')?.(object), false, shown);
      assert.is(readPriceList(object).value, undefined, shown);
    }
  });

  test('a field that is none is complained of by its name', () => {
    const { problems } = readInferencePolicy(changed(policy, ['spec', 'slos'], '1s'));
    assert.equal(
      problems.map(({ field, code }) => [field, code]),
      [['spec.slos', 'PL_POLICY_SPEC']],
    );
  });

  test('what is right is taken by both, and a status of another version does not make a spec wrong', () => {
    assert.is(byKind.get('InferencePolicy')?.(policy), true);
    assert.equal(readInferencePolicy(policy), { value: policy, problems: [] });
    assert.is(byKind.get('PriceList')?.(prices), true);
    assert.equal(readPriceList(prices), { value: prices, problems: [] });
    assert.equal(readInferencePolicy({ ...policy, status: { plan: 'best' } }), { value: policy, problems: [] });
    const status = { plan: { reason: 'meets-slo', replicas: 3 } };
    assert.equal(readInferencePolicy({ ...policy, status }).value?.status, status);
  });

  test('the samples are right', () => {
    for (const [file, read] of [
      ['inference-policy', readInferencePolicy],
      ['price-list', readPriceList],
    ] as const) {
      const object: unknown = parse(readFileSync(`${root}manifests/samples/${file}.yaml`, 'utf8'));
      assert.equal(read(object).problems, [], file);
    }
  });

  test('schemas are structural', () => {
    for (const { kind, schema } of schemas) checkStructure(kind, schema);
  });

  test('every CEL rule has a message and bounded text to work on', () => {
    let rules = 0;
    walk(schemas.map(({ schema }) => schema) as unknown as Schema, (node) => {
      const own = (node['x-kubernetes-validations'] ?? []) as { rule: string; message: string }[];
      rules += own.length;
      for (const { rule, message } of own) assert.ok(rule.includes('self') && message.length > 10, rule);
      if (own.length > 0 && node.type === 'string') assert.type(node.maxLength, 'number');
    });
    assert.ok(rules >= 5, `${rules}`);
  });

  test('status is a subresource, and columns lead to fields that the schema has', () => {
    for (const { crd, schema } of schemas) {
      const [version] = crd.spec.versions as unknown as {
        subresources: object;
        additionalPrinterColumns: { name: string; type: string; jsonPath: string }[];
      }[];
      assert.equal(version?.subresources, { status: {} });
      for (const { name, type, jsonPath } of version?.additionalPrinterColumns ?? []) {
        if (jsonPath === '.metadata.creationTimestamp') continue;
        const steps = jsonPath
          .replace(/\[\?.*?\]/, '.items')
          .split('.')
          .filter(Boolean);
        let node: Schema | undefined = schema;
        for (const step of steps) node = step === 'items' ? node?.items : node?.properties?.[step];
        assert.is(node?.type, type, name);
      }
    }
  });

  for (const [path, text] of Object.entries(crdFiles)) {
    test(`${path} is what \`npm run manifests\` writes`, () => {
      assert.is(readFileSync(`${root}${path}`, 'utf8'), text(), 'stale: run `npm run manifests`');
    });
  }
});

/** What the API server demands of a structural schema, and of lists and defaults. */
function checkStructure(place: string, node: Schema): void {
  assert.ok(['object', 'array', 'string', 'number', 'integer', 'boolean'].includes(node.type as string), place);
  for (const keyword of [
    '$ref',
    'definitions',
    'dependencies',
    'anyOf',
    'oneOf',
    'not',
    'const',
    'uniqueItems',
    'nullable',
    'exclusiveMinimum',
  ]) {
    assert.not.ok(keyword in node, `${place}: ${keyword}`);
  }
  assert.not.ok(node.properties !== undefined && node.additionalProperties !== undefined, `${place}: both`);
  assert.not.type(node.additionalProperties, 'boolean', place);
  if (node.type === 'array') assert.ok(node.items, `${place}: items`);
  for (const name of node.required ?? []) assert.ok(node.properties?.[name], `${place}.${name}`);
  if (node['x-kubernetes-list-type'] === 'map') {
    for (const key of node['x-kubernetes-list-map-keys'] as string[])
      assert.ok(node.items?.required?.includes(key), place);
  }
  if ('default' in node) assert.ok((node.enum as unknown[]).includes(node.default), place);
  for (const [name, each] of Object.entries(node.properties ?? {})) checkStructure(`${place}.${name}`, each);
  if (node.items) checkStructure(`${place}[]`, node.items);
  if (typeof node.additionalProperties === 'object') checkStructure(`${place}{}`, node.additionalProperties);
}

function walk(node: unknown, visit: (node: Schema) => void): void {
  if (typeof node !== 'object' || node === null) return;
  if (!Array.isArray(node)) visit(node as Schema);
  for (const each of Object.values(node)) walk(each, visit);
}
