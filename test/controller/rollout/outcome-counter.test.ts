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
    assert.equal([...outcomes], [['m-1', { requests: 0, late: 0, failed: 0, calls: undefined }]]);
  });

  test('of one report are counted once', () => {
    const counter = new OutcomeCounter();
    counter.take([pod('a', 'm-1', 1000, [500, 5, 1])]);
    const next = pod('a', 'm-1', 2000, [520, 7, 2]);
    assert.equal(counter.take([next]).get('m-1'), { requests: 20, late: 3, failed: 1, calls: undefined });
    assert.equal(counter.take([next]).get('m-1'), { requests: 0, late: 0, failed: 0, calls: undefined });
  });

  test('of a companion that started anew are all that it counted', () => {
    const counter = new OutcomeCounter();
    counter.take([pod('a', 'm-1', 9000, [500, 5, 1])]);
    const anew = counter.take([pod('a', 'm-1', 100, [501, 5, 1])]).get('m-1');
    assert.equal(anew, { requests: 501, late: 6, failed: 1, calls: undefined });
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
    const { late, failed } = counter.take([pod('a', 'm-1', 2000, [12, 9, 9])]).get('m-1') ?? {};
    assert.equal({ late, failed }, { late: 2, failed: 2 });
  });

  test('hold the calls of the model: none of a starved companion, none twice, and all of one that started anew', () => {
    const counter = new OutcomeCounter();
    const told = (uid: string, uptimeMs: number, calls: number, starved = false): PodTotals => ({
      ...{ uid, revision: 'm-1', uptimeMs, starved },
      totals: { requests: calls, missed: 0, failed: 0, calls: { calls, items: 2 * calls, tookMs: 60 * calls } },
    });
    const taken = (...pods: PodTotals[]) => counter.take(pods).get('m-1')?.calls;
    assert.equal(taken(told('a', 1000, 10), told('b', 1000, 10)), { calls: 0, items: 0, tookMs: 0 });
    assert.equal(taken(told('a', 2000, 14), told('b', 2000, 11)), { calls: 5, items: 10, tookMs: 300 });
    assert.equal(taken(told('a', 3000, 15), told('b', 3000, 19, true)), { calls: 1, items: 2, tookMs: 60 });
    assert.equal(taken(told('a', 4000, 15, true), told('b', 4000, 20, true)), undefined);
    assert.equal(taken(told('a', 100, 3), told('b', 5000, 20)), { calls: 3, items: 6, tookMs: 180 });
  });
});
