import { annotationSpecs } from '../../src/policy/annotations.ts';
import { specFieldOf } from '../../src/policy/inference-policy.ts';
import { crdOf, definitions } from '../manifests/crds.ts';
import { code, codes, table } from './markdown.ts';

interface Schema {
  readonly type: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
  readonly 'x-kubernetes-validations'?: readonly { readonly message: string }[];
}

interface Version {
  readonly schema: { readonly openAPIV3Schema: Schema };
  readonly additionalPrinterColumns: readonly { readonly name: string; readonly jsonPath: string }[];
}

/** The custom resources, from the definitions that are installed. */
export function crdsPage(): string {
  return `# Custom resources

Both are of \`paceline.dev/v1alpha1\`, in the category \`paceline\`: \`kubectl get paceline\` lists them. The definitions are in
\`manifests/crds\`. A field that is not below is pruned by the API server; \`paceline lint\` complains of it.

${definitions.map(section).join('\n\n')}

## Which one holds

Of several InferencePolicies for one service the oldest holds, and the others say so in their condition \`Accepted\`; one that a
user makes comes before one that the controller made. Of several PriceLists the oldest holds.

## Conditions of an InferencePolicy

${table(
  ['type', 'True when'],
  [
    [
      'Accepted',
      'its target exists, nothing in it or in the annotations is wrong, and no other policy comes before it',
    ],
    ['Injected', 'all pods of the target have the companion; `RestartRequired`: some were made before the annotation'],
    ['Planned', 'there is a plan for the current state; its reason is the one of the decision'],
    ['Enforced', 'what was planned is in force; in mode `advise` it never is'],
  ].map(([type = '', meaning = '']) => [code(type), meaning]),
)}
`;
}

function section(definition: (typeof definitions)[number]): string {
  const { kind, plural, scope, shortNames, description } = definition;
  const [version] = (crdOf(definition) as { spec: { versions: Version[] } }).spec.versions;
  const { schema, additionalPrinterColumns } = version as Version;
  const rows = (part: string) => fieldRows(part, schema.openAPIV3Schema.properties?.[part] as Schema);
  const short = shortNames ? `, short ${codes(shortNames)}` : '';
  return `## ${kind}

${capital(description)}. ${scope === 'Cluster' ? 'Cluster-scoped' : 'Namespaced'}: \`kubectl get ${plural}\`${short}.

${table(['field', 'type', 'values', 'meaning'], rows('spec'))}

Status, which the controller alone writes, at most every 10 s and only on change:

${table(['field', 'type', 'values', 'meaning'], rows('status'))}

\`kubectl get\` shows ${codes(additionalPrinterColumns.map(({ name }) => name))}.`;
}

function fieldRows(path: string, schema: Schema): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const needed = schema.required?.includes(name) ? ' (required)' : '';
    const own = `${path}.${name}`;
    const rules = (field.properties && field['x-kubernetes-validations']) ?? [];
    const row = [
      code(own) + needed,
      field.type,
      (path === 'spec' && field.type !== 'array' && acceptedBy(name)) || valuesOf(field),
      [field.description ?? '', ...rules.map(({ message }) => `${capital(message)}.`)].filter(Boolean).join(' '),
    ];
    // Everybody knows what a condition has.
    if (name === 'conditions') return [row];
    const below = field.items?.properties ? fieldRows(`${own}[]`, field.items) : fieldRows(own, field);
    return [row, ...below];
  });
}

/** What the annotation of the same meaning accepts, in words. */
function acceptedBy(field: string): string | undefined {
  return annotationSpecs.find(({ name }) => specFieldOf(name) === field)?.kind.accepts;
}

function valuesOf({ enum: words, minimum, maximum, default: fallback, pattern }: Schema): string {
  const default_ = fallback === undefined ? '' : `; default ${code(String(fallback))}`;
  if (words) return codes(words) + default_;
  if (pattern !== undefined) return code(pattern);
  const high = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (minimum !== undefined && high !== undefined) return `${minimum} to ${high}`;
  return minimum === undefined ? '' : `from ${minimum}`;
}

function capital(text: string): string {
  return `${text[0]?.toUpperCase()}${text.slice(1)}`;
}
