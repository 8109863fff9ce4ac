import { PlacementKernel, type PlacementProblem } from '../../kernels/placement.ts';
import { defaultSettings, PacelinePolicy } from '../paceline.ts';
import type { DispatchPolicy } from '../policy.ts';
import { simulate } from '../run.ts';
import { poisson } from '../workload.ts';

/** A model of `base` + `item` ms an item behind one replica, and its objective. */
export interface QueueCase {
  readonly base: number;
  readonly item: number;
  readonly sloMs: number;
  /** Of the model's time. */
  readonly noise: number;
  readonly batch: number;
  readonly parallel: number;
}

/** From batches that gain much to such that gain nothing, from tight objectives to loose ones. */
export const queueCases: readonly QueueCase[] = [
  { base: 50, item: 5, sloMs: 500, noise: 0.02, batch: 64, parallel: 1 },
  { base: 20, item: 1, sloMs: 200, noise: 0.02, batch: 32, parallel: 1 },
  { base: 20, item: 1, sloMs: 200, noise: 0.1, batch: 32, parallel: 1 },
  { base: 20, item: 1, sloMs: 200, noise: 0.02, batch: 8, parallel: 1 },
  { base: 20, item: 1, sloMs: 200, noise: 0.02, batch: 1, parallel: 1 },
  { base: 50, item: 5, sloMs: 2000, noise: 0.02, batch: 4, parallel: 1 },
  { base: 30, item: 0.1, sloMs: 100, noise: 0.02, batch: 64, parallel: 1 },
  { base: 5, item: 10, sloMs: 200, noise: 0.05, batch: 64, parallel: 1 },
  { base: 20, item: 1, sloMs: 200, noise: 0.02, batch: 32, parallel: 4 },
];

const promise = 0.99;
/** Standard deviations from the mean to that quantile. */
const z = 2.326;

/** The case as a problem of one option, with the model's own curve. */
export function queueProblem(each: QueueCase): PlacementProblem {
  const curve = [1, 4, 16, 32, 64].map((items) => {
    const expected = each.base + each.item * items;
    return { items, expected, quantile: expected * Math.exp(z * each.noise) };
  });
  const none = Number.NaN;
  return {
    now: 0,
    sloMs: each.sloMs,
    sloQuantile: promise,
    patience: -1,
    maxBatch: each.batch,
    budget: none,
    minAccuracy: none,
    minReplicas: 1,
    maxReplicas: 0,
    containerConcurrency: 0,
    coldMs: 3000,
    planEveryMs: 1000,
    choose: false,
    stale: false,
    utilization: 0.7,
    stableWindowMs: 60_000,
    chosen: -1,
    betterSince: none,
    better: -1,
    rate: 0,
    seconds: [],
    minutes: [],
    options: [
      {
        curve,
        parallel: each.parallel,
        price: 3600,
        accuracy: none,
        share: 1,
        attainment: none,
        ready: 1,
        pending: 0,
        planned: none,
        target: none,
        lowerSince: none,
        lowerNeeded: none,
        extra: 0,
        changedAt: 0,
        holdMs: none,
        loweredAt: none,
        best: none,
        waiting: 0,
      },
    ],
  };
}

/** At `load` times the estimated capacity: the estimated share in time, and what the simulator finds for a dispatch policy. */
export function queueEstimate(
  each: QueueCase,
  load: number,
  seconds: number,
  policy: DispatchPolicy = pacelineFor(each),
): { capacity: number; estimate: number; simulated: number } {
  const kernel = new PlacementKernel();
  const problem = queueProblem(each);
  const capacity = kernel.capacity(problem, each.batch);
  const rate = capacity * load;
  const workload = poisson(3, 0, seconds, rate, [{ weight: 1, sloMs: each.sloMs, lane: 0 }]);
  const model = {
    servers: each.parallel,
    perLane: false,
    maxItems: each.batch,
    noise: each.noise,
    meanMs: (items: number) => each.base + each.item * items,
  };
  return {
    capacity,
    estimate: kernel.estimate(problem, rate, each.batch).attainment,
    simulated: simulate(policy, workload, model, { seed: 1, warmupMs: 15_000 }).goodput,
  };
}

function pacelineFor(each: QueueCase): DispatchPolicy {
  return new PacelinePolicy({ ...defaultSettings(each.sloMs), maxBatchItems: each.batch }, 0);
}
