import { neutralHeaders } from '../../src/companion/headers.ts';
import { companionOptionSpecs, type OptionSpec, variableOf } from '../../src/policy/companion-options.ts';
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
and row shapes, the same other fields and parameters, and the same request headers. These headers say nothing about what is
asked, so they may differ:

${codes([...neutralHeaders].sort())}.

Any other header keeps requests apart, \`authorization\` and \`cookie\` too: a model could answer by them. Where it does not,
\`--share-across-headers authorization,cookie\` says so; the companion then drops them from batches of more than one request.
\`/signals\` names the header that splits requests most.

## What passes through

Everything but V1 \`:predict\` and V2 \`/infer\` with JSON: streamed both ways, untouched. So do bodies above 4 MB, CloudEvents,
encoded bodies, V2 bodies with binary tensors, bodies with fields that neither protocol knows, and requests with more items than
\`--max-batch-size\`. A request whose rows differ in form goes to the model alone. \`--mode off\` passes everything through.

A WebSocket is connected with the model; an offer of h2c (\`Upgrade: h2c\`) is ignored, and the request served over HTTP/1.1.
gRPC is not forwarded yet: it is answered with status 12 (UNIMPLEMENTED). A body that passes through may pause for 30 s.

## The admin port

${table(
  ['page', 'what it shows'],
  [
    ['`/metrics`', 'Prometheus text or OpenMetrics: see [metrics.md](metrics.md)'],
    ['`/healthz`', '200 while the companion runs'],
    [
      '`/readyz`',
      '200 when the model is ready too: it is asked at `--readiness-path`; 503 with a reason otherwise, and while draining',
    ],
    ['`/signals`', 'what the companion has learned: arrival rate, latency by batch size, attainment, lanes'],
    ['`/config`', 'the options in force'],
  ],
)}
`;
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
