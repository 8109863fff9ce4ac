import { controllerOptionSpecs } from '../../src/controller/controller-options.ts';
import { environmentName } from '../../src/policy/companion-options.ts';
import { code, sentence, table } from './markdown.ts';

/** Every option of the controller, from src/controller/controller-options.ts, and what its webhooks do to a pod. */
export function controllerPage(): string {
  return `# The controller

\`paceline controller\` serves the webhooks of a cluster and decides for its annotated services. Every replica serves webhooks,
one of them leads. [On a cluster](cluster.md) says how it is installed; its settings are the variables in the ConfigMap
\`paceline-config\`. \`--dry-run\` prints what flags and variables give.

${table(
  ['flag', 'variable', 'default', 'values', 'meaning'],
  controllerOptionSpecs.map(({ flag, kind, description, fallback, also }) => [
    code(`--${flag}`),
    code(environmentName(flag)),
    flag === 'identity'
      ? '`POD_NAME`, else the host name'
      : also
        ? `${code(also)}, else ${code(fallback)}`
        : fallback
          ? code(fallback)
          : 'none',
    kind.accepts,
    sentence(description),
  ]),
)}

## What happens to a pod

A pod gets a companion when it is made, if its annotations have \`paceline.dev/slo\`, and \`paceline.dev/mode\` is not \`off\`.

${table(
  ['the pod has', 'what is done'],
  [
    [
      "KServe's agent, batching",
      'The companion takes its place: name, port 9081 and probe stay. Nothing of its image, environment or credentials does.',
    ],
    [
      "KServe's agent, logging",
      'The companion stands behind it on port 9085, so that logs hold what callers sent. The agent batches no more.',
    ],
    ["KServe's agent, loading models (a puller)", 'Nothing.'],
    [
      "Knative's queue-proxy and no agent",
      'The companion stands between the two on port 9085. `USER_PORT` and `SERVING_READINESS_PROBE` are rewritten together.',
    ],
    [
      'no agent, no queue-proxy, `predictor.batcher` in its InferenceService',
      "The companion is added under the name `agent`, which KServe's webhook heeds.",
    ],
    ['no agent, no queue-proxy, no batcher', 'Nothing: the Service points past it. A warning says so.'],
  ],
)}

Port 9086 is the companion's admin port. In Standard mode the model's container waits for the companion's drain before it is told
to stop, unless it has a \`lifecycle\` of its own. Do not put \`paceline.dev/slo\` into KServe's \`serviceAnnotationDisallowedList\`: a pod
that does not carry it gets no companion.

## What happens to an InferenceService

An annotated one without a batcher gets \`predictor.batcher: {maxBatchSize, maxLatency: 1}\`: in Standard mode only that field makes
KServe's Service point at the companion, and without our webhook KServe's own agent then sends nearly at once. The annotation
\`paceline.dev/batcher\` says that it is ours; it goes with \`paceline.dev/slo\`, unless somebody has changed it meanwhile. Under
\`paceline.dev/rollout: auto\` an update that makes a revision sets \`canaryTrafficPercent\` to the first step.

## Certificates

The controller makes an authority and a serving certificate, keeps both in the Secret \`paceline-webhook-cert\`, and writes the
authority into its two webhook configurations. A new authority is published a day before it signs, and an old one stays a day after
it signed last. With \`PACELINE_CERTIFICATES=external\` somebody else, such as cert-manager, keeps the Secret and the configurations;
mounted files (\`--tls-cert-file\`, \`--tls-key-file\`) come before both.
`;
}
