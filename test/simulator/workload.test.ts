import * as assert from 'uvu/assert';
import { Random } from '../../src/simulator/random.ts';
import { simulate } from '../../src/simulator/run.ts';
import { onOff, poisson, referenceModel } from '../../src/simulator/workload.ts';
import { suite } from '../support/suite.ts';

suite('workloads', (test) => {
  test('the same seed gives the same requests, another seed others', () => {
    const kinds = [
      { weight: 3, sloMs: 80, lane: 0 },
      { weight: 1, sloMs: 200, lane: 1 },
    ];
    const first = poisson(1, 1000, 30, 100, kinds);
    assert.equal(first, poisson(1, 1000, 30, 100, kinds));
    assert.not.equal(first, poisson(2, 1000, 30, 100, kinds));
    assert.ok(Math.abs(first.length - 3000) < 4 * Math.sqrt(3000), `${first.length} arrivals of 3000 expected`);
    const share = first.filter((request) => request.lane === 0).length / first.length;
    assert.ok(Math.abs(share - 0.75) < 0.04, `${share} of the first kind`);
    assert.ok(first.every((request) => request.at >= 1000 && request.at < 31_000));
  });

  test('on/off bursts have the mean rate and both phases', () => {
    const requests = onOff(2, 0, 400, 100, 3, 1000, [{ weight: 1, sloMs: 200, lane: 0 }]);
    assert.ok(Math.abs(requests.length / 400 - 100) < 6, `${requests.length / 400} a second`);
    assert.ok(
      requests.every((request, i) => i === 0 || request.at >= (requests[i - 1]?.at ?? 0)),
      'in order',
    );
    const perSecond = new Array(400).fill(0);
    for (const request of requests) perSecond[Math.floor(request.at / 1000)]++;
    assert.ok(perSecond.filter((count) => count < 70).length > 40, 'seconds near 50');
    assert.ok(perSecond.filter((count) => count > 130).length > 40, 'seconds near 150');
  });

  test('noise has mean 1', () => {
    const random = new Random(3);
    let sum = 0;
    for (let i = 0; i < 50_000; i++) sum += random.noise(0.1);
    assert.ok(Math.abs(sum / 50_000 - 1) < 0.005);
  });
});

suite('simulated model', (test) => {
  /** Sends each request by itself, at once. */
  function oneByOne() {
    let batch = 0;
    const waiting: number[] = [];
    return {
      arrive: (_now: number, id: number) => void waiting.push(id),
      complete: () => {},
      cancel: () => {},
      step: (_now: number, act: { dispatch(batch: number, lane: number, ids: readonly number[]): void }) => {
        for (const id of waiting.splice(0)) act.dispatch(batch++, 0, [id]);
        return Number.POSITIVE_INFINITY;
      },
    };
  }

  test('serves first in first out, one batch at a time', () => {
    const workload = [0, 1, 2].map((at) => ({ at, sloMs: 45, lane: 0 }));
    const result = simulate(oneByOne(), workload, referenceModel(0), { seed: 1 });
    // 21 ms each: answered at 21, 42 and 63, so the third misses its 45 ms.
    assert.equal([...result.onTime], [1, 1, 0]);
    assert.is(result.answered, 3);
    assert.is(result.busyMsPerRequest, 21);
  });

  test('runs as many at once as it has servers', () => {
    const workload = [0, 0, 0].map((at) => ({ at, sloMs: 30, lane: 0 }));
    const result = simulate(oneByOne(), workload, { ...referenceModel(0), servers: 3 }, { seed: 1 });
    assert.is(result.goodput, 1);
  });
});
