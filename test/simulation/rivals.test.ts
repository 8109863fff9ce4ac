import * as assert from 'uvu/assert';
import { defaultSettings, PacelinePolicy } from '../../src/simulator/paceline.ts';
import type { DispatchPolicy } from '../../src/simulator/policy.ts';
import { BentoMl, SlidingWindow } from '../../src/simulator/rivals/learned-rules.ts';
import { MlProxy, mlProxyDefaults } from '../../src/simulator/rivals/ml-proxy.ts';
import { FixedTimer, KServeBatcher, WorkConserving } from '../../src/simulator/rivals/static-rules.ts';
import { type SimulationResult, simulate } from '../../src/simulator/run.ts';
import { poisson, referenceCapacity, referenceModel } from '../../src/simulator/workload.ts';
import { suite } from '../support/suite.ts';

const curve = (items: number) => 20 + items;

function play(policy: DispatchPolicy, load: number, noise: number, seconds = 20, seed = 0): SimulationResult {
  const kinds = [{ weight: 1, sloMs: 200, lane: 0 }];
  const workload = poisson(load + 1000 * seed, 0, seconds, (referenceCapacity * load) / 100, kinds);
  return simulate(policy, workload, referenceModel(noise), { seed: load + 7 + seed, warmupMs: 1000 });
}

suite('rival rules behave as their products do', (test) => {
  test('every rule answers all requests at 50 % load', () => {
    for (const policy of [
      new WorkConserving(32),
      new FixedTimer(32, 10),
      new KServeBatcher(32, 50),
      new BentoMl(32, 200),
      new SlidingWindow(32, curve),
    ]) {
      const result = play(policy, 50, 0.02);
      assert.is(result.lost, 0, policy.constructor.name);
      assert.ok(result.goodput > 0.95, `${policy.constructor.name} keeps ${result.goodput}`);
    }
  });

  test("KServe's defaults wait for their timer at low load and collapse above capacity", () => {
    const low = play(new KServeBatcher(32, 5000), 5, 0.02);
    assert.ok(low.p50 > 300, `P50 ${low.p50} ms`);
    assert.ok(play(new KServeBatcher(32, 50), 110, 0.02).goodput < 0.2);
  });

  test('MLProxy pins latency near its target at low load', () => {
    const low = play(new MlProxy({ ...mlProxyDefaults, sloMs: 500 }), 1, 0.02, 60);
    assert.ok(low.p50 > 100, `P50 ${low.p50} ms`);
  });
});

suite('Paceline against its rivals', (test) => {
  for (const noise of [0, 0.05, 0.1, 0.2]) {
    test(`goodput is at most 0.5 points below the sliding window's, noise ${noise}, at every load`, () => {
      for (const load of [5, 15, 30, 45, 60, 70, 80, 90, 95, 100, 110, 130, 150]) {
        for (const seed of [0, 1, 2]) {
          const rival = play(new SlidingWindow(32, curve), load, noise, 20, seed);
          const ours = play(new PacelinePolicy(defaultSettings(200), 0), load, noise, 20, seed);
          assert.ok(
            ours.goodput >= rival.goodput - 0.005,
            `${load} %, noise ${noise}, seed ${seed}: ${(100 * ours.goodput).toFixed(2)} % against ${(100 * rival.goodput).toFixed(2)} %`,
          );
        }
      }
    });
  }

  test('patience 1 takes at most 0.75 of the model time of work-conserving dispatch while batches are small', () => {
    for (const load of [5, 15, 30]) {
      const greedy = play(new WorkConserving(32), load, 0.02);
      const ours = play(new PacelinePolicy({ ...defaultSettings(200), patience: 1 }, 0), load, 0.02);
      assert.ok(ours.goodput >= greedy.goodput - 0.003, `goodput ${ours.goodput} at ${load} %`);
      const ratio = ours.busyMsPerRequest / greedy.busyMsPerRequest;
      assert.ok(ratio <= 0.75, `${ratio.toFixed(2)} of the model time at ${load} %`);
    }
  });
});
