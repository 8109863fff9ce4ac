import { stringify } from 'yaml';
import { z } from 'zod';
import { group, version } from '../../src/policy/crd-schema.ts';
import { inferencePolicySchema } from '../../src/policy/inference-policy.ts';
import { priceListSchema } from '../../src/policy/price-list.ts';

interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'date';
  readonly jsonPath: string;
  readonly description?: string;
  /** Above 0: shown by `-o wide` only. */
  readonly priority?: number;
}

interface Definition {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames?: readonly string[];
  readonly scope: 'Namespaced' | 'Cluster';
  readonly description: string;
  readonly schema: z.ZodObject;
  readonly columns: readonly Column[];
}

/** The custom resources, from the schemas that the program reads them by. */
export const definitions: readonly Definition[] = [
  {
    kind: 'InferencePolicy',
    plural: 'inferencepolicies',
    singular: 'inferencepolicy',
    shortNames: ['plp'],
    scope: 'Namespaced',
    description: 'what one service is promised and allowed, over its annotations; and what was decided for it',
    schema: inferencePolicySchema,
    columns: [
      { name: 'Target', type: 'string', jsonPath: '.spec.targetRef.name' },
      { name: 'Mode', type: 'string', jsonPath: '.status.mode' },
      { name: 'SLO', type: 'string', jsonPath: '.status.slo' },
      {
        name: 'Attainment',
        type: 'number',
        jsonPath: '.status.observed.attainment',
        description: 'share of the requests at companions that met the SLO',
      },
      { name: 'Replicas', type: 'integer', jsonPath: '.status.plan.replicas', description: 'planned' },
      { name: 'Batch', type: 'integer', jsonPath: '.status.plan.maxBatchSize', description: 'planned upper bound' },
      { name: 'Reason', type: 'string', jsonPath: '.status.plan.reason' },
      { name: 'Enforced', type: 'string', jsonPath: '.status.conditions[?(@.type=="Enforced")].status' },
      { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
      { name: 'Cost', type: 'number', jsonPath: '.status.observed.costPerHour', description: 'an hour', priority: 1 },
      {
        name: 'Message',
        type: 'string',
        jsonPath: '.status.conditions[?(@.type=="Enforced")].message',
        priority: 1,
      },
    ],
  },
  {
    kind: 'PriceList',
    plural: 'pricelists',
    singular: 'pricelist',
    scope: 'Cluster',
    description: 'what replicas cost, by node',
    schema: priceListSchema,
    columns: [
      { name: 'Currency', type: 'string', jsonPath: '.spec.currency' },
      { name: 'Billing', type: 'string', jsonPath: '.spec.billing' },
      { name: 'Accepted', type: 'string', jsonPath: '.status.conditions[?(@.type=="Accepted")].status' },
      { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    ],
  },
];

const note = '# Written by `npm run manifests` from src/policy: change it there.\n';

/** The definitions' files, by their place in the repository. */
export const crdFiles: Readonly<Record<string, () => string>> = Object.fromEntries([
  ...definitions.map((each) => [`manifests/crds/${each.plural}.yaml`, () => crdText(each)]),
  [
    'manifests/crds/kustomization.yaml',
    () =>
      note +
      stringify({
        apiVersion: 'kustomize.config.k8s.io/v1beta1',
        kind: 'Kustomization',
        resources: definitions.map(({ plural }) => `${plural}.yaml`),
      }),
  ],
]);

function crdText(definition: Definition): string {
  return note + stringify(crdOf(definition), { lineWidth: 120, aliasDuplicateObjects: false });
}

/** One CustomResourceDefinition. */
export function crdOf({ kind, plural, singular, shortNames, scope, description, schema, columns }: Definition): object {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${group}`,
      labels: { 'app.kubernetes.io/name': 'paceline', 'app.kubernetes.io/part-of': 'paceline' },
    },
    spec: {
      group,
      scope,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular,
        ...(shortNames && { shortNames }),
        categories: ['paceline'],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema: { description: `${kind}: ${description}.`, ...schemaOf(schema) } },
        },
      ],
    },
  };
}

type Schema = Record<string, unknown>;

function schemaOf(schema: z.ZodObject): Schema {
  const {
    apiVersion: _,
    kind: __,
    metadata: ___,
    ...own
  } = (
    structural(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' }) as Schema) as {
      properties: Record<string, Schema>;
    }
  ).properties;
  return {
    type: 'object',
    required: ['spec'],
    properties: { apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: { type: 'object' }, ...own },
  };
}

/**
 * The dialect that the API server takes (structural schemas): a map has `additionalProperties` or `properties`, never
 * both, and unknown fields are pruned anyway. Keys are in one order, so that the text is stable.
 */
function structural(node: Schema): Schema {
  const { type, description, properties, items, additionalProperties, required, pattern, ...rest } = node;
  const isMap = properties === undefined && typeof additionalProperties === 'object';
  return {
    ...(description !== undefined && { description: capital(description as string) }),
    type,
    ...(required !== undefined && { required }),
    ...(typeof pattern === 'string' && { pattern: pattern.replaceAll('\\/', '/') }),
    ...rest,
    ...(type === 'integer' && { format: 'int64' }),
    ...(properties !== undefined && {
      properties: Object.fromEntries(
        Object.entries(properties as Record<string, Schema>).map(([name, each]) => [name, structural(each)]),
      ),
    }),
    ...(items !== undefined && { items: structural(items as Schema) }),
    ...(isMap && { additionalProperties: structural(additionalProperties as Schema) }),
  };
}

function capital(text: string): string {
  return `${text[0]?.toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`;
}
