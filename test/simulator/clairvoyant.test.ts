import * as assert from 'uvu/assert';
import { Random } from '../../src/simulator/random.ts';
import { clairvoyantGoodput } from '../../src/simulator/rivals/clairvoyant.ts';
import { SlidingWindow } from '../../src/simulator/rivals/learned-rules.ts';
import { type SimulatedRequest, simulate } from '../../src/simulator/run.ts';
import { poisson, referenceModel } from '../../src/simulator/workload.ts';
import { suite } from '../support/suite.ts';

const curve = (items: number) => 20 + items;

suite('clairvoyant scheduler', (test) => {
  test('refuses deadlines that do not follow arrivals', () => {
    const workload = [
      { at: 0, sloMs: 200, lane: 0 },
      { at: 10, sloMs: 50, lane: 0 },
    ];
    assert.throws(() => clairvoyantGoodput(workload, 4, curve), /deadlines/);
  });

  test('serves what fits, and drops the least that it must', () => {
    const at = (times: number[]) => times.map((each) => ({ at: each, sloMs: 30, lane: 0 }));
    assert.is(clairvoyantGoodput(at([0]), 4, curve), 1);
    // Together the first two end at 5 + 22 = 27, in time; the third would have to wait for them.
    assert.is(clairvoyantGoodput(at([0, 5, 6]), 2, curve), 2 / 3);
    assert.is(clairvoyantGoodput(at([0, 5, 6]), 3, curve), 1);
  });

  test('finds what trying every schedule finds', () => {
    const random = new Random(4);
    for (let round = 0; round < 60; round++) {
      let time = 0;
      const workload = Array.from({ length: 9 }, () => {
        time += random.exponential(8);
        return { at: time, sloMs: 45, lane: 0 };
      });
      assert.is(clairvoyantGoodput(workload, 3, curve), bestOfAll(workload, 3) / 9, `round ${round}`);
    }
  });

  test('no rule that cannot see ahead does better', () => {
    const workload = poisson(3, 0, 10, 650, [{ weight: 1, sloMs: 200, lane: 0 }]);
    const rule = simulate(new SlidingWindow(32, curve), workload, referenceModel(0), { seed: 1 });
    const best = clairvoyantGoodput(workload, 32, curve);
    assert.ok(best >= rule.goodput && best < 1, `${best} against ${rule.goodput}`);
  });
});

/** The most requests in time over all sets that may form the next batch, not only neighbours. */
function bestOfAll(workload: readonly SimulatedRequest[], maxItems: number): number {
  const search = (left: readonly SimulatedRequest[], free: number): number => {
    let best = 0;
    for (let mask = 1; mask < 1 << left.length; mask++) {
      const batch = left.filter((_, i) => mask & (1 << i));
      if (batch.length > maxItems) continue;
      const end = Math.max(free, ...batch.map((each) => each.at)) + curve(batch.length);
      if (batch.some((each) => each.at + each.sloMs < end)) continue;
      const rest = left.filter((each, i) => !(mask & (1 << i)) && each.at + each.sloMs > end);
      best = Math.max(best, batch.length + search(rest, end));
    }
    return best;
  };
  return search(workload, Number.NEGATIVE_INFINITY);
}
