import * as assert from 'uvu/assert';
import { Fleet, type FleetOptions } from '../../src/simulator/fleet.ts';
import { kpaDefaults } from '../../src/simulator/kpa.ts';
import { defaultSettings, PacelinePolicy } from '../../src/simulator/paceline.ts';
import { OneByOne } from '../../src/simulator/rivals/static-rules.ts';
import type { SimulatedModel } from '../../src/simulator/run.ts';
import { Steering } from '../../src/simulator/steering.ts';
import { poisson } from '../../src/simulator/workload.ts';
import { suite } from '../support/suite.ts';

const model: SimulatedModel = { servers: 1, perLane: false, maxItems: 64, noise: 0, meanMs: (items) => 50 + 5 * items };
const kinds = [{ weight: 1, sloMs: 500, lane: 0 }];

const options = (more: Partial<FleetOptions>): FleetOptions => ({
  seed: 1,
  model,
  kpa: kpaDefaults,
  startReplicas: 1,
  coldStartMs: [2000, 2000],
  makePolicy: () => new OneByOne(),
  routing: 'least',
  ...more,
});

suite('a fleet in virtual time', (test) => {
  test('requests that come while no replica is ready are held, not lost', () => {
    const workload = Array.from({ length: 20 }, (_, i) => ({ at: 1000 + 200 * i, sloMs: 500, lane: 0 }));
    const fleet = new Fleet(workload, options({ startReplicas: 0, kpa: { ...kpaDefaults, minScale: 1 } }));
    const { latencies, coldStarts } = fleet.run();
    assert.ok(latencies.every((ms) => ms > 0));
    assert.equal(coldStarts, [2000]);
    assert.ok((latencies[0] as number) > 2000);
  });

  test('replicas are paid for from their start, and leave once they are empty', () => {
    const workload = poisson(1, 0, 60, 10, kinds);
    const fleet = new Fleet(
      workload,
      options({
        startReplicas: 3,
        everySecond: (each, now) => {
          if (now >= 20_000) each.kpa.settings = { ...each.kpa.settings, maxScale: 1 };
        },
        kpa: { ...kpaDefaults, minScale: 3 },
      }),
    );
    const first = workload[0]?.at ?? 0;
    const { latencies, replicaSeconds } = fleet.run();
    assert.ok(
      latencies.every((ms) => ms > 0),
      'nothing is lost by a replica that leaves',
    );
    assert.ok(Math.abs(replicaSeconds(first, first + 10_000) - 30) < 1e-6);
    assert.ok(replicaSeconds(0, 60_000) < 110, `${replicaSeconds(0, 60_000)}`);
  });

  test('the same seed gives the same answers', () => {
    const workload = poisson(3, 0, 30, 60, kinds);
    const run = () => new Fleet(workload, options({ coldStartMs: [1000, 3000] })).run();
    assert.equal(run().latencies, run().latencies);
  });

  test('requests that wait to be batched start no replicas: all patience at a load that one replica serves', () => {
    const workload = poisson(4, 0, 240, 90, kinds);
    const most = (steered: boolean, target: number) => {
      const policy = { sloMs: 500, sloQuantile: 0.99, patience: 1, maxBatchSize: 64 };
      const steering = steered ? new Steering(policy, 10) : undefined;
      const fleet = new Fleet(
        workload,
        options({
          kpa: { ...kpaDefaults, target },
          makePolicy: (readyAt) => new PacelinePolicy({ ...defaultSettings(500), patience: 1 }, readyAt),
          everySecond: (each, now) => steering?.everySecond(each, now),
        }),
      );
      const { ready, latencies } = fleet.run();
      const good = latencies.filter((ms) => ms <= 500).length / latencies.length;
      assert.ok(good > 0.99, `${good}`);
      return Math.max(...ready);
    };
    assert.is(most(true, 100), 1);
    // What an operator would set for a serial model: the fleet grows for no reason but waiting.
    assert.ok(most(false, 10) >= 3);
  });
});
