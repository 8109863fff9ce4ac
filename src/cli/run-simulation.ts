import type { Command } from 'commander';
import { defaultSettings, PacelinePolicy } from '../simulator/paceline.ts';
import { type SimulationResult, simulate } from '../simulator/run.ts';
import { recordedWorkload } from '../simulator/traces.ts';
import { poisson, referenceCapacity, referenceModel } from '../simulator/workload.ts';
import { readRecording } from './recording-file.ts';
import { printStep } from './simulate-step.ts';

/** The options of `paceline simulate`. */
export interface SimulateOptions {
  scenario: 'load' | 'step';
  coldStart: readonly [number, number];
  planEvery: number;
  slo: number;
  load: number[];
  seconds: number;
  noise: number;
  seed: number;
  recording?: string;
  speed: number;
}

/** What `paceline simulate` does. */
export function runSimulation(command: Command, options: SimulateOptions): void {
  if (options.recording !== undefined) return runRecording(command, options, options.recording);
  if (options.scenario === 'step') {
    const planEverySec = Math.round(options.planEvery / 1000);
    return printStep({ seed: options.seed, coldStartMs: options.coldStart, planEverySec, noise: options.noise / 100 });
  }
  console.log(`SLO ${options.slo} ms, Poisson arrivals, ${options.seconds} s each, seed ${options.seed}`);
  console.log(`load   goodput   bound  ${tableHead}`);
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
      ...cellsOf(result),
    ];
    console.log(cells.join('  '));
  }
}

const tableHead = '   P50      P99   batch   model ms/request';

function cellsOf(result: SimulationResult): string[] {
  return [
    `${result.p50.toFixed(1)} ms`.padStart(9),
    `${result.p99.toFixed(0)} ms`.padStart(8),
    result.meanBatch.toFixed(1).padStart(6),
    result.busyMsPerRequest.toFixed(2).padStart(10),
  ];
}

/** The arrivals, lanes and objectives of a recording, in front of the reference model. */
function runRecording(command: Command, options: SimulateOptions, file: string): void {
  const recording = readRecording(command, file);
  const own = command.getOptionValueSource('slo') === 'cli' ? options.slo : undefined;
  const workload = recordedWorkload(recording, options.speed, own);
  if (workload.length === 0) command.error(`error: ${file} holds no request that may share a batch`, { exitCode: 2 });
  const slo = own ?? recording.segments[0]?.sloMs ?? options.slo;
  const lanes = new Set(workload.map(({ lane }) => lane)).size;
  const policy = new PacelinePolicy({ ...defaultSettings(slo), maxLanes: Math.max(8, lanes) }, 0);
  const result = simulate(policy, workload, referenceModel(options.noise / 100), { seed: options.seed });
  console.log(`${workload.length} recorded requests in ${lanes} lanes, SLO ${slo} ms, seed ${options.seed}`);
  console.log(` goodput  ${tableHead}`);
  console.log([`${(100 * result.goodput).toFixed(2)}%`.padStart(8), ...cellsOf(result)].join('  '));
}
