import { companionOptionSpecs, type Environment, OptionsError } from './companion-options.ts';

/** One flag of KServe's agent (cmd/agent/main.go), and what becomes of it here. */
export interface AgentFlag {
  readonly name: string;
  /** Given without a value, as Go's flags have it. */
  readonly isBool?: true;
  readonly part: 'serving' | 'batcher' | 'logger' | 'puller' | 'none';
}

/** All flags of KServe's agent, v0.17 to v0.20. */
export const agentFlags: readonly AgentFlag[] = [
  { name: 'port', part: 'serving' },
  { name: 'component-port', part: 'serving' },
  { name: 'enable-batcher', isBool: true, part: 'batcher' },
  { name: 'max-batchsize', part: 'batcher' },
  { name: 'max-latency', part: 'batcher' },
  { name: 'enable-puller', isBool: true, part: 'puller' },
  { name: 'config-dir', part: 'puller' },
  { name: 'model-dir', part: 'puller' },
  ...[
    'log-url',
    'workers',
    'source-uri',
    'log-mode',
    'log-store-path',
    'log-store-format',
    'log-marshaller-url',
    'log-marshaller-port',
    'log-batch-size',
    'log-batch-interval',
    'inference-service',
    'namespace',
    'endpoint',
    'component',
    'metadata-headers',
    'metadata-annotations',
    'logger-ca-cert-file',
  ].map((name) => ({ name, part: 'logger' as const })),
  { name: 'logger-tls-skip-verify', isBool: true, part: 'logger' },
  { name: 'timeout', part: 'none' },
  { name: 'probe-period', part: 'none' },
];

/** What a command line says, flags by name without dashes, and what on it means nothing. */
export interface AgentArguments {
  readonly flags: Readonly<Record<string, string>>;
  readonly unknown: readonly string[];
}

const lists = new Set(['metadata-headers', 'metadata-annotations']);
const loggerFlags = new Set(agentFlags.filter(({ part }) => part === 'logger').map(({ name }) => name));
const bools = new Set(agentFlags.filter(({ isBool }) => isBool).map(({ name }) => name));
const known = new Set([...agentFlags.map(({ name }) => name), ...companionOptionSpecs.map(({ flag }) => flag)]);

/** Whether a command line that names no command is meant for the agent: an image swap leaves KServe's flags alone. */
export function isAgentFlag(argument: string): boolean {
  return argument.startsWith('--') && known.has(argument.slice(2).split('=', 1)[0] as string);
}

/**
 * Reads a command line as Go's pflag does: `--name value`, `--name=value`, `--bool`, but for two things. KServe itself writes
 * `--logger-tls-skip-verify false`, of which pflag makes `true` and a word that stands alone; here it is what was meant. A flag
 * that is not known is reported and overlooked, where the agent would end: a newer KServe must not break pods. The
 * companion's own flags are understood beside the agent's.
 */
export function parseAgentArguments(given: readonly string[]): AgentArguments {
  const flags: Record<string, string> = {};
  const unknown: string[] = [];
  for (let i = 0; i < given.length; i++) {
    const argument = given[i] as string;
    if (argument === '--') break;
    if (!argument.startsWith('-')) continue;
    const [, name = '', value] = /^-+([^=]*)(?:=(.*))?$/s.exec(argument) ?? [];
    if (!argument.startsWith('--') || !known.has(name)) unknown.push(argument);
    else if (bools.has(name)) {
      const next = given[i + 1] ?? '';
      flags[name] = value ?? (/^(?:true|false)$/.test(next) ? next : 'true');
    } else {
      const text = value ?? given[++i] ?? '';
      // What is given twice is a longer list.
      flags[name] = lists.has(name) && flags[name] ? `${flags[name]},${text}` : text;
    }
  }
  return { flags, unknown };
}

/** What a companion is started with in the place of KServe's agent. */
export interface AgentPlan {
  /** The companion's own flags. */
  readonly flags: Readonly<Record<string, string>>;
  /** What holds where neither flags nor variables say anything, by the companion's flags. */
  readonly otherwise: Readonly<Record<string, string>>;
  /** What will not be as with KServe's agent, or should not stay as it is. */
  readonly warnings: readonly string[];
  /** Why it must not be ready. */
  readonly unfit: string | undefined;
}

/** KServe's and Knative's own default for how long one request may take. */
const revisionTimeoutSeconds = 300;
const batchSizeMax = 1024;
const leastSloMs = 1000;
/** As Knative and KServe's agent: nobody has asked for so long, so nobody will. */
const quiet = '30s';
/** Kubernetes' default time to end. */
const graceSeconds = 30;
/** Where KServe mounts the certificates of a sink. */
const certificatesFolder = '/etc/tls/logger';
/** Flags that say how a blob store is written to. */
const storeFlags = [
  'log-store-path',
  'log-store-format',
  'log-marshaller-url',
  'log-marshaller-port',
  'log-batch-size',
  'log-batch-interval',
];

/**
 * Translates the agent's flags and variables.
 *
 * An SLO (`PACELINE_SLO`) makes it a companion like any other, whose batches have `--max-batchsize` items at most. Without
 * one nobody has promised anything: with `--enable-batcher` what waits while the model is busy is sent together, at most
 * `--max-batchsize` items, and nothing waits on purpose (patience 0); `--max-latency`, at least 1 s, is what a request
 * should take, for reports and the order of service; it fails when Knative would give it up. Without `--enable-batcher`
 * everything passes through.
 *
 * @throws {OptionsError} for values with which KServe's agent ends too.
 */
export function planAgent({ flags, unknown }: AgentArguments, environment: Environment): AgentPlan {
  const problems: string[] = [];
  const number = (name: string, otherwise: number) => {
    const text = flags[name] || String(otherwise);
    const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
    if (value <= 0) problems.push(`--${name}: "${text}" is not a whole number above 0`);
    return value;
  };
  const batches = flags['enable-batcher'] === 'true';
  const componentPort = number('component-port', 8080);
  const batchSize = batches ? Math.min(number('max-batchsize', 32), batchSizeMax) : undefined;
  const latencyMs = batches ? number('max-latency', 5000) : undefined;
  if (flags['log-url']) number('workers', 5);
  const stored = /^(?:s3|gs|abfs)/.exec(flags['log-url'] ?? '')?.[0];
  const logging = flags['log-url'] && !stored ? loggingFlags(flags, problems) : {};
  if (problems.length > 0) throw new OptionsError(problems);

  const promised = flags.slo ?? environment.PACELINE_SLO;
  const knative = (environment.QUEUE_SERVING_PORT ?? '') !== '';
  const seconds = wholeOf(environment.REVISION_TIMEOUT_SECONDS) || revisionTimeoutSeconds;
  const otherwise: Record<string, string> = {
    port: '9081',
    'admin-port': '9086',
    upstream: `http://127.0.0.1:${componentPort}`,
    'drain-quiet': quiet,
    // Two seconds before Kubernetes kills the container: what is left open then is closed in good order.
    'drain-timeout': `${Math.max(1, Math.min(knative ? seconds : graceSeconds, 3600) - 2)}s`,
    'queue-proxy': String(knative),
    revision: environment.SERVING_REVISION ?? '',
    isvc: isvcOf(flags, environment),
    'log-level': levelOf(environment.SERVING_LOGGING_LEVEL),
    ...(batchSize === undefined ? {} : { 'max-batch-size': String(batchSize) }),
    ...(promised ? {} : withoutSlo(latencyMs, seconds)),
  };
  if (environment.SERVING_READINESS_PROBE === undefined) {
    otherwise['readiness-probe'] = JSON.stringify({ tcpSocket: { port: componentPort }, periodSeconds: 10 });
  }
  return {
    flags: {
      ...logging,
      ...Object.fromEntries(
        companionOptionSpecs.flatMap(({ flag }) =>
          flag in flags && !loggerFlags.has(flag) ? [[flag, flags[flag] ?? '']] : [],
        ),
      ),
    },
    otherwise,
    warnings: warningsOf(flags, unknown, environment, batchSize),
    unfit: unfitFor(flags, stored),
  };
}

function unfitFor(flags: AgentArguments['flags'], stored: string | undefined): string | undefined {
  if (flags['enable-puller'] === 'true') {
    return `models are not pulled here (--enable-puller, into ${flags['model-dir'] || '/mnt/models'}): give multi-model pods KServe's own agent image, or take the companion's annotations off`;
  }
  if (stored === undefined) return undefined;
  return `payloads are not written to a blob store here (--log-url ${stored}:...): that takes a client of that store, its credentials and KServe's marshaller. Give the logger an http(s) URL, such as that of an event broker, or give these pods KServe's own agent image`;
}

/**
 * The companion's options of the agent's payload logger. Of an https sink the agent reads certificates from a fixed folder, and
 * goes on without where there are none.
 */
function loggingFlags(flags: AgentArguments['flags'], problems: string[]): Record<string, string> {
  const mode = flags['log-mode'] || 'all';
  if (!['all', 'request', 'response'].includes(mode)) {
    problems.push(`--log-mode: "${mode}" is not one of: all, request, response`);
  }
  const certificates = flags['logger-ca-cert-file'] || 'service-ca.crt';
  const all = {
    'log-url': flags['log-url'],
    'log-mode': mode,
    'log-source': flags['source-uri'],
    'log-workers': flags.workers && String(Math.min(Number(flags.workers), 256)),
    'log-endpoint': flags.endpoint,
    'log-component': flags.component,
    'log-headers': flags['metadata-headers'],
    'log-annotations': flags['metadata-annotations'],
    'log-ca-file': flags['log-url']?.startsWith('https:') ? `${certificatesFolder}/${certificates}` : undefined,
    'log-tls-skip-verify': flags['logger-tls-skip-verify'],
  };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => Boolean(entry[1])));
}

function withoutSlo(latencyMs: number | undefined, seconds: number): Record<string, string> {
  const sloMs = Math.min(Math.max(latencyMs ?? 0, leastSloMs), 3_600_000);
  const timeoutMs = Math.min(Math.max(1000 * seconds, sloMs), 3_600_000);
  return {
    slo: `${sloMs}ms`,
    'late-timeout': `${timeoutMs}ms`,
    patience: '0',
    ...(latencyMs === undefined ? { mode: 'off' } : {}),
  };
}

function warningsOf(
  flags: AgentArguments['flags'],
  unknown: readonly string[],
  environment: Environment,
  batchSize: number | undefined,
): string[] {
  const warnings: string[] = [];
  for (const each of unknown)
    warnings.push(`${each} is no flag of KServe's agent that is known here; it is overlooked`);
  const unused = storeFlags.filter((name) => flags[name]);
  if (flags['log-url']?.startsWith('http') && unused.length > 0) {
    warnings.push(
      `${unused.map((name) => `--${name}`).join(', ')}: of use for a blob store only, not for ${logged(flags)}`,
    );
  }
  if (environment.SERVING_READINESS_PROBE === undefined) {
    warnings.push(
      "SERVING_READINESS_PROBE is not set, with which KServe's agent would end: the model counts as ready when it accepts connections",
    );
  }
  const concurrency = wholeOf(environment.CONTAINER_CONCURRENCY);
  const items = batchSize ?? wholeOf(environment.PACELINE_MAX_BATCH_SIZE);
  if (concurrency > 0 && concurrency < 2 * items) {
    warnings.push(
      `containerConcurrency is ${concurrency}: queue-proxy lets no more requests in, so batches of ${items} never fill. Make it 0, or at least ${2 * items}`,
    );
  }
  return warnings;
}

function logged(flags: AgentArguments['flags']): string {
  return `the http sink that --log-url names (${flags['log-url']?.replace(/\/\/[^/@]*@/, '//...@')})`;
}

function isvcOf(flags: AgentArguments['flags'], environment: Environment): string {
  const namespace = flags.namespace || environment.SERVING_NAMESPACE;
  const name = flags['inference-service'] || environment.SERVING_SERVICE;
  return namespace && name ? `${namespace}/${name}` : '';
}

/** Knative names zap's levels. */
function levelOf(level: string | undefined): string {
  if (level === 'debug' || level === 'warn' || level === 'error') return level;
  return level === 'fatal' || level === 'panic' || level === 'dpanic' ? 'error' : 'info';
}

function wholeOf(text: string | undefined): number {
  return /^\d{1,9}$/.test(text ?? '') ? Number(text) : 0;
}
