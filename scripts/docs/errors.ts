import { grpcStatusOf } from '../../src/companion/answering/grpc-answer.ts';
import { type ErrorCode, type ErrorSpec, errorSpecs } from '../../src/companion/errors.ts';
import { GrpcStatus } from '../../src/companion/http/grpc-status.ts';
import { documentRefusals } from '../../src/policy/document-refusals.ts';
import { problemSpecs } from '../../src/policy/problem-codes.ts';
import { code, sentence, table } from './markdown.ts';

const statusNames: Record<number, string> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

/** Every code that a companion answers with, from src/companion/errors.ts. */
export function errorsPage(): string {
  const specs = Object.entries(errorSpecs) as [ErrorCode, ErrorSpec][];
  const statuses = [...new Set(specs.map(([, { status }]) => status))].sort((one, other) => one - other);
  return `# Errors

What the companion itself answers has this body, with \`content-type: application/json\`:

\`\`\`json
${JSON.stringify({ error: errorSpecs.PL_QUEUE_FULL.message, code: 'PL_QUEUE_FULL' })}
\`\`\`

\`code\` never changes its meaning; \`error\` is for people and may say more than the table, such as where a body breaks.
Whatever the model answers, errors too, reaches the caller as it is: a body without a \`PL_\` code is the model's. The
metric \`paceline_requests_total\` counts them by \`reason\`: the code, or the kernel's own [reason](reasons.md) where the kernel
refused. What is not HTTP, or has too many headers, is answered but not counted.

Callers of gRPC are told a status of gRPC, and the text with its code in \`grpc-message\`:

${table(['status of gRPC', 'codes'], grpcRows(specs))}

${statuses.map((status) => section(status, specs)).join('\n\n')}

## In the log and at the start

${table(
  ['code', 'meaning', 'what to do'],
  [
    [
      'PL_CONFIG_VALUE',
      'An option is missing or wrong. The command ends with status 2.',
      'The message names it and what would be right.',
    ],
    [
      'PL_CONFIG_UNKNOWN',
      'A variable begins with `PACELINE_` and is no option; it is ignored.',
      'Correct its name: the line says which one was probably meant.',
    ],
    [
      'PL_AGENT',
      "The companion stands in for KServe's agent and does something else than that would, or should be set up otherwise.",
      'The line says what.',
    ],
    [
      'PL_LOG_SINK',
      'A payload did not reach the sink that `--log-url` names, or its certificates cannot be read. Requests are served all the same; `paceline_payload_events_total` counts by `result`.',
      '`queue-full`, `bytes-full`: a faster sink, more `--log-workers`, or more room. `refused`: the status that the sink answers. `untrusted`: `--log-ca-file`. `unreachable`, `reset`, `timeout`: the sink itself. `drained`: the drain was too short.',
    ],
    [
      'PL_RECORD',
      'The file that `--record` names cannot be written: nothing is recorded any more. Requests are served all the same.',
      'Name a file on a volume that can be written and has room.',
    ],
    [
      'PL_RECORDING',
      'A file that was given to `paceline replay` or `paceline simulate` is no recording, or one of another version. The command ends with status 2.',
      'Give a file that `--record` wrote.',
    ],
    [
      'PL_REPLAY_BODY',
      'The body that was given to `paceline replay` is no JSON object. The command ends with status 2.',
      'Give a body that the model takes, such as the one of a `curl` line that works.',
    ],
    [
      'PL_TRACE_EXPORT',
      'Spans cannot be exported, because the exporter cannot be loaded. Requests are served all the same.',
      'Install the package whole: `dist/chunks` holds it.',
    ],
    [
      'PL_READINESS_PROBE',
      "The model's readiness probe asks for something that cannot be done from another container.",
      'The line says what is asked instead. Give the model an httpGet or tcpSocket probe with a number for a port.',
    ],
    ['PL_LISTEN', 'A port is taken or may not be used.', 'Choose another `--port` or `--admin-port`.'],
    [
      'PL_INTERNAL',
      "The companion's own code failed on a request, which got 500 or was broken off, or while it told somebody of one, which went on. All others are served; `paceline_internal_errors_total` counts each failure, the log has at most one line in ten seconds.",
      'Report it with the line: `detail` is the stack.',
    ],
    [
      'PL_KERNEL_TRAP',
      'The decision kernel failed. It was rebuilt and what waited was admitted again; after three failures in a minute requests pass through one by one for a minute.',
      'Report it with the line.',
    ],
  ].map(([name = '', ...rest]) => [code(name), ...rest]),
)}

## In the log of the controller

${table(
  ['code', 'meaning', 'what to do'],
  [
    [
      'PL_ADMISSION_BODY',
      'What was sent to a webhook is no AdmissionReview.',
      'Nothing: only API servers ask webhooks.',
    ],
    ['PL_ADMISSION_PATH', 'No webhook is served at this path.', 'Apply the manifests of the version that runs.'],
    [
      'PL_CERTIFICATE',
      'The certificate of the webhooks could not be looked at. The one before serves on.',
      'The line says why; it is tried again within a minute.',
    ],
    [
      'PL_CERTIFICATE_MISSING',
      'Somebody else keeps the certificate, and it is not there yet. No webhook is served meanwhile.',
      'Look at the Certificate of cert-manager, or set `PACELINE_CERTIFICATES=self`.',
    ],
    [
      'PL_CERTIFICATE_PUBLISH',
      'The webhook configurations could not be told what to trust.',
      'The line says why, such as a missing right; it is tried again.',
    ],
    [
      'PL_POLICY_KEYS',
      'The keys that sign policy documents could not be read or made. New pods decide alone.',
      'The line says why; it is tried again.',
    ],
    [
      'PL_CONTROLLER',
      'A part of the controller failed. The process ends, and another replica takes over.',
      'Report it with the line.',
    ],
    [
      'PL_POD_LOGGER_PENDING',
      "KServe's webhook has not added its logger to a pod yet: ours is called again.",
      'Nothing.',
    ],
  ].map(([name = '', ...rest]) => [code(name), ...rest]),
)}

## About services, policies and price lists

What admission, \`paceline lint\` and the conditions of an InferencePolicy say. An error refuses the object; a warning lets it
through.

${table(
  ['code', 'severity', 'meaning', 'what to do'],
  Object.entries(problemSpecs).map(([name, { severity, meaning, help }]) => [code(name), severity, meaning, help]),
)}

## To the controller

What a companion answers to a policy document (\`PUT /policy\` on its admin port) that it does not take. What held before goes
on holding.

${table(
  ['code', 'status', 'meaning', 'what to do'],
  Object.entries(documentRefusals).map(([name, { status, meaning, help }]) => [
    code(name),
    String(status),
    meaning,
    help,
  ]),
)}
`;
}

/** Which codes have which status of gRPC. */
function grpcRows(specs: readonly [ErrorCode, ErrorSpec][]): string[][] {
  const byStatus = new Map<GrpcStatus, string[]>();
  for (const [name] of specs) {
    const status = grpcStatusOf(name);
    byStatus.set(status, [...(byStatus.get(status) ?? []), code(name)]);
  }
  return [...byStatus.entries()]
    .sort(([one], [other]) => one - other)
    .map(([status, codes]) => [`${status} ${upperSnake(GrpcStatus[status])}`, codes.join(', ')]);
}

function upperSnake(name: string): string {
  return name.replace(/(?<=[a-z])[A-Z]/g, '_$&').toUpperCase();
}

function section(status: number, specs: readonly [ErrorCode, ErrorSpec][]): string {
  const own = specs.filter(([, spec]) => spec.status === status);
  const retries = own.some(([, { retryAfter }]) => retryAfter !== undefined);
  const rows = own.map(([name, { message, help, retryAfter }]) => [
    code(name),
    sentence(message),
    sentence(help),
    ...(retries ? [retryAfter === undefined ? '' : `${retryAfter} s`] : []),
  ]);
  const head = ['code', 'meaning', 'what to do', ...(retries ? ['`Retry-After`'] : [])];
  const name = statusNames[status];
  if (name === undefined) throw new Error(`status ${status} has no name for the page`);
  return `## ${status} ${name}\n\n${table(head, rows)}`;
}
