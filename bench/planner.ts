// The planner in virtual time: a fivefold step under Knative, beside the ways without it; the queueing estimate beside the
// simulator; and how long plans take.
import { PlacementKernel } from '../src/kernels/placement.ts';
import { type QueueCase, queueCases, queueEstimate } from '../src/simulator/scenarios/queue-estimate.ts';
import { type StepFigures, stepComparison } from '../src/simulator/scenarios/step.ts';
import { manyVariants } from './placement-problems.ts';
import type { BenchReport, BenchRow } from './report.ts';

type Progress = (text: string) => void;

const seeds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

export async function run(progress: Progress): Promise<BenchReport> {
  const rows: BenchRow[] = [];
  for (const part of [step, estimate, speed]) {
    part(rows, progress);
    // A breath between the parts, so that progress is shown.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return {
    name: 'planner',
    title: 'Planning a service, in virtual time',
    rows,
    notes: [
      'Step: 40 -> 200 requests/s at once on a serial model of 50 ms + 5 ms an item, noise 2 %, SLO 500 ms, one ready replica; ' +
        "cold starts 1.5 to 3 s; Knative's autoscaler as in its source (ticks 2 s, buckets 1 s, windows 60 and 6 s, panic). " +
        `Paceline has an SLO and nothing else and plans every 10 s. The least of ${seeds.length} seeds where a bar is a lower bound, ` +
        'the most where it is an upper one. Replica-seconds from the step on for 120 s, starting replicas included. ' +
        "Requests reach Paceline's replicas at random, the others' through two random choices.",
      'Estimate: requests in time at the capacity that the planner computes, when the whole fleet is one replica.',
    ],
  };
}

const percent = (share: number) => 100 * share;

function atLeast(rows: BenchRow[], name: string, value: number, bar: number, unit: string): void {
  rows.push({ name, value, unit, bar: `>= ${Number(bar.toFixed(2))} ${unit}`, holds: value >= bar });
}

function atMost(rows: BenchRow[], name: string, value: number, bar: number, unit: string): void {
  rows.push({ name, value, unit, bar: `<= ${Number(bar.toFixed(2))} ${unit}`, holds: value <= bar });
}

function step(rows: BenchRow[], progress: Progress): void {
  progress('a step of five times');
  const runs = seeds.map((seed) => stepComparison({ seed, planEverySec: 10 }));
  const ways = (runs[0] as StepFigures[]).map((each) => each.way);
  const of = (way: number, figure: (each: StepFigures) => number) => runs.map((run) => figure(run[way] as StepFigures));
  const ours = 0;
  atLeast(rows, 'step: in time, 60 s from the step', percent(Math.min(...of(ours, (each) => each.during))), 95, '%');
  atLeast(rows, 'step: in time, the 60 s after them', percent(Math.min(...of(ours, (each) => each.after))), 99, '%');
  atLeast(
    rows,
    'step: first 15 s, of what the ready replicas can serve',
    Math.min(...of(ours, (each) => each.ofPossible)),
    0.97,
    'x',
  );
  const paid = Math.max(...of(ours, (each) => each.replicaSeconds));
  rows.push({ name: 'step: paid', value: paid, unit: 'replica-s' });
  const shares = runs.map((run) => beside(run));
  atMost(
    rows,
    'step: paid, of the cheapest rival that keeps 99 % afterwards',
    Math.max(...shares.map((each) => each.any)),
    1,
    'x',
  );
  atMost(
    rows,
    'step: paid, of the cheapest rival without batching that keeps it',
    Math.max(...shares.map((each) => each.single)),
    0.25,
    'x',
  );
  ways.slice(1).forEach((way, i) => {
    rows.push({
      name: `${way}: 60 s from the step`,
      value: percent(mean(of(i + 1, (each) => each.during))),
      unit: '% in time',
    });
    rows.push({ name: `${way}: 60 s after`, value: percent(mean(of(i + 1, (each) => each.after))), unit: '% in time' });
    rows.push({ name: `${way}: paid`, value: mean(of(i + 1, (each) => each.replicaSeconds)), unit: 'replica-s' });
  });
}

/** What the first way pays beside the cheapest of the others that keeps the promise afterwards; 0 if none does. */
function beside(run: readonly StepFigures[]): { any: number; single: number } {
  const [ours, ...rivals] = run as [StepFigures, ...StepFigures[]];
  const ratio = (among: readonly StepFigures[]) =>
    ours.replicaSeconds / Math.min(...among.filter((each) => each.after >= 0.99).map((each) => each.replicaSeconds));
  return { any: ratio(rivals), single: ratio(rivals.filter((each) => !each.batching)) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function estimate(rows: BenchRow[], progress: Progress): void {
  progress('the queueing estimate beside the simulator');
  for (const each of queueCases) {
    const figures = queueEstimate(each, 1, 300);
    atLeast(
      rows,
      `estimate, ${nameOf(each)}: in time at capacity (promise 99 %)`,
      percent(figures.simulated),
      98.5,
      '%',
    );
  }
}

function nameOf(each: QueueCase): string {
  return `${each.base} + ${each.item} ms an item, SLO ${each.sloMs} ms, batches of ${each.batch}, ${each.parallel} at once`;
}

function speed(rows: BenchRow[], progress: Progress): void {
  progress('speed');
  const kernel = new PlacementKernel();
  const problems = manyVariants(1000, 8);
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const before = process.cpuUsage();
    for (const problem of problems) kernel.plan(problem);
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1000);
  }
  times.sort((one, other) => one - other);
  atMost(rows, '1,000 services of 8 variants planned', times[2] as number, 1000, 'ms of CPU');
}
