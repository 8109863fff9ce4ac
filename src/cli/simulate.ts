import { Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration, parseWhole } from '../policy/units.ts';
import { defaultSettings, PacelinePolicy } from '../simulator/paceline.ts';
import { simulate } from '../simulator/run.ts';
import { poisson, referenceCapacity, referenceModel } from '../simulator/workload.ts';
import { argument, showDefaults } from './arguments.ts';
import { printStep } from './simulate-step.ts';

interface SimulateOptions {
  scenario: 'load' | 'step';
  coldStart: readonly [number, number];
  planEvery: number;
  slo: number;
  load: number[];
  seconds: number;
  noise: number;
  seed: number;
}

/** `paceline simulate`: the shipped batching kernel in virtual time, in front of the reference model. */
export function simulateCommand(): Command {
  const command = new Command('simulate')
    .description(
      'run the batching kernel in virtual time against a serial model of 20 ms + 1 ms an item (615 requests/s at most)',
    )
    .addOption(
      new Option(
        '--scenario <name>',
        'load: the loads below on one replica; step: a fivefold step under Knative, planned and steered, beside its rivals',
      )
        .choices(['load', 'step'])
        .default('load'),
    )
    .option(
      '--cold-start <duration,duration>',
      'step: from a decision to a replica that serves, shortest and longest',
      argument(parseColdStart),
      [1500, 3000] as const,
    )
    .option(
      '--plan-every <duration>',
      'step: from one plan to the next, in whole seconds',
      argument((text) => parseDuration(text, 1000, 600_000)),
      10_000,
    )
    .option(
      '--slo <duration>',
      'latency objective of one request, such as 200ms or 1s',
      argument((text) => parseDuration(text)),
      200,
    )
    .option(
      '--load <percents>',
      'offered loads in percent of capacity, comma-separated',
      parseLoads,
      [5, 30, 70, 95, 110, 150],
    )
    .option('--seconds <n>', 'virtual seconds of each load', argument(whole), 30)
    .option('--noise <percent>', "standard deviation of the model's time, in percent", parseNoise, 2)
    .option('--seed <n>', 'seed of arrivals and noise: the same seed gives the same figures', argument(whole), 1)
    .action(runSimulation);
  return showDefaults(command, {
    coldStart: '1.5s,3s',
    planEvery: '10s',
    slo: '200ms',
    load: '5,30,70,95,110,150',
  });
}

function runSimulation(options: SimulateOptions): void {
  if (options.scenario === 'step') {
    const planEverySec = Math.round(options.planEvery / 1000);
    return printStep({ seed: options.seed, coldStartMs: options.coldStart, planEverySec, noise: options.noise / 100 });
  }
  console.log(`SLO ${options.slo} ms, Poisson arrivals, ${options.seconds} s each, seed ${options.seed}`);
  console.log('load   goodput   bound     P50      P99   batch   model ms/request');
  for (const load of options.load) {
    const rate = (referenceCapacity * load) / 100;
    const workload = poisson(options.seed, 0, options.seconds, rate, [{ weight: 1, sloMs: options.slo, lane: 0 }]);
    if (workload.length === 0) continue;
    const policy = new PacelinePolicy(defaultSettings(options.slo), 0);
    const result = simulate(policy, workload, referenceModel(options.noise / 100), { seed: options.seed });
    const cells = [
      `${load}%`.padEnd(5),
      `${(100 * result.goodput).toFixed(2)}%`.padStart(8),
      `${(100 * Math.min(1, 100 / load)).toFixed(1)}%`.padStart(7),
      `${result.p50.toFixed(1)} ms`.padStart(9),
      `${result.p99.toFixed(0)} ms`.padStart(8),
      result.meanBatch.toFixed(1).padStart(6),
      result.busyMsPerRequest.toFixed(2).padStart(10),
    ];
    console.log(cells.join('  '));
  }
}

const whole = (text: string) => parseWhole(text, 1, 1_000_000);

function parseColdStart(text: string): readonly [number, number] {
  const [low, high, ...more] = text.split(',').map((each) => parseDuration(each, 1, 600_000));
  if (low === undefined || more.length > 0 || low > (high ?? low)) {
    throw new InvalidArgumentError('give the shortest and the longest, such as 1.5s,3s.');
  }
  return [low, high ?? low];
}

function parseLoads(text: string): number[] {
  const loads = text.split(',').map(Number);
  if (loads.some((load) => !(load > 0 && load <= 1000))) {
    throw new InvalidArgumentError('give percents from 1 to 1000, such as 30,70,110.');
  }
  return loads;
}

function parseNoise(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 100)) throw new InvalidArgumentError('give a percentage from 0 to 100.');
  return value;
}
