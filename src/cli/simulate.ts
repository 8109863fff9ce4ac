import { Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration, parseWhole } from '../policy/units.ts';
import { argument, parseSpeed, showDefaults } from './arguments.ts';
import type { SimulateOptions } from './run-simulation.ts';

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
    .option(
      '--recording <file>',
      'what `companion --record` recorded, each request as one item, in the place of the loads',
    )
    .option('--speed <factor>', 'recording: how much faster than recorded', parseSpeed, 1)
    .action(async (options: SimulateOptions) => {
      // Every companion's start would load the simulator too.
      const { runSimulation } = await import('./run-simulation.ts');
      runSimulation(command, options);
    });
  return showDefaults(command, {
    coldStart: '1.5s,3s',
    planEvery: '10s',
    slo: '200ms',
    load: '5,30,70,95,110,150',
  });
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
