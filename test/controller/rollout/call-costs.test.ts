import * as assert from 'uvu/assert';
import { comparedCosts } from '../../../src/controller/rollout/call-costs.ts';
import type { RevisionView } from '../../../src/controller/rollout/view.ts';
import { suite } from '../../support/suite.ts';

const curve = (base: number, slope: number) => [1, 4, 16].map((items) => ({ items, expected: base + slope * items }));
const revision = (more: Partial<RevisionView>): RevisionView => ({ readyReplicas: 1, latencyMs: [], ...more });
const candidate = revision({ latencyMs: curve(100, 10), calls: { calls: 4, items: 8, tookMs: 480 } });
const stable = revision({ latencyMs: curve(50, 5), calls: { calls: 10, items: 300, tookMs: 2000 } });

suite('what calls cost, as the test compares it', (test) => {
  test('is nothing without calls or without a curve of either', () => {
    for (const less of [{ calls: undefined }, { latencyMs: [] }]) {
      assert.is(comparedCosts({ ...candidate, ...less }, stable), undefined);
      assert.is(comparedCosts(candidate, { ...stable, ...less }), undefined);
    }
  });

  test('is what both curves say for the sizes, also between and beyond their points', () => {
    const compared = comparedCosts(candidate, stable);
    assert.equal(compared?.candidate, { calls: 4, tookMs: 480, byBaselineMs: 240, byCandidateMs: 480 });
    assert.equal(compared?.stable, { calls: 10, tookMs: 2000, byBaselineMs: 2000, byCandidateMs: 4000 });
  });

  test('of no calls is nothing, and a falling line never ends below nothing', () => {
    const idle = { ...candidate, calls: { calls: 0, items: 0, tookMs: 0 } };
    assert.equal(comparedCosts(idle, stable)?.candidate, { calls: 0, tookMs: 0, byBaselineMs: 0, byCandidateMs: 0 });
    const falling = { ...stable, latencyMs: [1, 2].map((items) => ({ items, expected: 3 - items })) };
    assert.ok((comparedCosts(candidate, falling)?.stable.byBaselineMs ?? 0) > 0);
  });

  test('counts prices where both are known, and one point as a curve', () => {
    assert.is(comparedCosts({ ...candidate, price: 3 }, { ...stable, price: 2 })?.prices, 1.5);
    assert.is(comparedCosts({ ...candidate, price: 3 }, stable)?.prices, 1);
    const single = { ...stable, latencyMs: [{ items: 4, expected: 70 }] };
    assert.is(comparedCosts(candidate, single)?.candidate.byBaselineMs, 280);
  });
});
