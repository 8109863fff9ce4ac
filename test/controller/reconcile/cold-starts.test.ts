import * as assert from 'uvu/assert';
import { ColdStarts } from '../../../src/controller/reconcile/cold-starts.ts';
import { suite } from '../../support/suite.ts';

suite('how long pods take to start', (test) => {
  test('what cannot be is left out', () => {
    const starts = new ColdStarts();
    for (const ms of [-1, Number.NaN, 3_600_001]) {
      starts.add(ms);
      starts.addFound(ms);
    }
    assert.equal(starts.distribution(), { p50Ms: 0, p95Ms: 0, count: 0 });
  });

  test('a pod that was found after it had failed a probe does not make every start a long one', () => {
    const starts = new ColdStarts();
    for (const ms of [4_000, 5_000, 1_800_000]) starts.addFound(ms);
    assert.equal(starts.distribution(), { p50Ms: 5_000, p95Ms: 5_000, count: 3 });
  });

  test('the first start that is watched takes the place of all that were found, and nothing found comes after', () => {
    const starts = new ColdStarts();
    starts.addFound(1_800_000);
    starts.add(4_000);
    starts.addFound(1_800_000);
    assert.equal(starts.distribution(), { p50Ms: 4_000, p95Ms: 4_000, count: 1 });
  });

  test('of starts that were watched the last ones count, and the longest of twenty is their P95', () => {
    const starts = new ColdStarts();
    for (let i = 0; i < 100; i++) starts.add(60_000);
    for (let i = 0; i < 32; i++) starts.add(1_000 * (i + 1));
    assert.equal(starts.distribution(), { p50Ms: 16_000, p95Ms: 31_000, count: 32 });
  });
});
