import { Fleet } from '../fleet.ts';
import { kpaDefaults } from '../kpa.ts';
import { defaultSettings, PacelinePolicy } from '../paceline.ts';
import { Steering } from '../steering.ts';
import { poisson } from '../workload.ts';

// A model that gains nothing by batching (100 ms + 400 ms an item, objective 2 s) gets 18 requests a second from its first
// second on, with one fresh replica that has seen no batch yet: what was assumed of the model is wrong by a factor of 30.

export interface SlowModelFigures {
  /** Ready replicas at each whole second. */
  readonly ready: readonly number[];
  /** What the last plan asks for. */
  readonly planned: number;
  /** Replicas that were paid for at the same time, at most: Knative's own panic starts more than are planned. */
  readonly most: number;
  /** Share in time of what arrived between two seconds. */
  inTime(fromSec: number, toSec: number): number;
}

const start = 2 ** 31;
const sloMs = 2000;

/** @param planEverySec a small fleet is planned for each second */
export function slowModel(seed: number, planEverySec = 1): SlowModelFigures {
  const workload = poisson(seed, start, 120, 18, [{ weight: 1, sloMs, lane: 0 }]);
  const policy = { sloMs, sloQuantile: 0.99, patience: 'auto' as const, maxBatchSize: 64 };
  const steering = new Steering(policy, planEverySec, seed);
  let most = 0;
  const fleet = new Fleet(workload, {
    seed,
    model: { servers: 1, perLane: false, maxItems: 64, noise: 0.02, meanMs: (items) => 100 + 400 * items },
    kpa: { ...kpaDefaults },
    startReplicas: 1,
    coldStartMs: [1500, 3000],
    makePolicy: (readyAt) => new PacelinePolicy(defaultSettings(sloMs), readyAt),
    routing: 'random',
    everySecond: (running, now) => {
      steering.everySecond(running, now);
      most = Math.max(most, running.alive().length);
    },
  });
  const { latencies, ready } = fleet.run();
  return {
    ready,
    planned: steering.plans.at(-1)?.replicas ?? 0,
    most,
    inTime: (fromSec, toSec) => {
      const ids = workload.flatMap(({ at }, id) =>
        at >= start + 1000 * fromSec && at < start + 1000 * toSec ? [id] : [],
      );
      return ids.filter((id) => (latencies[id] as number) <= sloMs).length / ids.length;
    },
  };
}
