import * as assert from 'uvu/assert';
import { defaultSettings, PacelinePolicy } from '../../src/simulator/paceline.ts';
import { type SimulatedModel, simulate } from '../../src/simulator/run.ts';
import { poisson } from '../../src/simulator/workload.ts';
import { suite } from '../support/suite.ts';

const start = 2 ** 31;

/** A serial model whose first batches are compiled as they run, and which gets faster for some seconds more. */
function warmingModel(noise: number): SimulatedModel {
  let batches = 0;
  return {
    servers: 1,
    perLane: false,
    maxItems: 32,
    noise,
    meanMs: (items, t) =>
      (22 + 0.9 * items) * (1 + 2.5 * Math.exp(-batches++ / 3) + 0.4 * Math.exp((start - t) / 4000)),
  };
}

suite('a model that warms up', (test) => {
  test('is still known as serial, and keeps its promise once it is warm', () => {
    for (const noise of [0.02, 0.1, 0.2]) {
      for (const perSecond of [100, 200, 335]) {
        for (const seed of [1, 2, 3]) {
          const policy = new PacelinePolicy(defaultSettings(200), start);
          let limitMax = 0;
          const arrive = policy.arrive.bind(policy);
          policy.arrive = (now, id, lane, softDeadline) => {
            if (now > start + 6000) limitMax = Math.max(limitMax, policy.domain.signals.parallelLimit());
            arrive(now, id, lane, softDeadline);
          };
          const workload = poisson(seed, start, 20, perSecond, [{ weight: 1, sloMs: 200, lane: 0 }]);
          const result = simulate(policy, workload, warmingModel(noise), { seed: seed + 50, warmupMs: 4000 });
          const what = `${perSecond}/s, noise ${noise}, seed ${seed}`;
          assert.is(limitMax, 1, `parallel limit, ${what}`);
          assert.ok(result.goodput >= 0.99, `goodput ${result.goodput.toFixed(4)}, ${what}`);
        }
      }
    }
  });
});
