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

const bools = new Set(agentFlags.filter(({ isBool }) => isBool).map(({ name }) => name));
const known = new Set([...agentFlags.map(({ name }) => name), ...companionOptionSpecs.map(({ flag }) => flag)]);

/** Whether a command line that names no command is meant for the agent: an image swap leaves KServe's flags alone. */
export function isAgentFlag(argument: string): boolean {
  return argument.startsWith('--') && known.has(argument.slice(2).split('=', 1)[0] as string);
}

/**
 * Reads a command line as Go's pflag does: `--name value`, `--name=value`, `--bool`. What stands alone is overlooked: KServe
 * itself writes `--logger-tls-skip-verify false`. A flag that is not known is reported and overlooked too, where the
 * agent would end: a newer KServe must not break pods. The companion's own flags are understood beside the agent's.
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
    else if (value !== undefined) flags[name] = value;
    else if (bools.has(name)) flags[name] = 'true';
    else flags[name] = given[++i] ?? '';
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
    flags: Object.fromEntries(
      companionOptionSpecs.flatMap(({ flag }) => (flag in flags ? [[flag, flags[flag] ?? '']] : [])),
    ),
    otherwise,
    warnings: warningsOf(flags, unknown, environment, batchSize),
    unfit:
      flags['enable-puller'] === 'true'
        ? "models are not pulled here (--enable-puller): give multi-model pods KServe's own agent image, or take the companion's annotations off"
        : undefined,
  };
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
  if (flags['log-url']) {
    warnings.push(
      "--log-url: this companion does not log payloads yet: requests are served and nothing is sent. Keep KServe's agent in front of it where logs are needed",
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
