import { existsSync, readFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { argument, showDefaults } from '../src/cli/arguments.ts';
import { nearest } from '../src/policy/nearest.ts';
import { parseRate, type Rate } from '../src/policy/rates.ts';
import { parseDuration, parsePercentile, parseWhole, UnitError } from '../src/policy/units.ts';
import { describeScenario, type Plan, planOf, type ScenarioName, scenarioNames } from './plan.ts';

/** Whose replicas are counted during a run. */
export interface Watched {
  readonly side: string;
  readonly namespace: string;
  /** Name of the InferenceService or Knative Service. */
  readonly service: string;
}

/** What the command line asks for. */
export interface LoadSettings {
  readonly plan: Plan;
  readonly out: string;
  readonly k6?: string;
  readonly kubeconfig?: string;
  readonly watched: readonly Watched[];
  readonly price?: Rate;
  readonly quantile: number;
}

export type Asked = { do: 'run' | 'dry-run'; settings: LoadSettings } | { do: 'build-k6' };

const defaultBody = JSON.stringify({ instances: [[6.8, 2.8, 4.8, 1.4]] });

interface Flags {
  target?: string;
  host?: string;
  baseline?: string;
  baselineHost?: string;
  path: string;
  body?: string;
  slo: number;
  percentile: number;
  rate?: number;
  duration?: number;
  timeout?: number;
  out?: string;
  kubeconfig?: string;
  namespace: string;
  service?: string;
  baselineService?: string;
  price?: Rate;
  k6?: string;
  dryRun?: boolean;
  buildK6?: boolean;
}

/**
 * Reads the command line.
 *
 * @param say gets help, and what is wrong with the command line and what would be right
 * @throws {CommanderError} once that was said; its exitCode is 0 after help.
 */
export function readArguments(argv: readonly string[], now: Date, say: (text: string) => void): Asked {
  const command = new Command('npm run loadtest --')
    .description('Drives a served model with k6 and reports goodput, attainment, replicas and cost.')
    .argument('[scenario]', 'what to do; enough of its beginning is enough', completed)
    .option('--target <url>', 'where the service answers, such as http://127.0.0.1:8080', argument(address))
    .option('--host <header>', 'Host header, where the target is an ingress')
    .option('--baseline <url>', 'compare: the same model without Paceline (default: the target)', argument(address))
    .option('--baseline-host <header>', 'compare: its Host header')
    .option('--path <path>', 'path of a request', '/v1/models/model:predict')
    .option('--body <file>', 'a V1 or V2 request in JSON (default: one row of four numbers)')
    .option('--slo <duration>', 'within which an answer is good', argument(parseDuration), 500)
    .option('--percentile <percent>', 'share of requests that must be', argument(parsePercentile), 0.99)
    .option(
      '--rate <requests>',
      'requests a second before any step',
      argument((text) => parseWhole(text, 1, 100_000)),
    )
    .option('--duration <duration>', 'of the whole run', argument(parseDuration))
    .option('--timeout <duration>', 'after which a request has failed', argument(parseDuration))
    .option('--out <folder>', 'where the report goes')
    .option('--kubeconfig <file>', "count the service's replicas too")
    .option('--namespace <name>', 'of the service', 'default')
    .option('--service <name>', 'whose replicas to count (default: from the Host header)')
    .option('--baseline-service <name>', 'compare: the same for the other side')
    .option('--price <rate>', 'of one replica, such as 0.40/h', argument(parseRate))
    .option('--k6 <file>', 'a k6 of version 2 to use')
    .option('--dry-run', 'print what would be done, and do nothing')
    .option('--build-k6', 'build k6 and end')
    .showHelpAfterError('(--help lists what there is)')
    .exitOverride()
    .configureOutput({ writeOut: say, writeErr: say })
    .addHelpText(
      'after',
      `\nScenarios:\n${scenarioNames.map((name) => `  ${name.padEnd(16)} ${describeScenario(name)}`).join('\n')}

The exit status is 0 when every threshold held, 99 when one did not, 2 when the command line is wrong.

  npm run loadtest -- step --target http://GATEWAY --host digits.default.example.com --slo 200ms --kubeconfig ~/.kube/config`,
    );
  showDefaults(command, { slo: '500ms', percentile: '99' });
  command.parse([...argv], { from: 'user' });
  const flags = command.opts<Flags>();
  if (flags.buildK6) return { do: 'build-k6' };
  const [scenario] = command.processedArgs as [ScenarioName | undefined];
  const wrong = (message: string) => command.error(`error: ${message}`, { exitCode: 2 });
  if (!scenario) return wrong(`name a scenario: ${scenarioNames.join(', ')}`);
  if (!flags.target)
    return wrong('say where the service is: --target http://ADDRESS (`npm start` serves a model to try)');
  if (scenario === 'compare' && !flags.baseline && !flags.baselineHost) {
    return wrong(
      'compare needs the same model without Paceline: --baseline URL, or --baseline-host HEADER at the same ingress',
    );
  }
  let body = defaultBody;
  if (flags.body !== undefined) {
    if (!existsSync(flags.body)) return wrong(`there is no file ${flags.body} to send: give --body a JSON request`);
    body = readFileSync(flags.body, 'utf8').trim();
  }
  if (!isRequest(body))
    return wrong(`${flags.body} is neither a V1 request ({"instances": [...]}) nor a V2 one ({"inputs": [...]})`);
  const settings = settingsFrom(scenario, { ...flags, target: flags.target }, body, now);
  if (flags.kubeconfig !== undefined && settings.watched.length < settings.plan.sides.length) {
    return wrong('--kubeconfig counts the replicas of a service: name it with --service (and --baseline-service)');
  }
  return { do: flags.dryRun ? 'dry-run' : 'run', settings };
}

function settingsFrom(
  scenario: ScenarioName,
  flags: Flags & { target: string },
  body: string,
  now: Date,
): LoadSettings {
  const side = (name: string, base: string, host: string | undefined) => ({
    name,
    url: new URL(flags.path, base).href,
    ...(host === undefined ? {} : { host }),
  });
  const paired = scenario === 'compare';
  const sides = [side(paired ? 'paceline' : 'service', flags.target, flags.host)];
  if (paired) sides.push(side('baseline', flags.baseline ?? flags.target, flags.baselineHost));
  const named = [flags.service ?? serviceIn(flags.host), flags.baselineService ?? serviceIn(flags.baselineHost)];
  const watched = sides.flatMap(({ name }, at) => {
    const service = named[at];
    return service === undefined ? [] : [{ side: name, namespace: flags.namespace, service }];
  });
  const stamp = now.toISOString().slice(0, 19).replaceAll(':', '');
  return {
    plan: planOf(scenario, {
      sides,
      ...(flags.rate === undefined ? {} : { rate: flags.rate }),
      ...(flags.duration === undefined ? {} : { durationSeconds: flags.duration / 1000 }),
      ...(flags.timeout === undefined ? {} : { timeoutMs: flags.timeout }),
      sloMs: flags.slo,
      quantile: flags.percentile,
      body,
    }),
    out: flags.out ?? `.cache/loadtests/${scenario}-${stamp}`,
    ...(flags.k6 === undefined ? {} : { k6: flags.k6 }),
    ...(flags.kubeconfig === undefined ? {} : { kubeconfig: flags.kubeconfig }),
    watched,
    ...(flags.price === undefined ? {} : { price: flags.price }),
    quantile: flags.percentile,
  };
}

/** The scenario that this is the beginning of, or by which a mistyped one was meant. */
export function completed(typed: string): ScenarioName {
  const begun = scenarioNames.filter((name) => name.startsWith(typed));
  const exact = scenarioNames.find((name) => name === typed);
  if (exact) return exact;
  if (begun.length === 1) return begun[0] as ScenarioName;
  if (begun.length > 1) throw new InvalidArgumentError(`It could be ${begun.join(' or ')}.`);
  const meant = nearest(typed, scenarioNames);
  throw new InvalidArgumentError(meant ? `Did you mean ${meant}?` : `There are ${scenarioNames.join(', ')}.`);
}

/** KServe and Knative put the service's name first; KServe adds `-predictor` to that of a predictor. */
function serviceIn(host: string | undefined): string | undefined {
  return host?.split('.')[0]?.replace(/-predictor$/, '');
}

function address(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new UnitError(`"${text}" is not an address: write it as http://127.0.0.1:8080`);
}

function isRequest(body: string): boolean {
  try {
    const { instances, inputs } = JSON.parse(body) as { instances?: unknown; inputs?: unknown };
    return Array.isArray(instances) || Array.isArray(inputs);
  } catch {
    return false;
  }
}
