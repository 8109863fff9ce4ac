import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { PlacementKernel } from '../../src/kernels/placement.ts';
import { placementProblem, planService } from '../../src/planner/plan-service.ts';
import type { RevisionState, ServiceProblem } from '../../src/planner/service-problem.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { curve, problem, revision, steady } from '../support/service-problems.ts';
import { suite } from '../support/suite.ts';

const kernel = new PlacementKernel();
const mostTried = 40;

interface Candidate {
  name: string;
  replicas: number;
  cost: number;
  accuracy: number;
  alone: number;
}

/** The planner's batch of a revision, which its capacity is for. */
const planned = (each: ServiceProblem, one: RevisionState) =>
  planService({ ...each, revisions: [one], routing: 'shares', policy: { ...each.policy, budget: undefined } });

/** Share in time by the kernel's own queueing estimate, which other tests hold against the simulator. */
function inTime(each: ServiceProblem, one: RevisionState, rate: number, replicas: number): number {
  const { batch, revisions } = planned(each, one);
  const capacity = revisions[0]?.capacityPerReplica ?? 0;
  const share = kernel.estimate(placementProblem({ ...each, revisions: [one] }), rate / replicas, batch.maxBatchSize);
  const over = rate / replicas > capacity ? (0.97 * capacity * replicas) / rate : 0;
  return Math.max(share.attainment, over);
}

/** Every variant with every number of replicas that keeps the promise with a tenth of the objective to spare. */
function candidates(each: ServiceProblem, rate: number): Candidate[] {
  const found: Candidate[] = [];
  const floor = each.policy.minAccuracy ?? Number.NEGATIVE_INFINITY;
  for (const one of each.revisions) {
    if (!((one.accuracy ?? Number.NEGATIVE_INFINITY) >= floor)) continue;
    const spare = { ...each, revisions: [one], policy: { ...each.policy, sloMs: 0.9 * each.policy.sloMs } };
    const { batch } = planned(each, one);
    for (let replicas = each.bounds.minReplicas; replicas <= mostTried; replicas++) {
      const share = kernel.estimate(placementProblem(spare), rate / replicas, batch.maxBatchSize).attainment;
      if (share < each.policy.sloQuantile) continue;
      const cost = replicas * (one.price ?? 3600);
      const alone = one.latencyMs[0]?.expected ?? 0;
      found.push({ name: one.name, replicas, cost, accuracy: one.accuracy ?? 0, alone });
    }
  }
  return found;
}

const variant = fc
  .record({
    base: fc.integer({ min: 5, max: 80 }),
    item: fc.integer({ min: 1, max: 8 }),
    price: fc.integer({ min: 1, max: 6 }),
    accuracy: fc.constantFrom(0.7, 0.8, 0.9),
  })
  .map(({ base, item, price, accuracy }) =>
    revision({ latencyMs: curve(base, item), price, accuracy, readyReplicas: 0 }),
  );

suite('plans of small problems, against trying everything', (test) => {
  let compared = 0;

  test('the cheapest variant and number of replicas that keep the promise, then accuracy, then speed', () => {
    fc.assert(
      fc.property(
        fc.array(variant, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 400 }),
        fc.option(fc.constantFrom(0.75, 0.85), { nil: undefined }),
        (variants, perSecond, minAccuracy) => {
          const revisions = variants.map((one, i) => ({ ...one, name: `variant-${i}` }));
          const policy = { ...problem().policy, minAccuracy };
          const each = problem({ revisions, routing: 'choose', policy, demand: { perSecond: steady(perSecond) } });
          const plan = planService(each, kernel);
          const best = candidates(each, plan.demand).sort(
            (one, other) => one.cost - other.cost || other.accuracy - one.accuracy || one.alone - other.alone,
          )[0];
          if (!best) return;
          compared++;
          const chosen = revisions.find((one) => one.name === plan.revision) as RevisionState;
          assert.is(
            plan.expect.costPerHour,
            best.cost,
            `${plan.revision} x ${plan.replicas}, ${best.name} x ${best.replicas}`,
          );
          assert.is(chosen.accuracy ?? 0, best.accuracy);
        },
      ),
      propertyRuns(60, 11),
    );
    assert.ok(compared >= 30, `${compared} problems had an answer`);
    compared = 0;
  });

  test('two revisions share a budget so that as many requests as possible are in time', () => {
    fc.assert(
      fc.property(
        variant,
        variant,
        fc.double({ min: 0.05, max: 0.95, noNaN: true }),
        fc.integer({ min: 50, max: 900 }),
        fc.integer({ min: 2, max: 30 }),
        (first, second, share, perSecond, budget) => {
          const revisions = [
            { ...first, name: 'stable', trafficShare: share },
            { ...second, name: 'canary', trafficShare: 1 - share },
          ];
          const policy = { ...problem().policy, budget: { perHour: budget } };
          const each = problem({ revisions, policy, demand: { perSecond: steady(perSecond) } });
          const plan = planService(each, kernel);
          const free = planService({ ...each, policy: problem().policy }, kernel);
          if (free.expect.costPerHour <= budget) return;
          compared++;
          const good = (counts: readonly number[]) =>
            revisions.reduce((sum, one, i) => {
              const rate = plan.demand * one.trafficShare;
              return sum + rate * inTime(each, one, rate, counts[i] as number);
            }, 0);
          const ours = good(plan.revisions.map((one) => one.replicas));
          for (let mine = 1; mine <= mostTried; mine++) {
            for (let theirs = 1; theirs <= mostTried; theirs++) {
              if (mine * (first.price ?? 0) + theirs * (second.price ?? 0) > budget) continue;
              // More replicas than the unbounded plan has are headroom, which a budget does not buy.
              const capped = [mine, theirs].map((n, i) => Math.min(n, free.revisions[i]?.replicas ?? n));
              assert.ok(
                good(capped) <= ours + 1e-6 * plan.demand,
                `${capped} against ${plan.revisions.map((r) => r.replicas)}`,
              );
            }
          }
        },
      ),
      propertyRuns(60, 12),
    );
    assert.ok(compared >= 15, `${compared} problems were over their budget`);
  });
});
