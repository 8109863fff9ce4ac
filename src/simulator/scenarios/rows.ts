import { defaultSettings, PacelinePolicy } from '../paceline.ts';
import type { DispatchPolicy } from '../policy.ts';
import { clairvoyantGoodput } from '../rivals/clairvoyant.ts';
import { FixedTimer, OneByOne, WorkConserving } from '../rivals/static-rules.ts';
import { RoundTrip } from '../round-trip.ts';
import { type SimulatedModel, type SimulatedRequest, type SimulationResult, simulate } from '../run.ts';
import { onOff, poisson, referenceCapacity, referenceModel } from '../workload.ts';

// The figures that must hold in virtual time, one function a figure: the tests ask them for a few seeds, the benchmark
// for more. Everything runs with an SLO and nothing else, except where a figure is about `patience`.

/** Virtual time starts here, because clocks do not start at 0. */
const start = 2 ** 31;

/** L(n) of the reference model. */
export const referenceMs = (items: number): number => 20 + items;

const oneClass = (sloMs: number) => [{ weight: 1, sloMs, lane: 0 }];

export interface GoodputCase {
  loadPercent: number;
  seed: number;
  noise?: number;
  giveUp?: boolean;
  patience?: number;
}

/** The reference model under Poisson arrivals for 20 s from a cold start, SLO 200 ms. */
export function referenceGoodput(each: GoodputCase): SimulationResult {
  const workload = poisson(each.seed, start, 20, (referenceCapacity * each.loadPercent) / 100, oneClass(200));
  const policy = new PacelinePolicy({ ...defaultSettings(200), patience: each.patience ?? -1 }, start);
  const options = { seed: each.seed + 100, giveUp: each.giveUp ?? false };
  return simulate(policy, workload, referenceModel(each.noise ?? 0.02), options);
}

export interface MixedDeadlines {
  goodput: number;
  /** Goodput of the requests with 80, 200 and 1000 ms. */
  classes: [number, number, number];
}

/** Deadlines of 80, 200 and 1000 ms, mixed 3:4:3 in one lane. */
export function mixedDeadlines(loadPercent: number, seed: number): MixedDeadlines {
  const kinds = [
    { weight: 3, sloMs: 80, lane: 0 },
    { weight: 4, sloMs: 200, lane: 0 },
    { weight: 3, sloMs: 1000, lane: 0 },
  ];
  const workload = poisson(seed, start, 30, (referenceCapacity * loadPercent) / 100, kinds);
  const result = simulate(new PacelinePolicy(defaultSettings(200), start), workload, referenceModel(), {
    seed: seed + 100,
  });
  const share = (sloMs: number) => shareOnTime(result, workload, (request) => request.sloMs === sloMs);
  return { goodput: result.goodput, classes: [share(80), share(200), share(1000)] };
}

/** On/off bursts 3:1 around 70 % for 20 s: Paceline's goodput, and the most that any schedule could reach. */
export function bursts(seed: number, phaseMs: number): { goodput: number; clairvoyant: number } {
  const workload = onOff(seed, start, 20, referenceCapacity * 0.7, 3, phaseMs, oneClass(200));
  const policy = new PacelinePolicy(defaultSettings(200), start);
  return {
    goodput: simulate(policy, workload, referenceModel(), { seed }).goodput,
    clairvoyant: clairvoyantGoodput(workload, 32, referenceMs),
  };
}

/** Four lanes with the same objective on one serial model at 70 %. */
export function fourLanes(seed: number): number {
  const kinds = [0, 1, 2, 3].map((lane) => ({ weight: 1, sloMs: 200, lane }));
  const workload = poisson(seed, start, 30, referenceCapacity * 0.7, kinds);
  return simulate(new PacelinePolicy(defaultSettings(200), start), workload, referenceModel(), { seed: seed + 100 })
    .goodput;
}

/** A lane of 100 ms beside three of 1,000 ms on one serial model at 50 %: all, and the short lane. */
export function shortLaneBesideLong(seed: number): { all: number; short: number } {
  const kinds = [100, 1000, 1000, 1000].map((sloMs, lane) => ({ weight: 1, sloMs, lane }));
  const workload = poisson(seed, start, 30, referenceCapacity * 0.5, kinds);
  const result = simulate(new PacelinePolicy(defaultSettings(1000), start), workload, referenceModel(), {
    seed: seed + 100,
  });
  return { all: result.goodput, short: shareOnTime(result, workload, (request) => request.lane === 0) };
}

/** Requests per second that four servers of the reference model could answer. */
export const parallelCapacity = 4 * referenceCapacity;

/**
 * One model that runs four batches at once, or four models with one each, from 10 s after a cold start on: goodput, and
 * answers in time per second.
 */
export function parallelModels(
  fourModels: boolean,
  loadPercent: number,
  seed: number,
): { goodput: number; goodPerSecond: number } {
  const lanes = fourModels ? [0, 1, 2, 3] : [0];
  const kinds = lanes.map((lane) => ({ weight: 1, sloMs: 200, lane }));
  const workload = poisson(seed, start, 30, (parallelCapacity * loadPercent) / 100, kinds);
  const model = { ...referenceModel(), servers: fourModels ? 1 : 4, perLane: fourModels };
  const policy = new PacelinePolicy(defaultSettings(200), start);
  const result = simulate(policy, workload, model, { seed: seed + 100, warmupMs: 10_000 });
  return { goodput: result.goodput, goodPerSecond: (result.goodput * result.requests) / 20 };
}

/** The same arrivals to Paceline and to work-conserving dispatch, which sends whatever waits whenever the model is free. */
export function besideWorkConserving(
  loadPercent: number,
  patience: number,
  seed: number,
): { ours: SimulationResult; greedy: SimulationResult } {
  const workload = poisson(seed, start, 40, (referenceCapacity * loadPercent) / 100, oneClass(200));
  const run = (policy: DispatchPolicy) => simulate(policy, workload, referenceModel(), { seed, warmupMs: 1000 });
  return {
    ours: run(new PacelinePolicy({ ...defaultSettings(200), patience }, start)),
    greedy: run(new WorkConserving(32)),
  };
}

/**
 * A model like the demo's (25 ms + 0.74 ms an item, at most 32, noise 5 %, 0.7 ms away), SLO 200 ms, for 30 s: Paceline,
 * and a timer that a hand tuned for it (32 items or 50 ms, any number of batches in flight).
 */
export function besideHandTunedTimer(
  loadPercent: number,
  seed: number,
): { ours: SimulationResult; timer: SimulationResult } {
  const model = { ...referenceModel(0.05), meanMs: (items: number) => 25 + 0.74 * items };
  const perSecond = (32_000 / model.meanMs(32)) * (loadPercent / 100);
  const workload = poisson(seed, start, 30, perSecond, oneClass(200));
  const run = (policy: DispatchPolicy) =>
    simulate(new RoundTrip(policy, 0.7), workload, model, { seed, warmupMs: 2000 });
  return {
    ours: run(new PacelinePolicy(defaultSettings(200), start)),
    timer: run(new FixedTimer(32, 50, Number.POSITIVE_INFINITY)),
  };
}

/**
 * Five requests a second, SLO 500 ms, a model of 28 ms with so many slots, `patience` 0: the P95, and that of the same
 * arrivals sent straight at the model.
 */
export function lowLoad(servers: number, seed: number): { ours: number; straight: number } {
  const model: SimulatedModel = { servers, perLane: false, maxItems: 64, noise: 0.02, meanMs: () => 28 };
  const workload = poisson(seed, start, 600, 5, oneClass(500));
  const run = (policy: DispatchPolicy) => simulate(policy, workload, model, { seed }).p95;
  return {
    ours: run(new PacelinePolicy({ ...defaultSettings(500), patience: 0 }, start)),
    straight: run(new OneByOne()),
  };
}

function shareOnTime(
  result: SimulationResult,
  workload: readonly SimulatedRequest[],
  of: (request: SimulatedRequest) => boolean,
): number {
  let all = 0;
  let good = 0;
  workload.forEach((request, id) => {
    if (!of(request)) return;
    all++;
    good += result.onTime[id] as number;
  });
  return good / all;
}
