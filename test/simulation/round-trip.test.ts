import * as assert from 'uvu/assert';
import { defaultSettings, PacelinePolicy } from '../../src/simulator/paceline.ts';
import { RoundTrip } from '../../src/simulator/round-trip.ts';
import { simulate } from '../../src/simulator/run.ts';
import { poisson, referenceCapacity, referenceModel } from '../../src/simulator/workload.ts';
import { suite } from '../support/suite.ts';

suite('a model that is a round trip away', (test) => {
  for (const [load, bar] of [
    [95, 0.995],
    [110, 0.97 / 1.1],
    [150, 0.97 / 1.5],
  ] as const) {
    test(`${load} %: the next batch is there when the one before it ends`, () => {
      for (const seed of [1, 2, 3]) {
        const workload = poisson(seed, 0, 30, (referenceCapacity * load) / 100, [{ weight: 1, sloMs: 200, lane: 0 }]);
        const policy = new RoundTrip(new PacelinePolicy(defaultSettings(200), 0), 0.75);
        const result = simulate(policy, workload, referenceModel(), { seed: seed + 10, warmupMs: 2000 });
        assert.is(result.lost, 0);
        assert.ok(
          result.goodput >= bar,
          `${(100 * result.goodput).toFixed(2)} % of ${(100 * bar).toFixed(2)}, seed ${seed}`,
        );
        if (load > 100) assert.ok(result.busyShare > 0.985, `model busy ${(100 * result.busyShare).toFixed(2)} %`);
      }
    });
  }
});
