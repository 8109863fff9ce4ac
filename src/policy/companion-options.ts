import type { CompanionOptions } from './companion-settings.ts';
import { nearest } from './nearest.ts';
import { observingOptionSpecs } from './observing-options.ts';
import * as kinds from './option-kinds.ts';
import type { OptionSpec } from './option-spec.ts';
import { UnitError } from './units.ts';

export type { CompanionMode, CompanionOptions } from './companion-settings.ts';

/** Names and values of environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Every complaint about a companion's options at once. */
export class OptionsError extends Error {
  readonly code = 'PL_CONFIG_VALUE';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** All options of `paceline companion`, in the order of its help. */
export const companionOptionSpecs: readonly OptionSpec[] = [
  {
    key: 'upstream',
    flag: 'upstream',
    kind: kinds.upstream,
    description: 'the model server, such as http://127.0.0.1:8081',
  },
  { key: 'sloMs', flag: 'slo', kind: kinds.duration, description: 'latency objective of one request, such as 200ms' },
  {
    key: 'port',
    flag: 'port',
    kind: kinds.port,
    description: 'where requests arrive (HTTP/1.1 and h2c); 0 picks a free one',
    fallback: '9081',
  },
  { key: 'host', flag: 'host', kind: kinds.address, description: 'address to listen on', fallback: '0.0.0.0' },
  {
    key: 'adminPort',
    flag: 'admin-port',
    kind: kinds.port,
    description: 'where metrics, health and signals are served; 0 picks a free one',
    fallback: '9082',
  },
  {
    key: 'sloQuantile',
    flag: 'slo-percentile',
    kind: kinds.percentile,
    description: 'share of requests that must meet the SLO',
    fallback: '99',
  },
  {
    key: 'patience',
    flag: 'patience',
    kind: kinds.patience,
    description: '0 dispatches at once, 1 uses all slack to save model time, auto decides',
    fallback: 'auto',
  },
  {
    key: 'maxBatchSize',
    flag: 'max-batch-size',
    kind: kinds.whole('items', 1, 1024),
    description: 'upper bound of a batch; the useful size is learned',
    fallback: '64',
  },
  {
    key: 'late',
    flag: 'late',
    kind: kinds.oneOf('rule', 'defer', 'shed'),
    description: 'what becomes of requests that cannot meet the SLO: answered in spare room, or refused at once',
    fallback: 'defer',
  },
  {
    key: 'lateTimeoutMs',
    flag: 'late-timeout',
    kind: kinds.duration,
    description: 'when a request that has no answer yet gets 504',
    fallback: { follows: '5 x SLO' },
  },
  {
    key: 'maxWaiting',
    flag: 'max-waiting',
    kind: kinds.whole('requests', 1, 100_000),
    description: 'requests that may wait; more get 503',
    fallback: '2000',
  },
  {
    key: 'maxWaitingBytes',
    flag: 'max-waiting-bytes',
    kind: kinds.size(65_536),
    description: 'bytes of bodies that may be held; more get 503',
    fallback: '64MB',
  },
  {
    key: 'maxInFlight',
    flag: 'max-in-flight',
    kind: kinds.whole('batches', 1, 256),
    description: 'upper bound of batches at the model; the useful number is learned',
    fallback: '64',
  },
  {
    key: 'grpcMessageMax',
    flag: 'grpc-message-max',
    kind: kinds.size(65_536),
    description:
      'largest gRPC message that is made of several: what servers of gRPC take unless they are told to take more (KServe takes 8MiB)',
    fallback: '4MiB',
  },
  {
    key: 'mode',
    flag: 'mode',
    kind: kinds.oneOf('mode', 'act', 'advise', 'off'),
    description:
      'act on decisions; advise passes everything through and reports what it would have decided; off only passes through',
    fallback: 'act',
  },
  {
    key: 'trustHeaders',
    flag: 'trust-headers',
    kind: kinds.yesOrNo,
    description: 'accept hints that raise priority, lengthen deadlines or name tenants',
    fallback: 'false',
  },
  {
    key: 'shareAcrossHeaders',
    flag: 'share-across-headers',
    kind: kinds.headerNames,
    description: 'batch across these request headers, such as authorization,cookie',
    fallback: '',
  },
  {
    key: 'readinessPath',
    flag: 'readiness-path',
    kind: kinds.path,
    description: 'what the model is asked for its readiness where no readiness probe is given',
    fallback: '/v2/health/ready',
  },
  {
    key: 'readinessProbe',
    flag: 'readiness-probe',
    variable: 'SERVING_READINESS_PROBE',
    mayBeEmpty: true,
    kind: kinds.readinessProbe,
    description:
      "the model's own readiness probe, which this companion's readiness follows; empty: the model counts as ready",
    fallback: { follows: 'readiness-path' },
  },
  {
    key: 'queueProxy',
    flag: 'queue-proxy',
    kind: kinds.yesOrNo,
    description:
      'a Knative queue-proxy is in the same pod: the drain ends with its own, and /signals shows what waits in it',
    fallback: 'false',
  },
  {
    key: 'bodyTimeoutMs',
    flag: 'body-timeout',
    kind: kinds.duration,
    description: 'how long the body of a request to be batched may take',
    fallback: '30s',
  },
  {
    key: 'drainTimeoutMs',
    flag: 'drain-timeout',
    kind: kinds.duration,
    description: 'how long SIGTERM waits for what was accepted',
    fallback: '30s',
  },
  {
    key: 'drainQuietMs',
    flag: 'drain-quiet',
    kind: kinds.wait,
    description: 'SIGTERM goes on serving until nobody has asked for this long; 0s closes at once',
    fallback: '1s',
  },
  {
    key: 'isvc',
    flag: 'isvc',
    kind: kinds.text('name', 'NAMESPACE/NAME'),
    description: 'the service that this companion belongs to, for reports',
    fallback: '',
  },
  {
    key: 'isvcUid',
    flag: 'isvc-uid',
    kind: kinds.text('uid', 'a UID'),
    description: 'UID of that service: policy documents for another one are refused',
    fallback: '',
  },
  {
    key: 'revision',
    flag: 'revision',
    kind: kinds.text('name', 'a name'),
    description: 'revision of that service: policy documents for another one are refused',
    fallback: '',
  },
  {
    key: 'policyKeys',
    flag: 'policy-keys',
    kind: kinds.publicKeys,
    description: 'whose signature a policy document must bear; without a key none is accepted',
    fallback: '',
  },
  {
    key: 'variantOf',
    flag: 'variant-of',
    kind: kinds.modelName,
    description: 'name by which callers ask for this model instead of its own, in paths and in `model_name`',
    fallback: '',
  },
  {
    key: 'modelName',
    flag: 'model-name',
    kind: kinds.modelName,
    description: "this model's own name at its server; needed with --variant-of",
    fallback: '',
  },
  {
    key: 'logLevel',
    flag: 'log-level',
    kind: kinds.oneOf('level', 'debug', 'info', 'warn', 'error', 'silent'),
    description: 'least severe log lines that are written',
    fallback: 'info',
  },
  ...observingOptionSpecs,
];

const prefix = 'PACELINE_';

/** The environment variable that stands in for a flag: `--max-waiting` is `PACELINE_MAX_WAITING`. */
export function environmentName(flag: string): string {
  return prefix + flag.replace(/-/g, '_').toUpperCase();
}

/** The variable that stands in for an option's flag. */
export function variableOf(spec: OptionSpec): string {
  return spec.variable ?? environmentName(spec.flag);
}

/**
 * Variables that look like options but are none, with the option that was probably meant: a mistyped variable would
 * otherwise be ignored in silence.
 */
export function unknownVariables(environment: Environment): { name: string; meant: string | undefined }[] {
  const known = new Set(companionOptionSpecs.map(variableOf));
  // A name that its flag suggests is the nearest, also where the variable is called otherwise.
  const suggested = new Map(companionOptionSpecs.map((spec) => [environmentName(spec.flag), variableOf(spec)]));
  return Object.entries(environment)
    .filter(([name, value]) => name.startsWith(prefix) && !known.has(name) && !isServiceLink(name, value))
    .map(([name]) => {
      const near = nearest(
        name.slice(prefix.length),
        [...suggested.keys()].map((each) => each.slice(prefix.length)),
      );
      return { name, meant: near === undefined ? undefined : suggested.get(prefix + near) };
    });
}

/**
 * Reads options from flags, then the environment, then the defaults.
 *
 * @param flags by flag name without dashes, such as `{ 'max-waiting': '100' }`
 * @throws {OptionsError} naming every option that is missing or wrong, and what would be right.
 */
export function resolveCompanionOptions(flags: Environment, environment: Environment): CompanionOptions {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const spec of companionOptionSpecs) {
    const { key, flag, kind, description, fallback, mayBeEmpty } = spec;
    const name = variableOf(spec);
    const given = mayBeEmpty ? environment[name] : environment[name] || undefined;
    const variable = isServiceLink(name, given) ? undefined : given;
    const text = flags[flag] ?? variable ?? fallback;
    const source = flags[flag] === undefined ? name : `--${flag}`;
    if (text === undefined) problems.push(`--${flag} (or ${name}) is required: ${description}`);
    if (typeof text !== 'string') continue;
    try {
      values[key] = kind.parse(text);
    } catch (error) {
      if (!(error instanceof UnitError)) throw error;
      problems.push(`${source}: ${error.message}`);
    }
  }
  if (problems.length === 0) problems.push(...checkTogether(values));
  if (problems.length > 0) throw new OptionsError(problems);
  return {
    readinessProbe: null,
    ...values,
    lateTimeoutMs: values.lateTimeoutMs ?? 5 * (values.sloMs as number),
    logSource: values.logSource || `http://localhost:${values.port}/`,
  } as CompanionOptions;
}

/**
 * Whether Kubernetes set this variable: where a Service is named `paceline`, each pod of its namespace gets
 * `PACELINE_PORT=tcp://...`, which is not our `--port`.
 */
export function isServiceLink(name: string, value: string | undefined): boolean {
  return (
    /_SERVICE_(?:HOST|PORT)(?:_|$)|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_|$)/.test(name) ||
    (name.endsWith('_PORT') && /^(?:tcp|udp|sctp):\/\//.test(value ?? ''))
  );
}

function checkTogether(values: Record<string, unknown>): string[] {
  const problems: string[] = [];
  if (values.lateTimeoutMs !== undefined && (values.lateTimeoutMs as number) < (values.sloMs as number)) {
    problems.push(
      '--late-timeout is shorter than --slo, so that no request could be late and still be answered: make it longer',
    );
  }
  if ((values.variantOf === '') !== (values.modelName === '')) {
    problems.push('--variant-of and --model-name go together: give both, the name that callers use and the own one');
  }
  if (values.port !== 0 && values.port === values.adminPort) {
    problems.push('--port and --admin-port are the same: give one of them another number, or 0 for a free one');
  }
  return problems;
}

/** The options as they are shown to people, on /config and by `--dry-run`, in the words of users, without secrets. */
export function shownOptions(options: CompanionOptions): object {
  const { upstream, sloQuantile, patience, logUrl, traceEndpoint, accessLog, ...rest } = options;
  return {
    ...rest,
    upstream: upstream.origin,
    logUrl: logUrl && withoutSecrets(logUrl),
    traceEndpoint: traceEndpoint && withoutSecrets(traceEndpoint),
    accessLog: accessLog < 0 ? 'off' : accessLog,
    sloPercentile: Number((sloQuantile * 100).toPrecision(12)),
    patience: patience < 0 ? 'auto' : patience,
  };
}

/** An address without the name, password and query that may be in it. */
function withoutSecrets({ origin, pathname, username, search }: URL): string {
  return `${username ? origin.replace('://', '://...@') : origin}${pathname}${search ? '?...' : ''}`;
}
