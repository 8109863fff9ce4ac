// The batching kernel in virtual time: against its rivals' rules over loads, bursts and recorded traces, and the figures
// that must hold. Everything is seeded: the same commit prints the same figures, but for the simulator's own speed.
import { readFileSync } from 'node:fs';
import { defaultSettings, PacelinePolicy } from '../src/simulator/paceline.ts';
import type { DispatchPolicy } from '../src/simulator/policy.ts';
import { clairvoyantGoodput } from '../src/simulator/rivals/clairvoyant.ts';
import { BentoMl } from '../src/simulator/rivals/learned-rules.ts';
import { MlProxy, mlProxyDefaults } from '../src/simulator/rivals/ml-proxy.ts';
import { FixedTimer, KServeBatcher, WorkConserving } from '../src/simulator/rivals/static-rules.ts';
import { type SimulatedRequest, simulate } from '../src/simulator/run.ts';
import {
  batchSizeOne,
  experimentModel,
  experimentWorkload,
  type MlProxyFixture,
  mlProxyFor,
  pacelineFor,
  runExperiment,
} from '../src/simulator/scenarios/mlproxy-experiments.ts';
import {
  besideHandTunedTimer,
  besideWorkConserving,
  bursts,
  fourLanes,
  lowLoad,
  mixedDeadlines,
  parallelModels,
  referenceGoodput,
  referenceMs,
  shortLaneBesideLong,
} from '../src/simulator/scenarios/rows.ts';
import { traceWorkload } from '../src/simulator/traces.ts';
import { onOff, poisson, referenceCapacity, referenceModel } from '../src/simulator/workload.ts';
import type { BenchReport, BenchRow } from './report.ts';

type Progress = (text: string) => void;

const seeds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const sloMs = 200;
const kinds = [{ weight: 1, sloMs, lane: 0 }];

export async function run(progress: Progress): Promise<BenchReport> {
  const rows: BenchRow[] = [];
  for (const part of [goodput, deadlines, lanes, parallel, patience, besideRivals, speed, experiments]) {
    part(rows, progress);
    // A breath between the parts, so that progress is shown.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return {
    name: 'policy',
    title: 'Dispatch policy in virtual time',
    rows,
    notes: [
      `Reference model: serial, 20 ms + 1 ms an item, at most 32 items, noise 2 %; SLO ${sloMs} ms; 100 % is ` +
        `${referenceCapacity.toFixed(0)} requests/s. Runs of 20 s from a cold start; the least of ${seeds.length} seeds ` +
        'unless it says otherwise. Rivals are their rules, written against the same interface.',
      'Clairvoyant: the most requests that any schedule could answer in time, knowing all arrivals and mean times.',
      "MLProxy's experiments: replicas by Little's law, each minute's mean of batches inside / 0.7, at least one, while " +
        "Knative's rule scales the model (5 s of cold start). Misses beside MLProxy's, first and last five minutes cut.",
      "MLProxy's rule begins with batches of 5 and leaves scaling to Knative: on one serial replica that is less than the " +
        'load from about 30 % on, and nothing bounds what it sends.',
      'Traces: Azure LLM inference 2023 (CC-BY-4.0), arrival times only, played faster.',
    ],
  };
}

const percent = (share: number) => 100 * share;

/** A row with a bar that is a bound from below. */
function atLeast(rows: BenchRow[], name: string, value: number, bar: number, unit: string): void {
  rows.push({ name, value, unit, bar: `>= ${Number(bar.toFixed(2))} ${unit}`, holds: value >= bar });
}

function atMost(rows: BenchRow[], name: string, value: number, bar: number, unit: string): void {
  rows.push({ name, value, unit, bar: `<= ${Number(bar.toFixed(4))} ${unit}`, holds: value <= bar });
}

const least = (of: (seed: number) => number, over = seeds) => Math.min(...over.map(of));
const most = (of: (seed: number) => number, over = seeds) => Math.max(...over.map(of));

function goodput(rows: BenchRow[], progress: Progress): void {
  progress('goodput at the loads that must hold');
  const at = (loadPercent: number, more: { noise?: number; giveUp?: boolean } = {}) =>
    percent(least((seed) => referenceGoodput({ loadPercent, seed, ...more }).goodput));
  for (const load of [5, 30, 70, 95]) atLeast(rows, `goodput at ${load} %`, at(load), 99.5, '%');
  atLeast(rows, 'goodput at 95 %, noise 10 %', at(95, { noise: 0.1 }), 99, '%');
  for (const load of [110, 150]) {
    const bound = 10_000 / load;
    atLeast(rows, `goodput at ${load} %`, at(load), 0.97 * bound, '%');
    atLeast(rows, `goodput at ${load} %, noise 10 %`, at(load, { noise: 0.1 }), 0.96 * bound, '%');
    atLeast(rows, `goodput at ${load} %, callers leave at the SLO`, at(load, { giveUp: true }), 0.94 * bound, '%');
    const busy = least((seed) => referenceGoodput({ loadPercent: load, seed }).busyShare);
    atLeast(rows, `model busy at ${load} %`, percent(busy), 98.5, '%');
  }
}

function deadlines(rows: BenchRow[], progress: Progress): void {
  progress('mixed deadlines and bursts');
  for (const [load, bar] of [
    [70, 98],
    [95, 90],
    [110, 85],
  ] as const) {
    const results = seeds.map((seed) => mixedDeadlines(load, seed));
    const all = Math.min(...results.map((each) => each.goodput));
    atLeast(rows, `80/200/1000 ms mixed 3:4:3 at ${load} %`, percent(all), bar, '%');
    [80, 200, 1000].forEach((ms, i) => {
      const share = percent(Math.min(...results.map((each) => each.classes[i] as number)));
      if (load === 110) atLeast(rows, `the ${ms} ms class at 110 %`, share, 35, '%');
      else rows.push({ name: `the ${ms} ms class at ${load} %`, value: share, unit: '%' });
    });
  }
  const twenty = Array.from({ length: 20 }, (_, i) => i + 1);
  for (const phaseMs of [250, 500, 1000, 2000]) {
    const share = percent(
      least((seed) => {
        const each = bursts(seed, phaseMs);
        return each.goodput / each.clairvoyant;
      }, twenty),
    );
    const name = `bursts 3:1 around 70 %, phases of ${phaseMs} ms: of clairvoyant, least of 20 seeds`;
    atLeast(rows, name, share, 98.5, '%');
  }
}

function lanes(rows: BenchRow[], progress: Progress): void {
  progress('lanes');
  atLeast(rows, 'four lanes on one serial model at 70 %', percent(least(fourLanes)), 98, '%');
  const both = seeds.map(shortLaneBesideLong);
  atLeast(
    rows,
    'a 100 ms lane beside three of 1,000 ms at 50 %',
    percent(Math.min(...both.map((each) => each.all))),
    97,
    '%',
  );
  atLeast(rows, 'the 100 ms lane by itself', percent(Math.min(...both.map((each) => each.short))), 97, '%');
}

function parallel(rows: BenchRow[], progress: Progress): void {
  progress('parallel models');
  for (const four of [false, true]) {
    const name = four ? 'four models with one batch each' : 'one model that runs four batches';
    for (const load of [25, 50]) {
      const share = least((seed) => parallelModels(four, load, seed).goodput);
      atLeast(rows, `${name}, ${load} % of 2,461/s, from 10 s on`, percent(share), 99.95, '%');
    }
    const rate = least((seed) => parallelModels(four, 95, seed).goodPerSecond);
    atLeast(rows, `${name}, 95 % offered: in time`, rate, 2200, 'requests/s');
  }
}

function patience(rows: BenchRow[], progress: Progress): void {
  progress('patience, beside work-conserving dispatch');
  for (const [load, bar] of [
    [5, 5],
    [30, 1.9],
  ] as const) {
    const { ours } = besideWorkConserving(load, 1, 3);
    atMost(rows, `model-busy time a request at ${load} %, patience 1`, ours.busyMsPerRequest, bar, 'ms');
    atLeast(rows, `its goodput`, percent(ours.goodput), 99.9, '%');
  }
  for (const load of [5, 30, 50, 70, 80, 95]) {
    const { ours, greedy } = besideWorkConserving(load, 1, 3);
    const ratio = ours.busyMsPerGoodRequest / greedy.busyMsPerGoodRequest;
    const name = `busy time a good request at ${load} %, patience 1, of work-conserving (mean batch ${greedy.meanBatch.toFixed(1)})`;
    atMost(rows, name, ratio, greedy.meanBatch < 16 ? 0.75 : 1, 'x');
    atLeast(rows, 'its goodput less work-conserving', percent(ours.goodput - greedy.goodput), -0.3, 'points');
  }
  for (const load of [5, 10, 30, 50, 70]) {
    const ratio = most((seed) => {
      const { ours, greedy } = besideWorkConserving(load, 0, seed);
      return ours.p50 / greedy.p50;
    });
    atMost(rows, `P50 at ${load} %, patience 0, of dispatching at once`, ratio, 1.05, 'x');
  }
  for (const load of [5, 25, 50, 60, 75, 85, 95]) {
    const both = seeds.map((seed) => besideHandTunedTimer(load, seed));
    const name = (what: string) => `${what} at ${load} %, auto, beside a hand-tuned timer`;
    const ahead = both.reduce((sum, { ours, timer }) => sum + ours.goodput - timer.goodput, 0) / both.length;
    atLeast(rows, name('goodput, mean of the seeds,'), percent(ahead), 0, 'points');
    const busy = Math.max(...both.map(({ ours, timer }) => ours.busyMsPerGoodRequest / timer.busyMsPerGoodRequest));
    const p50 = Math.max(...both.map(({ ours, timer }) => ours.p50 / timer.p50));
    if (load >= 75) atMost(rows, name('model time a good request'), busy, 1, 'x');
    else rows.push({ name: name('model time a good request'), value: busy, unit: 'x' });
    if (load <= 50) atMost(rows, name('P50'), p50, 1, 'x');
    else rows.push({ name: name('P50'), value: p50, unit: 'x' });
  }
  for (const servers of [1, 4]) {
    const ratio = most((seed) => {
      const { ours, straight } = lowLoad(servers, seed);
      return ours / straight;
    });
    const name = `P95 at 5/s, ${servers === 1 ? 'serial' : 'four slots'}, patience 0, of the same arrivals sent straight`;
    atMost(rows, name, ratio, 1.15, 'x');
  }
}

/** KServe's timers that an operator may try; the best one for each load counts. */
const kserveTimers = [1, 5, 20, 50, 100];

const rules: { name: string; make: () => DispatchPolicy[] }[] = [
  { name: 'Paceline', make: () => [new PacelinePolicy(defaultSettings(sloMs), 0)] },
  { name: 'work-conserving', make: () => [new WorkConserving(32)] },
  { name: 'fixed timer, 10 ms', make: () => [new FixedTimer(32, 10)] },
  { name: "KServe's rule, defaults", make: () => [new KServeBatcher(32, 5000)] },
  {
    name: "KServe's rule, best of five timers",
    make: () => kserveTimers.map((timer) => new KServeBatcher(32, timer)),
  },
  { name: "MLProxy's rule", make: () => [new MlProxy({ ...mlProxyDefaults, sloMs })] },
  { name: "BentoML's rule", make: () => [new BentoMl(32, sloMs)] },
];

/** Every rule on the same arrivals: goodput, and for Paceline what a clairvoyant would reach. */
function compare(rows: BenchRow[], what: string, workload: readonly SimulatedRequest[]): void {
  for (const { name, make } of rules) {
    const shares = make().map((policy) => simulate(policy, workload, referenceModel(), { seed: 7 }).goodput);
    rows.push({ name: `${what}: ${name}`, value: percent(Math.max(...shares)), unit: '% in time' });
  }
}

function besideRivals(rows: BenchRow[], progress: Progress): void {
  for (const load of [10, 30, 50, 70, 80, 90, 95, 100, 110, 130, 150]) {
    progress(`rivals at ${load} %`);
    compare(rows, `Poisson ${load} %`, poisson(load, 0, 30, (referenceCapacity * load) / 100, kinds));
  }
  progress('rivals under bursts and traces');
  const burst = onOff(1, 0, 60, referenceCapacity * 0.7, 3, 1000, kinds);
  compare(rows, 'bursts 3:1 around 70 %', burst);
  rows.push(clairvoyantRow('bursts 3:1 around 70 %', burst));
  for (const trace of ['code', 'conv']) {
    const url = new URL(`../test/traces/azure-llm-2023-${trace}.csv`, import.meta.url);
    const text = readFileSync(url, 'utf8');
    for (const load of [30, 60]) {
      const workload = traceWorkload(text, (referenceCapacity * load) / 100, sloMs);
      const what = `Azure LLM ${trace}, mean load ${load} %, peak second ${peakPercent(workload).toFixed(0)} %`;
      compare(rows, what, workload);
      rows.push(clairvoyantRow(what, workload));
    }
  }
}

function clairvoyantRow(what: string, workload: readonly SimulatedRequest[]): BenchRow {
  const value = percent(clairvoyantGoodput(workload, 32, referenceMs));
  return { name: `${what}: clairvoyant`, value, unit: '% in time' };
}

/** The fullest second, in percent of the model's capacity. */
function peakPercent(workload: readonly SimulatedRequest[]): number {
  const counts = new Map<number, number>();
  for (const { at } of workload) counts.set(Math.floor(at / 1000), (counts.get(Math.floor(at / 1000)) ?? 0) + 1);
  return percent(Math.max(...counts.values()) / referenceCapacity);
}

function speed(rows: BenchRow[], progress: Progress): void {
  for (const load of [30, 95, 110]) {
    progress(`speed of the simulator at ${load} %`);
    const rates: number[] = [];
    for (let i = 0; i < 5; i++) {
      const started = performance.now();
      const perSecond = (referenceCapacity * load) / 100;
      const workload = poisson(1, 0, 200_000 / perSecond, perSecond, kinds);
      simulate(new PacelinePolicy(defaultSettings(sloMs), 0), workload, referenceModel(), { seed: 2 });
      rates.push((1000 * workload.length) / (performance.now() - started));
    }
    rates.sort((a, b) => a - b);
    atLeast(rows, `virtual traffic simulated on one core at ${load} %`, rates[2] as number, 300_000, 'requests/s');
  }
}

function experiments(rows: BenchRow[], progress: Progress): void {
  const url = new URL('../test/fixtures/mlproxy.json', import.meta.url);
  const fixture = JSON.parse(readFileSync(url, 'utf8')) as MlProxyFixture;
  for (const experiment of fixture.experiments) {
    progress(`MLProxy's experiment ${experiment.name}`);
    const workload = experimentWorkload(experiment, 1);
    const model = experimentModel(fixture, experiment.model);
    const rival = runExperiment(mlProxyFor(experiment), workload, model, 2);
    const ours = runExperiment(pacelineFor(experiment), workload, model, 2);
    const { name } = experiment;
    atMost(rows, `${name}: cost, beside MLProxy's rule`, ours.replicas, rival.replicas, 'replicas');
    atMost(rows, `${name}: misses`, percent(ours.missShare), percent(rival.missShare), '%');
    const better = [
      ours.replicas < rival.replicas && 'cost',
      ours.missShare < rival.missShare && 'misses',
      ours.p95 < rival.p95 && 'P95',
    ].filter((each) => each !== false);
    const bar = `better in at least one: ${better.join(', ') || 'none'} (MLProxy's P95 ${rival.p95.toFixed(0)} ms)`;
    rows.push({ name: `${name}: P95`, value: ours.p95, unit: 'ms', bar, holds: better.length > 0 });
    rows.push({ name: `${name}: replicas that Knative kept`, value: ours.knativeReplicas, unit: 'replicas' });
    rows.push({ name: `${name}: with MLProxy's rule`, value: rival.knativeReplicas, unit: 'replicas' });
    if (name !== 'fashion_max100') continue;
    const single = runExperiment(batchSizeOne(), workload, model, 2);
    const saved = percent(1 - ours.replicas / single.replicas);
    atLeast(rows, `${name}: cheaper than batch size 1`, saved, 92, '%');
  }
}
