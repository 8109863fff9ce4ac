import * as assert from 'uvu/assert';
import { quantileOf, Series } from '../../loadtests/series.ts';
import { suite } from '../support/suite.ts';

suite('load series', (test) => {
  test('a side that nobody asked for is refused', () => {
    assert.throws(() => new Series(['a']).add({ side: 'b', sentMs: 0, ms: 1, outcome: 'good' }), /not asked for: b/);
  });

  test('requests count in the second in which they were sent, whenever they end', () => {
    const series = new Series(['a']);
    series.begin(10_000);
    series.add({ side: 'a', sentMs: 12_500, ms: 20, outcome: 'good' });
    series.add({ side: 'a', sentMs: 10_100, ms: 9000, outcome: 'late' });
    series.add({ side: 'a', sentMs: 9_990, ms: 5, outcome: 'failed' });
    assert.equal(
      series.seconds('a').map(({ sent, good, late, failed }) => [sent, good, late, failed]),
      [
        [2, 0, 1, 1],
        [0, 0, 0, 0],
        [1, 1, 0, 0],
      ],
    );
  });

  test('what could not be sent is missed too', () => {
    const series = new Series(['a']);
    series.begin(0);
    for (let i = 0; i < 8; i++)
      series.add({ side: 'a', sentMs: i * 100, ms: 10 + i, outcome: i < 6 ? 'good' : 'refused' });
    series.unsent('a', 900, 2);
    const tally = series.tally('a', 0, 2);
    assert.equal([tally.requests, tally.good, tally.refused, tally.unsent], [10, 6, 2, 2]);
    assert.is(tally.attainment, 0.6);
    assert.is(tally.goodput, 3);
    assert.equal([tally.p50Ms, tally.p99Ms], [13, 17]);
  });

  test('a phase without requests is no failure, and has no latency', () => {
    const tally = new Series(['a']).tally('a', 0, 5);
    assert.equal([tally.attainment, tally.goodput, tally.p50Ms], [1, 0, null]);
  });

  test('quantiles are values that occurred', () => {
    assert.is(quantileOf([], 0.5), null);
    assert.is(quantileOf([7], 0.01), 7);
    assert.is(quantileOf([1, 2, 3, 4], 0.5), 2);
    assert.is(quantileOf([1, 2, 3, 4], 0.99), 4);
  });
});
