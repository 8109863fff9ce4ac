import * as assert from 'uvu/assert';
import { DemandHistory } from '../../src/planner/demand-history.ts';
import { suite } from '../support/suite.ts';

const at = 1_700_000_040_000;

suite('recorded demand', (test) => {
  test('no arrivals and no numbers are nothing, and say how old they are', () => {
    const history = new DemandHistory();
    assert.is(history.state(at).ageMs, Number.POSITIVE_INFINITY);
    history.add('pod', [Number.NaN, -3, 5], at);
    assert.equal(history.state(at + 500).perSecond, [5]);
    assert.is(history.state(at + 500).ageMs, 500);
  });

  test('what several companions report is added up, and nothing is counted twice', () => {
    const history = new DemandHistory();
    history.add('one', [1, 2, 3], at);
    history.add('other', [10, 20, 30], at);
    // A second later the windows overlap.
    history.add('one', [2, 3, 4], at + 1000);
    history.add('other', [20, 30, 40], at + 1000);
    assert.equal(history.state(at + 1000).perSecond, [11, 22, 33, 44]);
  });

  test('the last second counts once all that are heard have told about it; a silent one holds nothing up', () => {
    const history = new DemandHistory();
    history.add('one', [5, 5], at);
    history.add('other', [5, 5], at);
    history.add('one', [5, 5, 5], at + 1000);
    assert.equal(history.state(at + 1000).perSecond, [10, 10]);
    history.add('one', [5, 5, 5, 5, 5], at + 5000);
    assert.is(history.state(at + 5000).perSecond.length, 7);
    history.drop('other');
    assert.is(history.state(at + 5000).perSecond.length, 7);
  });

  test('a minute of seconds and a day of whole minutes are kept', () => {
    const history = new DemandHistory();
    for (let second = 0; second < 90_000; second += 30) {
      history.add(
        'pod',
        Array.from({ length: 60 }, () => 1),
        at + 1000 * second,
      );
    }
    const { perSecond, perMinute } = history.state(at + 90_000_000);
    assert.is(perSecond.length, 60);
    assert.is(perMinute?.length, 1440);
    assert.ok(perMinute?.every((items) => items === 60));
  });
});
