import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { PlacementKernel } from '../../src/kernels/placement.ts';
import { PlanReason } from '../../src/kernels/plan-reasons.ts';
import { planService } from '../../src/planner/plan-service.ts';
import type { RevisionPlan, ServicePlan } from '../../src/planner/service-plan.ts';
import type { ServiceProblem } from '../../src/planner/service-problem.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { anyProblem, curve, problem, revision, steady } from '../support/service-problems.ts';
import { suite } from '../support/suite.ts';

const price = (each: ServiceProblem, name: string) => each.revisions.find((one) => one.name === name)?.price ?? 3600;

const cost = (each: ServiceProblem, plan: ServicePlan) =>
  plan.revisions.reduce((sum, one) => sum + one.replicas * price(each, one.name), 0);

/** The revisions that get traffic: bounds are theirs. */
const serving = (each: ServiceProblem, plan: ServicePlan): RevisionPlan[] =>
  each.routing === 'choose' ? plan.revisions.filter((one) => one.name === plan.revision) : [...plan.revisions];

/** What the least that the service allows costs. */
const leastCost = (each: ServiceProblem, plan: ServicePlan) =>
  serving(each, plan).reduce((sum, one) => sum + each.bounds.minReplicas * price(each, one.name), 0);

/** The budget that binds: money is compared with nothing where a price is missing. */
const budgetOf = (each: ServiceProblem, plan: ServicePlan) =>
  plan.budgetIgnored ? undefined : each.policy.budget?.perHour;

suite('plans, whatever the problem', (test) => {
  test('never fewer than the least, never more than the most, never over the budget', () => {
    fc.assert(
      fc.property(anyProblem, (each) => {
        const plan = planService(each);
        const { minReplicas, maxReplicas } = each.bounds;
        for (const one of serving(each, plan)) {
          assert.ok(one.replicas >= minReplicas, `${one.replicas} of at least ${minReplicas}`);
          if (maxReplicas > 0) assert.ok(one.replicas <= maxReplicas, `${one.replicas} of at most ${maxReplicas}`);
          assert.is(one.replicas, Math.round(one.replicas));
          assert.ok(one.knative.maxScale === 0 || one.knative.maxScale >= one.knative.minScale);
        }
        const budget = budgetOf(each, plan) ?? Number.POSITIVE_INFINITY;
        const spent = cost(each, plan);
        assert.ok(spent <= Math.max(budget, leastCost(each, plan)) * (1 + 1e-6), `${spent} of ${budget} an hour`);
        if (spent > budget * (1 + 1e-6))
          assert.is(
            plan.revisions.every((one) => one.replicas <= minReplicas),
            true,
          );
        assert.ok(Math.abs(spent - plan.expect.costPerHour) < 1e-6 * Math.max(spent, 1), 'the cost it expects');
      }),
      propertyRuns(400, 1),
    );
  });

  test('what Knative may start on its own stays within the budget too', () => {
    fc.assert(
      fc.property(anyProblem, (each) => {
        const plan = planService(each);
        const budget = budgetOf(each, plan);
        if (budget === undefined) return;
        const most = serving(each, plan).reduce((sum, one) => sum + one.knative.maxScale * price(each, one.name), 0);
        // One replica a revision may always start: without it nothing is ever served.
        const one = serving(each, plan).reduce((sum, each1) => sum + price(each, each1.name), 0);
        assert.ok(
          most <= Math.max(budget, leastCost(each, plan), one + cost(each, plan)) * (1 + 1e-6),
          `${most} of ${budget}`,
        );
      }),
      propertyRuns(300, 2),
    );
  });

  test('the same problem gives the same plan, on every build', () => {
    const kernels = (['simd', 'scalar', 'debug'] as const).map((flavour) => new PlacementKernel(flavour));
    fc.assert(
      fc.property(anyProblem, anyProblem, (each, other) => {
        const plans = kernels.map((kernel) => planService(each, kernel));
        assert.equal(plans[1], plans[0]);
        assert.equal(plans[2], plans[0]);
        // Another problem in between leaves nothing behind.
        planService(other, kernels[0]);
        assert.equal(planService(each, kernels[0]), plans[0]);
      }),
      propertyRuns(150, 3),
    );
  });

  test('every plan has a reason, and the numbers that it expects are numbers', () => {
    fc.assert(
      fc.property(anyProblem, (each) => {
        const plan = planService(each);
        assert.ok(plan.reason !== PlanReason.None);
        assert.ok(plan.expect.costPerHour >= 0 && plan.expect.replicas >= 0 && plan.demand >= 0);
        const learned = serving(each, plan).every(
          (one) => (each.revisions.find((r) => r.name === one.name)?.latencyMs.length ?? 0) > 0,
        );
        if (learned)
          assert.ok(plan.expect.attainment >= 0 && plan.expect.attainment <= 1 + 1e-9, `${plan.expect.attainment}`);
        const share = plan.revisions.reduce((sum, one) => sum + one.share, 0);
        assert.ok(Math.abs(share - 1) < 1e-9, `shares add up to ${share}`);
      }),
      propertyRuns(300, 4),
    );
  });

  test('more demand never needs fewer replicas', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1, max: 200, noNaN: true }),
        fc.double({ min: 0, max: 20, noNaN: true }),
        fc.double({ min: 1, max: 5, noNaN: true }),
        fc.integer({ min: 0, max: 900 }),
        fc.integer({ min: 0, max: 300 }),
        (base, item, slack, rate, more) => {
          const replicas = (perSecond: number) => {
            const revisions = [revision({ latencyMs: curve(base, item), readyReplicas: 0 })];
            const policy = { ...problem().policy, sloMs: (base + item) * slack };
            return planService(problem({ policy, revisions, demand: { perSecond: steady(perSecond) } })).replicas;
          };
          assert.ok(replicas(rate + more) >= replicas(rate));
        },
      ),
      propertyRuns(200, 5),
    );
  });

  test('a tighter objective never needs fewer replicas, a larger budget never keeps less of the promise', () => {
    const given = (sloMs: number, budget: number | undefined) =>
      planService(
        problem({
          policy: { ...problem().policy, sloMs, budget: budget === undefined ? undefined : { perHour: budget } },
          revisions: [revision({ price: 1 })],
          demand: { perSecond: steady(600) },
        }),
      );
    let before = Number.POSITIVE_INFINITY;
    for (const sloMs of [70, 100, 150, 200, 300, 500, 1000, 3000]) {
      const { replicas } = given(sloMs, undefined);
      assert.ok(replicas <= before, `${replicas} replicas at ${sloMs} ms`);
      before = replicas;
    }
    let kept = 0;
    for (let budget = 1; budget <= 8; budget++) {
      const { expect } = given(500, budget);
      assert.ok(expect.attainment >= kept - 1e-9, `${expect.attainment} for ${budget}`);
      kept = expect.attainment;
    }
  });
});
