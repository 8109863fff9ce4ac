import * as assert from 'uvu/assert';
import { Arrivals } from '../../src/companion/arrivals.ts';
import { suite } from '../support/suite.ts';

const sum = (counts: number[]) => counts.reduce((total, count) => total + count, 0);

suite('arrivals', (test) => {
  test('the running second is left out, and each whole one has its own', () => {
    const arrivals = new Arrivals();
    arrivals.add(100_000, 1);
    arrivals.add(100_900, 2);
    assert.is(sum(arrivals.lastMinute(100_999)), 0);
    assert.is(arrivals.lastMinute(101_000).at(-1), 3);
    arrivals.add(102_500, 4);
    assert.equal(arrivals.lastMinute(103_000).slice(-3), [3, 0, 4]);
    assert.is(arrivals.lastMinute(103_000).length, 60);
  });

  test('what is older than a minute is forgotten, also after a long silence', () => {
    const arrivals = new Arrivals();
    for (let second = 0; second < 200; second++) arrivals.add(second * 1000, second);
    assert.equal(
      arrivals.lastMinute(200_000),
      Array.from({ length: 60 }, (_, i) => 140 + i),
    );
    assert.is(sum(arrivals.lastMinute(230_000)), sum(Array.from({ length: 30 }, (_, i) => 170 + i)));
    assert.is(sum(arrivals.lastMinute(900_000)), 0);
    arrivals.add(900_500, 7);
    assert.equal(arrivals.lastMinute(901_000).slice(-2), [0, 7]);
  });
});
