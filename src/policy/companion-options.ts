import { parseDuration, parsePatience, parsePercentile, parseSize, parseWhole, UnitError } from './units.ts';

/** What a companion is told. Times in ms, sizes in bytes. */
export interface CompanionOptions {
  readonly port: number;
  readonly host: string;
  readonly adminPort: number;
  readonly upstream: URL;
  readonly mode: 'act' | 'off';
  readonly sloMs: number;
  readonly sloQuantile: number;
  /** 0 to 1, or -1 for `auto`. */
  readonly patience: number;
  readonly maxBatchSize: number;
  readonly late: 'defer' | 'shed';
  readonly lateTimeoutMs: number;
  readonly maxWaiting: number;
  readonly maxWaitingBytes: number;
  readonly maxInFlight: number;
  readonly trustHeaders: boolean;
  readonly shareAcrossHeaders: readonly string[];
  readonly readinessPath: string;
  readonly bodyTimeoutMs: number;
  readonly drainTimeoutMs: number;
  readonly logLevel: string;
}

/** One option: its flag, its meaning, how it is read and what it is when nobody says. */
export interface OptionSpec {
  readonly key: keyof CompanionOptions;
  readonly flag: string;
  readonly placeholder: string;
  readonly description: string;
  /** What a user would write; undefined where the option is required or follows from another one. */
  readonly fallback?: string;
  readonly required?: boolean;
  readonly parse: (text: string) => unknown;
}

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
  spec('upstream', 'url', 'the model server, such as http://127.0.0.1:8081', undefined, parseUpstream, true),
  spec(
    'slo',
    'duration',
    'latency objective of one request, such as 200ms',
    undefined,
    positiveDuration,
    true,
    'sloMs',
  ),
  spec('port', 'port', 'where requests arrive (HTTP/1.1 and h2c); 0 picks a free one', '9081', port),
  spec('host', 'address', 'address to listen on', '0.0.0.0', (text) => text),
  spec('admin-port', 'port', 'where metrics, health and signals are served', '9082', port),
  spec(
    'slo-percentile',
    'percent',
    'share of requests that must meet the SLO',
    '99',
    parsePercentile,
    false,
    'sloQuantile',
  ),
  spec(
    'patience',
    'share',
    '0 dispatches at once, 1 uses all slack to save model time, auto decides',
    'auto',
    parsePatience,
  ),
  spec('max-batch-size', 'items', 'upper bound of a batch; the useful size is learned', '64', (text) =>
    parseWhole(text, 1, 1024),
  ),
  spec(
    'late',
    'rule',
    'what becomes of requests that cannot meet the SLO: defer or shed',
    'defer',
    oneOf('defer', 'shed'),
  ),
  spec(
    'late-timeout',
    'duration',
    'when a request is answered 504 (default: 5 x SLO)',
    undefined,
    positiveDuration,
    false,
    'lateTimeoutMs',
  ),
  spec('max-waiting', 'requests', 'requests that may wait', '2000', (text) => parseWhole(text, 1, 100_000)),
  spec('max-waiting-bytes', 'size', 'bytes of bodies that may wait', '64MB', (text) => parseSize(text, 65_536)),
  spec('max-in-flight', 'batches', 'upper bound of batches in flight; the useful number is learned', '64', (text) =>
    parseWhole(text, 1, 256),
  ),
  spec('mode', 'mode', 'act, or off: pass everything through untouched', 'act', oneOf('act', 'off')),
  spec(
    'trust-headers',
    'bool',
    'accept hints that raise priority, lengthen deadlines or name tenants',
    'false',
    parseBoolean,
  ),
  spec('share-across-headers', 'names', 'batch across these request headers, comma-separated', '', parseNames),
  spec('readiness-path', 'path', 'what /readyz asks the model', '/v2/health/ready', parsePath),
  spec(
    'body-timeout',
    'duration',
    'how long the body of a request to be batched may take',
    '30s',
    positiveDuration,
    false,
    'bodyTimeoutMs',
  ),
  spec(
    'drain-timeout',
    'duration',
    'how long SIGTERM waits for what was accepted',
    '30s',
    positiveDuration,
    false,
    'drainTimeoutMs',
  ),
  spec(
    'log-level',
    'level',
    'debug, info, warn, error or silent',
    'info',
    oneOf('debug', 'info', 'warn', 'error', 'silent'),
  ),
];

/** The environment variable that stands in for a flag: `--max-waiting` is `PACELINE_MAX_WAITING`. */
export function environmentName(flag: string): string {
  return `PACELINE_${flag.replace(/-/g, '_').toUpperCase()}`;
}

/**
 * Reads options from flags, then the environment, then the defaults.
 *
 * @param flags by flag name without dashes, such as `{ 'max-waiting': '100' }`
 * @throws {OptionsError} naming every option that is missing or wrong, and what would be right.
 */
export function resolveCompanionOptions(
  flags: Readonly<Record<string, string | undefined>>,
  environment: Readonly<Record<string, string | undefined>>,
): CompanionOptions {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const each of companionOptionSpecs) {
    const name = environmentName(each.flag);
    const text = flags[each.flag] ?? (environment[name] || undefined) ?? each.fallback;
    if (text === undefined) {
      if (each.required) problems.push(`--${each.flag} (or ${name}) is required: ${each.description}`);
      continue;
    }
    try {
      values[each.key] = each.parse(text);
    } catch (error) {
      if (!(error instanceof UnitError)) throw error;
      problems.push(`--${each.flag} (or ${name}): ${error.message}`);
    }
  }
  if (problems.length === 0) problems.push(...checkTogether(values));
  if (problems.length > 0) throw new OptionsError(problems);
  return { ...values, lateTimeoutMs: values.lateTimeoutMs ?? 5 * (values.sloMs as number) } as CompanionOptions;
}

function checkTogether(values: Record<string, unknown>): string[] {
  const problems: string[] = [];
  if (values.lateTimeoutMs !== undefined && (values.lateTimeoutMs as number) < (values.sloMs as number)) {
    problems.push('--late-timeout is shorter than --slo: no request could be late and still be answered');
  }
  if (values.port !== 0 && values.port === values.adminPort) problems.push('--port and --admin-port are the same');
  return problems;
}

function spec(
  flag: string,
  placeholder: string,
  description: string,
  fallback: string | undefined,
  parse: (text: string) => unknown,
  required = false,
  key = flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()),
): OptionSpec {
  const known = { key: key as keyof CompanionOptions, flag, placeholder, description, required, parse };
  return fallback === undefined ? known : { ...known, fallback };
}

function positiveDuration(text: string): number {
  return parseDuration(text);
}

function port(text: string): number {
  return parseWhole(text, 0, 65_535);
}

function parseBoolean(text: string): boolean {
  return oneOf('true', 'false')(text) === 'true';
}

function oneOf(...words: string[]): (text: string) => string {
  return (text) => {
    if (!words.includes(text)) throw new UnitError(`"${text}" is not one of: ${words.join(', ')}`);
    return text;
  };
}

function parseUpstream(text: string): URL {
  if (!URL.canParse(text)) throw new UnitError(`"${text}" is not a URL such as http://127.0.0.1:8081`);
  const url = new URL(text);
  if (url.protocol !== 'http:')
    throw new UnitError(`"${text}" is not an http:// URL: the companion speaks plain HTTP to the model beside it`);
  if (url.pathname !== '/' || url.search || url.hash || url.username) {
    throw new UnitError(`"${text}" has more than host and port: paths are forwarded as they arrive`);
  }
  return url;
}

function parseNames(text: string): string[] {
  const names = text
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');
  for (const name of names) {
    if (!/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) throw new UnitError(`"${name}" is not a header name`);
  }
  return names;
}

function parsePath(text: string): string {
  if (!/^\/[\x21-\x7e]*$/.test(text)) throw new UnitError(`"${text}" is not a path that begins with /`);
  return text;
}
