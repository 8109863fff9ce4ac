import * as assert from 'uvu/assert';
import { OutcomeCounter, type PodTotals } from '../../../src/controller/rollout/outcome-counter.ts';
import { suite } from '../../support/suite.ts';

function pod(uid: string, revision: string, uptimeMs: number, counts?: [number, number, number]): PodTotals {
  const [requests = 0, missed = 0, failed = 0] = counts ?? [];
  return { uid, revision, uptimeMs, totals: counts && { requests, missed, failed } };
}

suite('outcomes since the last look', (test) => {
  test('none of a pod that is seen for the first time, and no outcomes of one that reports none', () => {
    const counter = new OutcomeCounter();
    const outcomes = counter.take([pod('a', 'm-1', 1000, [500, 5, 1]), pod('b', 'm-2', 1000)]);
    assert.equal([...outcomes], [['m-1', { requests: 0, late: 0, failed: 0 }]]);
  });

  test('of one report are counted once', () => {
    const counter = new OutcomeCounter();
    counter.take([pod('a', 'm-1', 1000, [500, 5, 1])]);
    const next = pod('a', 'm-1', 2000, [520, 7, 2]);
    assert.equal(counter.take([next]).get('m-1'), { requests: 20, late: 3, failed: 1 });
    assert.equal(counter.take([next]).get('m-1'), { requests: 0, late: 0, failed: 0 });
  });

  test('of a companion that started anew are all that it counted', () => {
    const counter = new OutcomeCounter();
    counter.take([pod('a', 'm-1', 9000, [500, 5, 1])]);
    assert.equal(counter.take([pod('a', 'm-1', 100, [501, 5, 1])]).get('m-1'), { requests: 501, late: 6, failed: 1 });
  });

  test('survive a report that is lost, and are added up over the pods of a revision', () => {
    const counter = new OutcomeCounter();
    counter.take([pod('a', 'm-1', 1000, [10, 0, 0]), pod('b', 'm-1', 1000, [10, 0, 0])]);
    assert.is(counter.take([pod('a', 'm-1', 2000), pod('b', 'm-1', 2000, [15, 1, 0])]).get('m-1')?.requests, 5);
    assert.is(
      counter.take([pod('a', 'm-1', 3000, [40, 0, 0]), pod('b', 'm-1', 3000, [15, 1, 0])]).get('m-1')?.requests,
      30,
    );
  });

  test('never more late or failed requests than there were', () => {
    const counter = new OutcomeCounter();
    counter.take([pod('a', 'm-1', 1000, [10, 0, 0])]);
    assert.equal(counter.take([pod('a', 'm-1', 2000, [12, 9, 9])]).get('m-1'), { requests: 2, late: 2, failed: 2 });
  });
});
