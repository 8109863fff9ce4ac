import { neutralHeaders } from '../../src/companion/http/headers.ts';
import { type AgentFlag, agentFlags } from '../../src/policy/agent-flags.ts';
import { companionOptionSpecs, variableOf } from '../../src/policy/companion-options.ts';
import type { OptionSpec } from '../../src/policy/option-spec.ts';
import { code, codes, sentence, table } from './markdown.ts';

/** Every option of the companion, from src/policy/companion-options.ts, and what one request may say. */
export function configurationPage(): string {
  return `# Configuration

A companion needs two things: where the model is, and what latency it promises.

\`\`\`
paceline companion --upstream http://127.0.0.1:8081 --slo 200ms
\`\`\`

Everything else has a default or is learned. A flag wins over its environment variable, and both win over the default. An
empty variable counts as not set. All that is wrong is said at once, and the command ends with status 2. \`--dry-run\` prints
what flags and variables give, in the form of \`/config\`, and exits.

## Options

${table(['flag', 'variable', 'default', 'values', 'meaning'], companionOptionSpecs.map(rowOf))}

A duration is a number with a unit, such as \`200ms\` or \`1.5s\`; a size such as \`64MB\` or \`64MiB\`. Where a Service is named
\`paceline\`, Kubernetes sets \`PACELINE_PORT=tcp://...\` in every pod of the namespace: such values are not options.

## Per request

A caller can say when it needs an answer and how urgent it is. All of it is optional.

${table(
  ['header', 'V2 parameter', 'meaning', 'without `trust-headers`'],
  [
    [
      '`paceline-timeout-ms`',
      '',
      'The objective of this request instead of the SLO, in ms: a number above 0, up to 3600000. It counts as good when it is answered by then.',
      'may only shorten the SLO',
    ],
    [
      '',
      '`timeout`',
      'In microseconds. The request gets 504 when it has no answer by then, and its objective is no later. 0 says nothing.',
      'may only shorten, and so with it',
    ],
    [
      '`grpc-timeout`',
      '',
      'The deadline of a gRPC call: it gets DEADLINE_EXCEEDED when it has no answer by then, and its objective is no later.',
      'may only shorten, and so with it',
    ],
    [
      '`paceline-priority`',
      '`priority`',
      'A whole number: 1 goes first, 8 last, more counts as 8. 0, or nothing, is 5. The header wins over the parameter.',
      'may only lower: 1 to 4 count as 5',
    ],
    [
      '`paceline-tenant`, else `x-gateway-inference-fairness-id`',
      '',
      'Whose request it is. Tenants of one priority share the model evenly. 1,023 names are told apart, all others are one tenant.',
      'ignored: all are one tenant',
    ],
  ],
)}

Set \`--trust-headers true\` only where a gateway in front of the companion sets or removes these headers. With it, a request
may also ask for more time than the SLO, and more than \`--late-timeout\`: its 504 comes no earlier than its objective. A
value that is none is refused with 400 \`PL_HINT_VALUE\`: see [errors.md](errors.md). A V2 parameter that is not a number is
the model's own business: it keeps such requests in a lane of their own and means nothing to the companion.

## What shares a batch

Requests travel together when they have the same path and query, the same model and version, inputs of the same names, types
and row shapes, the same other fields and parameters, and the same request headers; [protocols.md](protocols.md) has the table.
These headers say nothing about what is asked, so they may differ:

${codes([...neutralHeaders].sort())}.

Any other header keeps requests apart, \`authorization\` and \`cookie\` too: a model could answer by them. Where it does not,
\`--share-across-headers authorization,cookie\` says so; the companion then drops them from batches of more than one request.
\`/signals\` names the header that splits requests most.

## What passes through

Everything but V1 \`:predict\`, V2 \`/infer\` with JSON or binary tensors and \`ModelInfer\` of gRPC: streamed both ways, untouched. So do bodies above 4 MB,
CloudEvents, encoded bodies, bodies of another form than the protocol has, and requests with more items than
\`--max-batch-size\`. A request whose rows differ in form goes to the model alone. \`--mode off\` passes everything through, and so does
\`--mode advise\`, which reports what would have been done: \`paceline_advised_*\` in [metrics.md](metrics.md).

A WebSocket is connected with the model; an offer of h2c (\`Upgrade: h2c\`) is ignored, and the request served over HTTP/1.1.
All other gRPC (\`content-type: application/grpc\` over h2c) passes through to the model over h2c, as one connection for all calls: each
streams both ways for as long as it likes, with headers, trailers, resets and \`grpc-timeout\` as they are. Errors of the companion have
a status of gRPC ([errors.md](errors.md)) and the \`PL_\` code in \`grpc-message\`. A body of HTTP that passes
through may pause for 30 s.

## In a pod

\`paceline agent\`, or the image started with flags and no command, takes the place of KServe's agent: setting \`image\` under
\`agent\` in the ConfigMap \`inferenceservice-config\` is enough. It takes all of the agent's flags and variables, and every
option of this page beside them.

${table(
  ['flags of the agent', 'what becomes of them'],
  [
    [
      '`--port`, `--component-port`',
      'honoured: where requests arrive (9081), and the port of the model on 127.0.0.1 (8080)',
    ],
    [
      '`--enable-batcher`, `--max-batchsize`, `--max-latency`',
      'With an SLO (`PACELINE_SLO`) only the batch size counts. Without one nothing waits on purpose: what waits while the model is busy goes together, at most `--max-batchsize` items (1024 at most); `--max-latency`, at least 1 s, is the objective that reports and the order of service go by; a request fails when Knative gives it up (`REVISION_TIMEOUT_SECONDS`, else 300 s). Without `--enable-batcher` and SLO everything passes through',
    ],
    [
      names('logger'),
      'Payloads are logged to an http(s) sink as by the agent: see [observing.md](observing.md). With a blob store (`s3:`, `gs:`, `abfs:`) the pod is never ready, and its probe says why; what only such a store needs is named in a warning and not used. The names of service and namespace are used in reports too',
    ],
    [
      names('puller'),
      'accepted, but models are not pulled: with `--enable-puller` the pod is never ready, and its probe says why',
    ],
    [names('none'), 'accepted and without meaning, as in the agent'],
  ],
)}

${table(
  ['variables of Knative and KServe', 'what becomes of them'],
  [
    [
      '`SERVING_READINESS_PROBE`',
      'The readiness probe of the model: one, or a list. Empty: always ready. Not set: ready when the model accepts connections, where the agent would end. `periodSeconds: 0` is asked each 50 ms for up to 10 s; a port with a name and `exec` are asked as TCP at the port of the model',
    ],
    ['`QUEUE_SERVING_PORT`', 'queue-proxy is there: `--queue-proxy true`'],
    ['`REVISION_TIMEOUT_SECONDS`', 'the drain ends two seconds earlier (without it after 28 s)'],
    ['`CONTAINER_CONCURRENCY`', 'a warning where batches could never fill'],
    [
      '`SERVING_NAMESPACE`, `SERVING_SERVICE`, `SERVING_REVISION`, `SERVING_LOGGING_LEVEL`',
      'names in reports; level of the log',
    ],
    ['all others', 'accepted and without meaning here'],
  ],
)}

Probes are answered on the port of the requests, over HTTP/1.1 and h2c, on any path, as Knative does: a request from kubelet
(\`User-Agent: kube-probe/...\` or \`K-Kubelet-Probe\`), the activator or the autoscaler with \`K-Network-Probe: queue\` gets 200
\`queue\` when the model is ready and 503 with the reason when it is not; \`K-Network-Probe: probe\` gets its
\`K-Network-Hash\` back. A kubelet's probe without \`K-Network-Probe\` goes to the model. While the companion drains all of them
get 503.

SIGTERM begins the drain: probes fail, what waits goes at once, and requests are served until nobody can ask any more: no
request for \`--drain-quiet\`, or queue-proxy has drained or is gone, or the model is gone; at the latest so long before
\`--drain-timeout\` that the last answers get out. A preStop hook that asks \`/wait-for-drain\` of the admin port waits for
that; on a container that is only restarted it returns after a second. Nothing is written to any file but that of \`--record\`.

With \`--variant-of\` and \`--model-name\` a model answers to the name of its group in paths (\`/v1/models/GROUP\`,
\`/v2/models/GROUP\`) and in \`model_name\`, and replies bear the name that was asked for. The \`model_name\` in a request of more
than 4 MB is forwarded as it is.

A policy document (\`PUT /policy\`, signed by the controller) changes mode, SLO, percentile, patience, batch size and what
becomes of late requests until it expires; then what is written on this page holds again. Why one is refused is in
[errors.md](errors.md).

## The admin port

${table(
  ['page', 'what it shows'],
  [
    ['`/metrics`', 'Prometheus text or OpenMetrics: see [metrics.md](metrics.md)'],
    ['`/healthz`', '200 while the companion runs'],
    [
      '`/readyz`',
      '200 when the model is ready too: its readiness probe, or `--readiness-path`, says so; 503 with a reason otherwise, and while draining',
    ],
    ['`/signals`', 'what the companion has learned: arrivals, latency by batch size, attainment, lanes, what waits'],
    ['`/config`', 'the options in force, with what a policy document has changed'],
    ['`/wait-for-drain`', 'answers when the drain has ended, for preStop hooks'],
    ['`PUT /policy`', 'takes a signed policy document'],
  ],
)}
`;
}

function names(part: AgentFlag['part']): string {
  return codes(agentFlags.filter((flag) => flag.part === part).map(({ name }) => `--${name}`));
}

function rowOf(spec: OptionSpec): string[] {
  const { flag, kind, description, fallback } = spec;
  const otherwise = typeof fallback === 'object' ? fallback.follows : fallback;
  return [
    code(`--${flag}`),
    code(variableOf(spec)),
    otherwise === undefined ? 'required' : otherwise === '' ? 'none' : code(otherwise),
    kind.accepts,
    sentence(description),
  ];
}
