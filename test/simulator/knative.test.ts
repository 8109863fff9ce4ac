import * as assert from 'uvu/assert';
import { knativeDefaults } from '../../src/simulator/knative.ts';
import { OneByOne } from '../../src/simulator/rivals/static-rules.ts';
import { type SimulatedModel, simulate } from '../../src/simulator/run.ts';
import { poisson } from '../../src/simulator/workload.ts';
import { suite } from '../support/suite.ts';

const model: SimulatedModel = { servers: 1, perLane: false, maxItems: 64, noise: 0, meanMs: () => 100 };
const kinds = [{ weight: 1, sloMs: 5000, lane: 0 }];

suite("Knative's autoscaler in virtual time", (test) => {
  test('keeps ceil(concurrency / 0.7) replicas', () => {
    // 17 requests/s of 100 ms, evenly spaced, are 1.7 inside: 2.43 replicas, so 3.
    const workload = Array.from({ length: 17 * 600 }, (_, i) => ({ at: (i * 1000) / 17, sloMs: 5000, lane: 0 }));
    const result = simulate(new OneByOne(), workload, model, { seed: 1, warmupMs: 240_000, scale: knativeDefaults });
    assert.ok(Math.abs(result.replicas - 3) < 1e-9, `${result.replicas} replicas`);
    assert.is(result.concurrency.length, 6);
    for (const inside of result.concurrency) assert.ok(Math.abs(inside - 1.7) < 0.01, `${inside} inside`);
  });

  test('keeps one replica where little happens, and panics at a sudden load', () => {
    const calm = poisson(1, 0, 120, 1, kinds);
    const storm = poisson(2, 120_000, 60, 60, kinds);
    const options = { seed: 1, scale: knativeDefaults };
    assert.is(simulate(new OneByOne(), calm, model, options).replicas, 1);
    const result = simulate(new OneByOne(), [...calm, ...storm], model, { ...options, warmupMs: 150_000 });
    // 60/s x 100 ms = 6 inside: at least 9 replicas, half a minute after the load began.
    assert.ok(result.replicas >= 9, `${result.replicas} replicas`);
  });
});
