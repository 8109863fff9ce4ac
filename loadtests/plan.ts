// What each scenario does, as numbers. k6 runs it, the runner prints it and the report is drawn by it: one table for all.
// Nothing here may use Node or k6.

/** A part of a run with one rate, judged by itself. */
export interface Phase {
  readonly name: string;
  /** Requests a second of each side, from its first moment on. */
  readonly rate: number;
  readonly seconds: number;
  /** Least share of its requests that must be answered within the SLO; absent where nothing is asked. */
  readonly share?: number;
}

/** Where requests go. A comparison has two, of which the first is judged. */
export interface Side {
  readonly name: string;
  readonly url: string;
  readonly host?: string;
}

/** Everything that a run is made of. */
export interface Plan {
  readonly scenario: ScenarioName;
  readonly sides: readonly Side[];
  readonly phases: readonly Phase[];
  readonly sloMs: number;
  readonly timeoutMs: number;
  readonly body: string;
  /** No request may fail, late as it may be. */
  readonly nothingFails: boolean;
}

/** What a user chooses. Times in seconds, rates a second. */
export interface PlanSettings {
  readonly sides: readonly Side[];
  readonly rate?: number;
  readonly durationSeconds?: number;
  readonly sloMs: number;
  readonly quantile: number;
  readonly timeoutMs?: number;
  readonly body: string;
}

interface Scenario {
  readonly tells: string;
  readonly rate: number;
  readonly durationSeconds: number;
  readonly timeoutMs?: number;
  readonly nothingFails?: boolean;
  /** @param quantile the SLO's own */
  readonly phases: (rate: number, seconds: number, quantile: number) => Phase[];
}

/** A share below the SLO's, where replicas have to start before it can be kept. */
const whileStarting = 0.95;

const scenarios = {
  steady: {
    tells: 'one rate all the time',
    rate: 40,
    durationSeconds: 60,
    phases: (rate, seconds, quantile) => [
      { name: 'warm-up', rate, seconds: Math.min(10, seconds / 4) },
      { name: 'steady', rate, seconds: seconds - Math.min(10, seconds / 4), share: quantile },
    ],
  },
  step: {
    tells: 'the rate, then five times as much for good',
    rate: 40,
    durationSeconds: 180,
    phases: (rate, seconds, quantile) => [
      { name: 'before', rate, seconds: seconds / 6, share: quantile },
      { name: 'step', rate: 5 * rate, seconds: seconds / 3, share: whileStarting },
      { name: 'after', rate: 5 * rate, seconds: seconds / 2, share: quantile },
    ],
  },
  spike: {
    tells: 'the rate, with ten times as much for a twelfth of the time',
    rate: 20,
    durationSeconds: 120,
    phases: (rate, seconds, quantile) => [
      { name: 'before', rate, seconds: seconds / 4, share: quantile },
      { name: 'spike', rate: 10 * rate, seconds: seconds / 12 },
      { name: 'recovery', rate, seconds: seconds / 4 },
      { name: 'after', rate, seconds: (5 * seconds) / 12, share: quantile },
    ],
  },
  'scale-from-zero': {
    tells: 'a service without pods gets the rate at once; nothing may be lost',
    rate: 10,
    durationSeconds: 60,
    timeoutMs: 60_000,
    nothingFails: true,
    phases: (rate, seconds, quantile) => [
      { name: 'cold', rate, seconds: seconds / 2 },
      { name: 'warm', rate, seconds: seconds / 2, share: quantile },
    ],
  },
  canary: {
    tells: 'one rate while a rollout goes on; nothing may fail',
    rate: 40,
    durationSeconds: 180,
    nothingFails: true,
    phases: (rate, seconds, quantile) => [{ name: 'rollout', rate, seconds, share: Math.min(quantile, whileStarting) }],
  },
  compare: {
    tells: 'a step with Paceline and without it, side by side in one run',
    rate: 20,
    durationSeconds: 120,
    phases: (rate, seconds, quantile) => [
      { name: 'before', rate, seconds: seconds / 6, share: quantile },
      { name: 'step', rate: 5 * rate, seconds: seconds / 2, share: whileStarting },
      { name: 'after', rate: 5 * rate, seconds: seconds / 3, share: quantile },
    ],
  },
} as const satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof scenarios;
export const scenarioNames = Object.keys(scenarios) as ScenarioName[];

/** One sentence about a scenario, with what it does where nothing is said. */
export function describeScenario(name: ScenarioName): string {
  const { tells, rate, durationSeconds } = scenarios[name];
  return `${tells} (${rate}/s, ${durationSeconds} s)`;
}

/** The run that these settings ask for. */
export function planOf(name: ScenarioName, settings: PlanSettings): Plan {
  const scenario: Scenario = scenarios[name];
  const rate = settings.rate ?? scenario.rate;
  const seconds = settings.durationSeconds ?? scenario.durationSeconds;
  return {
    scenario: name,
    sides: settings.sides,
    phases: scenario.phases(rate, seconds, settings.quantile),
    sloMs: settings.sloMs,
    timeoutMs: settings.timeoutMs ?? scenario.timeoutMs ?? Math.max(10_000, 10 * settings.sloMs),
    body: settings.body,
    nothingFails: scenario.nothingFails ?? false,
  };
}

/** The phase in which a request is sent. */
export function phaseAt(phases: readonly Phase[], seconds: number): Phase {
  let end = 0;
  for (const phase of phases) {
    end += phase.seconds;
    if (seconds < end) return phase;
  }
  return phases[phases.length - 1] as Phase;
}

/** What ends a run with a failure: k6's name of a series, and its condition. */
export function thresholdsOf(plan: Plan): Record<string, string[]> {
  const thresholds: Record<string, string[]> = {};
  // The other side of a comparison is only measured.
  const judgedSide = plan.sides[0]?.name;
  for (const { name, share } of plan.phases) {
    const series = `within_slo{side:${judgedSide},phase:${name}}`;
    // Every phase is a series of the summary; what is asked of none is always true.
    thresholds[series] = [`rate>=${share ?? 0}`];
  }
  if (plan.nothingFails) thresholds[`failed{side:${judgedSide}}`] = ['rate==0'];
  // What k6 itself could not send says nothing about the service.
  const requests = plan.phases.reduce((sum, { rate, seconds }) => sum + rate * seconds, 0);
  thresholds.dropped_iterations = [`count<=${Math.ceil(requests * 0.01)}`];
  return thresholds;
}

/** k6's options: an arrival-rate executor for each side, which sends whether or not answers come. */
export function optionsOf(plan: Plan) {
  const stages = plan.phases.flatMap(({ rate, seconds }) => [
    { target: rate, duration: '0s' },
    { target: rate, duration: `${Math.round(seconds * 1000)}ms` },
  ]);
  const most = Math.max(...plan.phases.map(({ rate }) => rate));
  const players = (ms: number) => Math.ceil((most * ms) / 1000) + 10;
  const scenario = (side: Side) => ({
    executor: 'ramping-arrival-rate' as const,
    exec: 'ask',
    env: { SIDE: side.name },
    startRate: plan.phases[0]?.rate ?? 1,
    timeUnit: '1s',
    stages,
    // A player is busy until its answer comes: enough of them for answers that are four times too late.
    preAllocatedVUs: players(Math.min(4 * plan.sloMs, plan.timeoutMs)),
    maxVUs: Math.min(4000, players(plan.timeoutMs)),
    gracefulStop: `${plan.timeoutMs}ms`,
  });
  return {
    scenarios: Object.fromEntries(plan.sides.map((side) => [side.name, scenario(side)])),
    thresholds: thresholdsOf(plan),
    systemTags: ['scenario' as const],
    discardResponseBodies: false,
    noConnectionReuse: false,
    insecureSkipTLSVerify: false,
    summaryTrendStats: ['count', 'avg', 'p(50)', 'p(95)', 'p(99)', 'max'],
  };
}
