import { annotationPrefix, annotationSpecs } from '../../src/policy/annotations.ts';
import { code, sentence, table } from './markdown.ts';

/** Every annotation, from src/policy/annotations.ts. */
export function annotationsPage(): string {
  return `# Annotations

One annotation opts a service in. On an InferenceService it stands in \`metadata.annotations\`:

\`\`\`yaml
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: digits
  annotations:
    paceline.dev/slo: 200ms
\`\`\`

On a plain Knative Service it stands in \`spec.template.metadata.annotations\`, because a Service's own annotations do not
reach its pods.

All values are strings: put numbers, \`true\` and \`false\` in quotes. All keys begin with \`${annotationPrefix}\`.

${table(
  ['key', 'meaning', 'values', 'default'],
  annotationSpecs.map(({ name, description, kind, fallback }) => [
    code(name),
    sentence(description),
    kind.accepts,
    fallback === undefined
      ? 'required to opt in'
      : typeof fallback === 'object'
        ? fallback.follows
        : fallback === ''
          ? 'none'
          : code(fallback),
  ]),
)}

A key that means nothing is ignored, with a warning that names the nearest one. Where any value is wrong the object is refused
at admission; if the webhook was down then, nothing of the policy is used and the InferencePolicy's condition \`Accepted\` says
why. \`paceline lint FILE\` says the same without a cluster: see [errors.md](errors.md) for all it may say.

## When a change takes effect

KServe and Knative copy annotations into the pods' template, so that changing one makes a new revision. To change a setting
without that, write it into an [InferencePolicy](crds.md), which overrides the annotation of the same meaning and reaches running
companions within seconds. Paceline never writes decisions into annotations of a service.

Two settings reach a companion only with a new pod, wherever they are written: \`trust-headers\` and \`share-across-headers\`.

## Money

An amount such as \`0.40/h\`, \`5 USD/day\` or \`300 EUR/month\`; a month has 730 hours. Without a currency it is in that of the
cluster's [PriceList](crds.md); two currencies in one comparison are an error. Without any price, cost is in replica-seconds and a
budget bounds nothing.
`;
}
