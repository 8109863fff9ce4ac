import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { nextSplit, percentages, pointsAtOnce, type SplitTarget } from '../../../src/controller/rollout/split.ts';
import { propertyRuns } from '../../support/property-runs.ts';
import { suite } from '../../support/suite.ts';

const named = (weights: readonly number[]) => weights.map((weight, index) => ({ revision: `r${index}`, weight }));
const sum = (split: readonly SplitTarget[]): number => split.reduce((total, { percent }) => total + percent, 0);

suite('whole percentages', (test) => {
  test('refuse weights that are none', () => {
    for (const wrong of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => percentages(named([1, wrong])), RangeError);
    }
  });

  test('of nothing are none', () => {
    assert.equal(percentages([]), []);
    assert.equal(percentages(named([0, 0])), []);
  });

  test('go to the largest remainder, and to the earlier of equals', () => {
    assert.equal(
      percentages(named([1, 1, 1])).map(({ percent }) => percent),
      [34, 33, 33],
    );
    assert.equal(
      percentages(named([0.005, 0.995])).map(({ percent }) => percent),
      [1, 99],
    );
    assert.equal(percentages(named([0.004, 0.996])), [{ revision: 'r1', percent: 100 }]);
  });

  test('sum to 100 and are within 1 of the exact share, whatever the weights', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1e300, noNaN: true }), { minLength: 1, maxLength: 12 }),
        (weights) => {
          const split = percentages(named(weights));
          const most = Math.max(...weights);
          if (most === 0) return assert.equal(split, []);
          assert.is(sum(split), 100);
          const total = weights.reduce((all, weight) => all + weight / most, 0);
          for (const [index, weight] of weights.entries()) {
            const percent = split.find(({ revision }) => revision === `r${index}`)?.percent ?? 0;
            assert.ok(Math.abs(percent - (100 * (weight / most)) / total) < 1 + 1e-6);
          }
        },
      ),
      propertyRuns(300, 3000),
    );
  });
});

suite('the way from one split to another', (test) => {
  test('gives a revision without ready replicas nothing', () => {
    const present = [{ revision: 'a', percent: 100 }];
    const wanted = [{ revision: 'b', percent: 100 }];
    assert.equal(nextSplit(present, wanted, new Map([['b', 0]])), present);
    assert.equal(nextSplit(present, wanted, new Map()), present);
  });

  test('moves some points at a time, sums to 100 all the way, and arrives', () => {
    const split = fc
      .array(fc.nat(100), { minLength: 1, maxLength: 5 })
      .filter((weights) => weights.some((weight) => weight > 0))
      .map((weights) => percentages(named(weights)));
    fc.assert(
      fc.property(split, split, (from, to) => {
        const room = new Map(to.map(({ revision }) => [revision, 100]));
        const order = (each: readonly SplitTarget[]) => [...each].sort((a, b) => (a.revision < b.revision ? -1 : 1));
        let now: readonly SplitTarget[] = from;
        for (let step = 0; step < 100 / pointsAtOnce; step++) {
          const next = nextSplit(now, to, room);
          assert.is(sum(next), 100);
          for (const { revision, percent } of next) {
            const before = now.find((each) => each.revision === revision)?.percent ?? 0;
            assert.ok(percent - before <= pointsAtOnce);
          }
          now = next;
        }
        assert.equal(order(now), order(to));
      }),
      propertyRuns(200, 2000),
    );
  });
});
