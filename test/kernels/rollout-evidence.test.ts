import * as assert from 'uvu/assert';
import {
  type CallCosts,
  evidenceSummary,
  type Outcomes,
  RolloutAction,
  RolloutEvidence,
  RolloutReason,
  type StepFacts,
} from '../../src/kernels/rollout-evidence.ts';
import { Random } from '../../src/simulator/random.ts';
import { suite } from '../support/suite.ts';

const calm: StepFacts = {
  share: 0.5,
  nextShare: 1,
  onStepMs: 60_000,
  leastMs: 15_000,
  leastRequests: 20,
  silentMs: 0,
  silentMsMax: 60_000,
  ready: 2,
  load: undefined,
  capacity: undefined,
  baselineReady: 2,
  costRatio: undefined,
  cost: undefined,
  budget: undefined,
  accuracy: undefined,
  baselineAccuracy: undefined,
  accuracyFloor: undefined,
  quantile: 0.99,
  maxReplicas: undefined,
};

const outcomes = (requests: number, late = 0, failed = 0): Outcomes => ({ requests, late, failed });

/** So many calls that took so long, of sizes for which both curves say 55 ms. */
const spent = (calls: number, tookMs: number, byMs = calls * 55): CallCosts => ({
  ...{ calls, tookMs },
  ...{ byBaselineMs: byMs, byCandidateMs: byMs },
});

for (const flavour of ['simd', 'scalar', 'debug'] as const) {
  suite(`the rollout's kernel (${flavour})`, (test) => {
    const kernel = new RolloutEvidence(flavour);

    test('refuses counts that cannot be', () => {
      const none = kernel.begin();
      for (const wrong of [outcomes(1, 2), outcomes(2, 1, 2), outcomes(-1), outcomes(Number.NaN), outcomes(1e13)]) {
        assert.throws(() => kernel.observe(none, 1000, wrong, outcomes(1), 0.99));
        assert.throws(() => kernel.observe(none, 1000, outcomes(1), wrong, 0.99));
      }
      assert.throws(() => kernel.observe(none, -1, outcomes(1), outcomes(1), 0.99));
      assert.throws(() => kernel.observe(none, 1, outcomes(1), outcomes(1), 1));
    });

    test('refuses calls that cannot be, and prices and tolerances that are none', () => {
      const none = kernel.begin();
      const terms = { prices: 1, tolerance: 1.5 };
      for (const wrong of [spent(-1, 0), spent(1, -1), spent(1, 55, 0), spent(1, 55, Number.NaN), spent(1e13, 1)]) {
        assert.throws(() => kernel.observeCost(none, 1000, wrong, spent(1, 55), terms));
        assert.throws(() => kernel.observeCost(none, 1000, spent(1, 55), wrong, terms));
      }
      for (const wrong of [{ prices: 0 }, { prices: Number.NaN }, { tolerance: 0.9 }]) {
        assert.throws(() => kernel.observeCost(none, 1000, spent(1, 55), spent(1, 55), { ...terms, ...wrong }));
      }
    });

    test('calls that took twice as long cost too much after a minute, not after a few; not where the price is half', () => {
      const blocksUntil = (prices: number, facts: Partial<StepFacts> = {}): number => {
        let evidence = kernel.begin();
        for (let block = 1; block <= 200; block++) {
          const terms = { prices, tolerance: 1.5 };
          evidence = kernel.observeCost(evidence, 4000, spent(8, 8 * 110), spent(80, 80 * 55), terms);
          if (kernel.decide(evidence, { ...calm, ...facts }).reason === RolloutReason.CostsMore) return block;
        }
        return Number.POSITIVE_INFINITY;
      };
      const blocks = blocksUntil(1);
      assert.ok(blocks >= 10 && blocks <= 40, `${blocks} blocks`);
      assert.is(blocksUntil(0.5), Number.POSITIVE_INFINITY);
      assert.is(blocksUntil(1, { accuracy: 0.9, baselineAccuracy: 0.8 }), Number.POSITIVE_INFINITY);
    });

    test('a curve that is wrong speaks against nobody: calls that cost the same by either curve do not', () => {
      let evidence = kernel.begin();
      for (let block = 0; block < 200; block++) {
        // By the baseline's curve, a guess at single requests, the candidate takes three times as long.
        const own = { calls: 8, tookMs: 8 * 55, byBaselineMs: 8 * 18, byCandidateMs: 8 * 55 };
        const other = { calls: 40, tookMs: 40 * 90, byBaselineMs: 40 * 90, byCandidateMs: 40 * 88 };
        evidence = kernel.observeCost(evidence, 4000, own, other, { prices: 1, tolerance: 1.5 });
      }
      assert.ok(evidenceSummary(evidence).oddsWorse <= 1, JSON.stringify(evidenceSummary(evidence)));
    });

    test('refuses steps that go nowhere', () => {
      for (const facts of [{ share: 1 }, { share: 0.5, nextShare: 0.5 }, { nextShare: 1.1 }, { share: Number.NaN }]) {
        assert.throws(() => kernel.decide(kernel.begin(), { ...calm, ...facts }));
      }
    });

    test('takes evidence that is not its own for none', () => {
      const none = kernel.begin();
      for (const foreign of [[], [1, 2], none.map(() => Number.NaN)]) {
        assert.equal(kernel.nextShare(foreign), kernel.nextShare(none));
      }
    });

    test('closes no block before both have had requests, and no evidence is no verdict', () => {
      let evidence = kernel.begin();
      for (let second = 0; second < 500; second++) {
        evidence = kernel.observe(evidence, 1000, outcomes(100, 100), outcomes(0), 0.99);
      }
      assert.is(evidenceSummary(evidence).blocks, 0);
      assert.is(kernel.decide(evidence, calm).action, RolloutAction.Hold);
    });

    test('holds, in this order: not in the traffic, silent, too early, too few, too few replicas', () => {
      let evidence = kernel.begin();
      for (let second = 0; second < 10; second++) {
        evidence = kernel.observe(evidence, 1000, outcomes(5), outcomes(50), 0.99);
      }
      const cases: [Partial<StepFacts>, RolloutReason][] = [
        [{ onStepMs: undefined, silentMs: 1e6 }, RolloutReason.Settling],
        [{ silentMs: 60_001, onStepMs: 1 }, RolloutReason.NoEvidence],
        [{ onStepMs: 1000, leastRequests: 1e6 }, RolloutReason.Gathering],
        [{ leastRequests: 51, ready: 0 }, RolloutReason.Gathering],
        [{ ready: 1 }, RolloutReason.Warming],
        [{ load: 100, capacity: 10, baselineReady: 9, ready: 9 }, RolloutReason.Warming],
      ];
      for (const [facts, reason] of cases) {
        const verdict = kernel.decide(evidence, { ...calm, ...facts });
        assert.is(verdict.reason, reason, RolloutReason[reason]);
        assert.is(verdict.action, reason === RolloutReason.NoEvidence ? RolloutAction.Pause : RolloutAction.Hold);
      }
      assert.is(kernel.decide(evidence, { ...calm, nextShare: 0.75 }).action, RolloutAction.Raise);
    });

    test('asks for the replicas that the next share needs, within what is allowed', () => {
      const none = kernel.begin();
      const replicas = (facts: Partial<StepFacts>): number => kernel.decide(none, { ...calm, ...facts }).replicas;
      assert.is(replicas({ load: 100, capacity: 10, nextShare: 0.6, baselineReady: 10 }), 6);
      assert.is(replicas({ load: 100, capacity: 10, maxReplicas: 4, baselineReady: 10 }), 4);
      assert.is(replicas({ load: 100, capacity: 0.1, nextShare: 0.6, baselineReady: 10 }), 12, 'not a thousand');
      assert.is(replicas({ load: 0, capacity: 10 }), 1);
      assert.is(replicas({ baselineReady: 8, nextShare: 0.6 }), 5);
    });

    test('promotes only what is proven, and not a unit of wealth before', () => {
      let evidence = kernel.begin();
      for (let second = 0; second < 1000; second++) {
        evidence = kernel.observe(evidence, 1000, outcomes(20), outcomes(20), 0.99);
        const { action } = kernel.decide(evidence, calm);
        const { oddsGood } = evidenceSummary(evidence);
        assert.is(action === RolloutAction.Promote, oddsGood >= Math.exp(5.3), `${second} ${oddsGood}`);
        if (action === RolloutAction.Promote) return;
      }
      assert.unreachable('never promoted');
    });

    test('a candidate that turns bad after many good blocks is found out all the same', () => {
      let evidence = kernel.begin();
      const facts = { ...calm, nextShare: 0.75 };
      for (let second = 0; second < 2000; second++) {
        evidence = kernel.observe(evidence, 1000, outcomes(20), outcomes(20), 0.99);
      }
      for (let second = 0; second < 120; second++) {
        evidence = kernel.observe(evidence, 1000, outcomes(20, 10), outcomes(20), 0.99);
        const verdict = kernel.decide(evidence, facts);
        if (verdict.action !== RolloutAction.RollBack) continue;
        assert.is(verdict.reason, RolloutReason.MissesMore);
        assert.is(verdict.runnerUp.action, RolloutAction.Raise);
        assert.ok(verdict.expect.misses < -0.05, `expected ${verdict.expect.misses}`);
        return;
      }
      assert.unreachable('never rolled back');
    });

    test('says the same after any number of restarts, from what was stored as text', () => {
      const random = new Random(7);
      let kept = kernel.begin();
      let restored = kept;
      for (let second = 0; second < 300; second++) {
        const candidate = outcomes(6, random.uniform() < 0.1 ? 1 : 0);
        kept = kernel.observe(kept, 1000, candidate, outcomes(30), 0.99);
        const fresh = new RolloutEvidence(flavour);
        restored = fresh.observe(JSON.parse(JSON.stringify(restored)), 1000, candidate, outcomes(30), 0.99);
        assert.equal(restored, kept);
        assert.equal(fresh.decide(restored, calm), kernel.decide(kept, calm));
      }
    });

    test('the wealth of neither bet grows, on average, where its hypothesis holds', () => {
      const random = new Random(3);
      const totals = { worse: 0, good: 0 };
      const walks = 300;
      for (let walk = 0; walk < walks; walk++) {
        let same = kernel.begin();
        let worse = kernel.begin();
        for (let second = 0; second < 40; second++) {
          const draw = (share: number): Outcomes =>
            outcomes(4, [1, 2, 3, 4].filter(() => random.uniform() < share).length);
          same = kernel.observe(same, 4000, draw(0.2), draw(0.2), 0.99);
          worse = kernel.observe(worse, 4000, draw(0.25), draw(0.2), 0.99);
        }
        totals.worse += evidenceSummary(same).oddsWorse / walks;
        totals.good += evidenceSummary(worse).oddsGood / walks;
      }
      // The larger of two bets against is summed, so that its mean may lie a little above 1.
      assert.ok(totals.worse < 1.6 && totals.good < 1.3, JSON.stringify(totals));
    });
  });
}
