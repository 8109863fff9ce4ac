import * as assert from 'uvu/assert';
import { PlanReason, planReasonLabel } from '../../src/kernels/plan-reasons.ts';
import { planService } from '../../src/planner/plan-service.ts';
import type { ServicePlan } from '../../src/planner/service-plan.ts';
import type { ServiceProblem } from '../../src/planner/service-problem.ts';
import { curve, problem, revision, steady } from '../support/service-problems.ts';
import { suite } from '../support/suite.ts';

const isReason = (plan: ServicePlan, reason: PlanReason) =>
  assert.is(planReasonLabel(plan.reason), planReasonLabel(reason));

/** The same service again, `seconds` later, as the plan left it. */
const later = (each: ServiceProblem, plan: ServicePlan, seconds: number, more: Partial<ServiceProblem> = {}) => ({
  ...each,
  now: each.now + 1000 * seconds,
  previous: plan,
  revisions: each.revisions.map((one) => {
    const replicas = plan.revisions.find((r) => r.name === one.name)?.replicas ?? 0;
    return { ...one, readyReplicas: replicas, pendingReplicas: 0 };
  }),
  ...more,
});

suite('a plan is refused', (test) => {
  test('without a revision, with too many, and with numbers that are none', () => {
    assert.throws(() => planService(problem({ revisions: [] })), /without revisions/);
    const many = Array.from({ length: 33 }, (_, i) => revision({ name: `r${i}` }));
    assert.throws(() => planService(problem({ revisions: many })));
    for (const sloMs of [Number.NaN, 0, -5, Number.POSITIVE_INFINITY]) {
      assert.throws(() => planService(problem({ policy: { ...problem().policy, sloMs } })));
    }
    // And the next one is planned as if nothing had been.
    assert.is(planService(problem()).replicas, 1);
  });

  test('points of a curve that are no numbers are left out, and times that fall are noise', () => {
    const latencyMs = [
      { items: 16, expected: 130, quantile: 120 },
      { items: 1, expected: Number.NaN, quantile: 60 },
      { items: 4, expected: 140, quantile: 150 },
      { items: 4, expected: 10, quantile: 10 },
      { items: 0, expected: 5, quantile: 5 },
    ];
    const plan = planService(problem({ revisions: [revision({ latencyMs })] }));
    assert.ok(plan.expect.attainment > 0.99, `${plan.expect.attainment}`);
  });
});

suite('how many replicas', (test) => {
  test('a fivefold step is planned for one second after it, the size after two', () => {
    const after = (seconds: number) => [...steady(40).slice(seconds), ...steady(200).slice(0, seconds)];
    const one = planService(problem({ demand: { perSecond: after(1) } }));
    isReason(one, PlanReason.Demand);
    assert.is(one.replicas, 2);
    const two = planService(problem({ demand: { perSecond: after(2) } }));
    assert.ok(two.demand >= 200 && two.demand < 230, `${two.demand} a second`);
  });

  test('a steady rise is carried on over the cold start, and noise is not', () => {
    const rise = Array.from({ length: 60 }, (_, i) => 40 + 3 * i);
    const plan = planService(problem({ demand: { perSecond: rise }, coldStart: { p50Ms: 2e4, p95Ms: 2e4, count: 3 } }));
    assert.ok(plan.demand > 217 + 3 * 20, `${plan.demand} a second`);
    const wobble = Array.from({ length: 60 }, (_, i) => 40 + (i % 2 === 0 ? 3 : -3));
    const calm = planService(problem({ demand: { perSecond: wobble } }));
    assert.ok(calm.demand < 50, `${calm.demand} a second`);
  });

  test('what was held during a start from zero, and a burst of one second, are no lasting demand', () => {
    const quiet = steady(0).slice(10);
    const bounds = { minReplicas: 0, maxReplicas: 0, containerConcurrency: 0 };
    const coldStart = { p50Ms: 9000, p95Ms: 9000, count: 3 };
    const held = planService(problem({ bounds, coldStart, demand: { perSecond: [...quiet, 400] } }));
    assert.is(held.replicas, 1);
    const burst = planService(problem({ demand: { perSecond: [...steady(40).slice(5), 600, 40, 40, 40, 40] } }));
    assert.ok(burst.demand < 200, `${burst.demand} a second`);
  });

  test('fewer only once fewer have done for the time of stabilisation', () => {
    let each = problem({ demand: { perSecond: steady(400) }, revisions: [revision({ readyReplicas: 4 })] });
    let plan = planService(each);
    const high = plan.replicas;
    assert.ok(high >= 3);
    for (let seconds = 0; seconds < 30; seconds += 10) {
      each = later(each, plan, 10, { demand: { perSecond: steady(40) } });
      plan = planService(each);
      isReason(plan, PlanReason.Stabilising);
      assert.is(plan.replicas, high);
    }
    plan = planService(later(each, plan, 10, { demand: { perSecond: steady(40) } }));
    isReason(plan, PlanReason.LowerDemand);
    assert.is(plan.replicas, 1);
  });

  test('a second of high demand during stabilisation begins it anew', () => {
    let each = problem({ demand: { perSecond: steady(400) }, revisions: [revision({ readyReplicas: 4 })] });
    let plan = planService(each);
    const high = plan.replicas;
    for (const rate of [40, 40, 400, 40, 40, 40]) {
      each = later(each, plan, 10, { demand: { perSecond: steady(rate) } });
      plan = planService(each);
      assert.is(plan.replicas, high);
    }
  });

  test('replicas that are needed again soon after they went are kept longer the next time', () => {
    let each = problem({ demand: { perSecond: steady(400) }, revisions: [revision({ readyReplicas: 4 })] });
    let plan = planService(each);
    const high = plan.replicas;
    const lows: number[] = [];
    for (let second = 0; second < 1200; second += 10) {
      each = later(each, plan, 10, { demand: { perSecond: steady(second % 120 < 10 ? 400 : 40) } });
      plan = planService(each);
      if (second % 120 === 110) lows.push(plan.replicas);
    }
    assert.ok((lows[0] as number) < high, 'the first time they go');
    assert.ok((lows.at(-1) as number) >= high - 1, `${lows} at the end of each calm stretch`);
  });

  test('stale signals change nothing, nor does a model of which nothing is known', () => {
    const revisions = [revision({ readyReplicas: 5 })];
    const stale = planService(problem({ revisions, demand: { perSecond: steady(1), ageMs: 60_000 } }));
    isReason(stale, PlanReason.StaleSignals);
    assert.is(stale.replicas, 5);
    const learning = planService(problem({ revisions: [revision({ readyReplicas: 3, latencyMs: [] })] }));
    isReason(learning, PlanReason.Learning);
    assert.is(learning.replicas, 3);
  });

  test('a model that nobody has asked anything yet goes to zero where it may, once it was idle for long enough', () => {
    const idle = { minReplicas: 0, maxReplicas: 10, containerConcurrency: 0 };
    const unasked = problem({
      bounds: idle,
      demand: { perSecond: steady(0) },
      revisions: [revision({ readyReplicas: 1, latencyMs: [], arrivalRate: 0 })],
    });
    const first = planService(unasked);
    isReason(first, PlanReason.Stabilising);
    assert.is(first.replicas, 1);
    const soon = planService(later(unasked, first, 20));
    assert.is(soon.replicas, 1, 'half a minute at least');
    const then = planService(later(unasked, soon, 600));
    isReason(then, PlanReason.ScaleToZero);
    assert.equal([then.replicas, then.revisions[0]?.knative.minScale], [0, 0]);

    const needed = planService({ ...unasked, bounds: { ...idle, minReplicas: 1 } });
    isReason(needed, PlanReason.Learning);
    const unheard = { perSecond: steady(0), ageMs: Number.POSITIVE_INFINITY };
    isReason(planService({ ...unasked, demand: unheard, now: unasked.now + 600_000 }), PlanReason.StaleSignals);
  });

  test('what is idle at its least is planned the same way again and again', () => {
    for (const least of [1, 3]) {
      let each = problem({
        bounds: { minReplicas: least, maxReplicas: 10, containerConcurrency: 0 },
        demand: { perSecond: steady(0) },
        revisions: [revision({ readyReplicas: least, arrivalRate: 0 })],
      });
      for (let i = 0; i < 60; i++) {
        const plan = planService(each);
        isReason(plan, PlanReason.Minimum);
        assert.is(plan.replicas, least);
        each = later(each, plan, 10);
      }
    }
  });

  test('a promise that is missed for no known reason gets one replica more, once things have settled', () => {
    const each = problem({ demand: { perSecond: steady(100) } });
    const plan = planService(each);
    assert.is(plan.replicas, 1);
    const missing = (seconds: number, before: ServicePlan) => {
      const next = later(each, before, seconds);
      return planService({ ...next, revisions: next.revisions.map((one) => ({ ...one, attainment: 0.9 })) });
    };
    assert.is(missing(60, plan).replicas, 1, 'too soon: the misses may be of the start');
    const raised = missing(120, plan);
    isReason(raised, PlanReason.Attainment);
    assert.is(raised.replicas, 2);
  });

  test('an objective that the model alone misses says so and serves what comes', () => {
    const policy = { ...problem().policy, sloMs: 40 };
    const plan = planService(problem({ policy, demand: { perSecond: steady(200) } }));
    isReason(plan, PlanReason.Unreachable);
    assert.is(plan.expect.attainment, 0);
    assert.ok(plan.replicas >= 2, `${plan.replicas} replicas`);
  });

  test('no more than the service allows', () => {
    const bounds = { minReplicas: 1, maxReplicas: 2, containerConcurrency: 0 };
    const plan = planService(problem({ bounds, demand: { perSecond: steady(600) } }));
    isReason(plan, PlanReason.Maximum);
    assert.is(plan.replicas, 2);
    assert.is(plan.knative.maxScale, 2);
    assert.ok(plan.expect.attainment < 0.6, `${plan.expect.attainment}`);
  });

  test('one stays warm where a cold start is dear, and none where nothing comes', () => {
    const bounds = { minReplicas: 0, maxReplicas: 0, containerConcurrency: 0 };
    const none = Array.from({ length: 60 }, () => 0);
    const settled = (perMinute: number[]) => {
      const each = problem({
        bounds,
        demand: { perSecond: none, perMinute },
        revisions: [revision({ readyReplicas: 1 })],
      });
      let plan = planService(each);
      for (let i = 0; i < 8; i++) plan = planService(later(each, plan, 10 * (i + 1)));
      return plan;
    };
    // Every third minute a few requests: idle stretches hardly longer than what Knative waits anyway.
    const often = settled(Array.from({ length: 120 }, (_, i) => (i % 3 === 0 ? 5 : 0)));
    isReason(often, PlanReason.KeepWarm);
    assert.is(often.knative.minScale, 1);
    // Once in two hours.
    const seldom = settled(Array.from({ length: 480 }, (_, i) => (i % 120 === 0 ? 1 : 0)));
    isReason(seldom, PlanReason.ScaleToZero);
    assert.is(seldom.knative.minScale, 0);
  });

  test('the runner-up is the nearest plan that was not chosen, with why', () => {
    const plan = planService(problem({ demand: { perSecond: steady(200) } }));
    assert.is(plan.runnerUp?.replicas, plan.replicas - 1);
    assert.is(plan.runnerUp?.reason, PlanReason.MissesPromise);
    assert.ok((plan.runnerUp?.expect.attainment ?? 1) < 0.99);
    const least = planService(problem());
    assert.is(least.runnerUp?.replicas, 2);
    assert.is(least.runnerUp?.reason, PlanReason.CostsMore);
  });
});

suite('what it costs', (test) => {
  const priced = (budget: number, more: Partial<ServiceProblem> = {}) =>
    problem({
      prices: { currency: 'EUR' },
      policy: { ...problem().policy, budget: { perHour: budget, currency: 'EUR' } },
      revisions: [revision({ price: 1 })],
      ...more,
    });

  test('the order of what is given up: spare capacity, then replicas, never the least', () => {
    // Just below capacity one replica keeps the promise, but not with a tenth of the objective to spare.
    const capacity = planService(priced(10)).revisions[0]?.capacityPerReplica ?? 0;
    const tight = { demand: { perSecond: steady(capacity - 4) } };
    assert.is(planService(priced(10, tight)).replicas, 2);
    const patient = planService(priced(1, tight));
    isReason(patient, PlanReason.BudgetPatience);
    assert.is(patient.replicas, 1);
    assert.is(patient.batch.patience, 1);
    assert.ok(patient.expect.attainment >= 0.99);
    const fewer = planService(priced(2.5, { demand: { perSecond: steady(600) } }));
    isReason(fewer, PlanReason.BudgetReplicas);
    assert.is(fewer.replicas, 2);
    assert.is(fewer.knative.maxScale, 2);
    const bounds = { minReplicas: 3, maxReplicas: 0, containerConcurrency: 0 };
    const least = planService(priced(2, { bounds }));
    isReason(least, PlanReason.BudgetBelowMinimum);
    assert.is(least.replicas, 3);
  });

  test('without a price it is replica-seconds, and a budget in another currency is reported, not obeyed', () => {
    const plan = planService(problem({ demand: { perSecond: steady(200) } }));
    assert.is(plan.currency, undefined);
    assert.is(plan.expect.costPerHour, 7200);
    const foreign = planService({ ...priced(0.1), prices: {} });
    assert.ok(foreign.budgetIgnored);
    isReason(foreign, PlanReason.Steady);
  });

  test('numbers from outside that are beyond all bounds are bounded, and no trap', () => {
    const huge = { minReplicas: 0, maxReplicas: 1e8, containerConcurrency: 1e9 };
    const plan = planService(
      problem({
        bounds: huge,
        coldStart: { p50Ms: 1, p95Ms: 1e12, count: 1 },
        demand: { perSecond: steady(1e12) },
        revisions: [
          revision({ parallel: 1e9, readyReplicas: 50_000, pendingReplicas: 1e6, price: 1e15, arrivalRate: 1e12 }),
        ],
      }),
    );
    assert.ok(plan.replicas <= 10_000);
  });

  test('where one price is missing money is compared with nothing: a budget would not let a service leave zero', () => {
    const budget = { perHour: 5 };
    const unpriced = planService(problem({ policy: { ...problem().policy, budget } }));
    assert.ok(unpriced.budgetIgnored);
    assert.is(unpriced.knative.maxScale, 0);
    const half = planService(priced(5, { revisions: [revision({ price: 1 }), revision({ name: 'b' })] }));
    assert.ok(half.budgetIgnored);
  });

  test('what advice would save is what runs less what is planned', () => {
    assert.is(
      planService(priced(100, { revisions: [revision({ price: 1, readyReplicas: 9, pendingReplicas: 1 })] }))
        .savedPerHour,
      0,
    );
    const each = priced(100, { revisions: [revision({ price: 1, readyReplicas: 9, pendingReplicas: 1 })] });
    let plan = planService(each);
    for (let i = 1; i <= 5; i++) plan = planService({ ...each, now: each.now + 10_000 * i, previous: plan });
    assert.is(plan.replicas, 1);
    assert.is(plan.savedPerHour, 9);
  });
});

suite('which variant', (test) => {
  const large = revision({ name: 'large', latencyMs: curve(100, 10), price: 2, accuracy: 0.95, readyReplicas: 2 });
  const small = revision({ name: 'small', latencyMs: curve(20, 1), price: 1, accuracy: 0.85, readyReplicas: 0 });
  const group = (more: Partial<ServiceProblem['policy']>, revisions = [large, small]) =>
    problem({
      routing: 'choose',
      revisions,
      policy: { ...problem().policy, ...more },
      demand: { perSecond: steady(60) },
    });

  test('none below the floor, nor one whose accuracy nobody declared', () => {
    assert.is(planService(group({ minAccuracy: 0.9 })).revision, 'large');
    const undeclared = { ...small, accuracy: undefined };
    assert.is(planService(group({ minAccuracy: 0.5 }, [large, undeclared])).revision, 'large');
    const plan = planService(group({ minAccuracy: 0.99 }, [small, large]));
    assert.is(plan.revision, 'large');
  });

  test('the cheapest that keeps the promise, and the others say why not', () => {
    const plan = planService(group({ minAccuracy: 0.8 }));
    assert.is(plan.revision, 'small');
    assert.is(plan.runnerUp?.revision, 'large');
    assert.is(plan.runnerUp?.reason, PlanReason.CostsMore);
    assert.equal(
      plan.revisions.map((one) => one.share),
      [0, 1],
    );
  });

  test('the more accurate one of two that cost the same', () => {
    const same = [
      { ...small, name: 'a', accuracy: 0.8 },
      { ...small, name: 'b', accuracy: 0.9 },
    ];
    assert.is(planService(group({}, same)).revision, 'b');
  });

  test('a change waits for the time of stabilisation, and one that hardly saves is not made', () => {
    const first = planService(group({ minAccuracy: 0.9 }));
    assert.is(first.revision, 'large');
    let each = later(group({}), first, 10);
    let plan = planService(each);
    isReason(plan, PlanReason.SwitchingCost);
    assert.is(plan.revision, 'large');
    assert.is(plan.runnerUp?.reason, PlanReason.ChangeCosts);
    for (let i = 0; i < 3; i++) {
      each = later(each, plan, 10);
      plan = planService(each);
    }
    isReason(plan, PlanReason.CheaperVariant);
    assert.is(plan.revision, 'small');
    const almost = { ...large, name: 'almost', price: 1.97, readyReplicas: 0 };
    let kept = planService(group({}, [large]));
    for (let i = 1; i < 8; i++) kept = planService(later(group({}, [large, almost]), kept, 10 * i));
    assert.is(kept.revision, 'large');
    assert.is(kept.runnerUp?.reason, PlanReason.ChangeCosts);
  });

  test('a budget that does not pay for the variant in use takes a cheaper one at once', () => {
    const first = planService(group({ minAccuracy: 0.9 }));
    const plan = planService(later(group({ budget: { perHour: 1.5 } }), first, 10));
    isReason(plan, PlanReason.BudgetVariant);
    assert.is(plan.revision, 'small');
  });
});

suite("what Knative's autoscaler is told", (test) => {
  test('the target holds what a replica at its capacity may hold while requests wait to be batched', () => {
    const plan = planService(problem({ demand: { perSecond: steady(200) } }));
    const capacity = plan.revisions[0]?.capacityPerReplica ?? 0;
    // Little's law: capacity x objective inside, of which Knative aims at 70 %.
    assert.ok(Math.abs(plan.knative.target * 0.7 - capacity * 0.5) <= 1, `${plan.knative.target}`);
    assert.is(plan.knative.minScale, plan.replicas);
    assert.is(plan.knative.targetBurstCapacity, 0);
    assert.is(plan.knative.maxScale, 0);
  });

  test('before anything is learned: one batch inside and one that gathers, for each that runs at once', () => {
    const plan = planService(problem({ revisions: [revision({ latencyMs: [], parallel: 2 })] }));
    assert.is(plan.knative.target, Math.floor((2 * 64 * 2) / 0.7));
  });

  test('a hard concurrency bounds target and batch, keeps the activator, and gets advice', () => {
    const bounds = { minReplicas: 1, maxReplicas: 0, containerConcurrency: 8 };
    const plan = planService(problem({ bounds }));
    assert.ok(plan.batch.maxBatchSize <= 8);
    assert.ok(plan.knative.target <= 8);
    assert.ok(plan.knative.targetBurstCapacity > 0);
    assert.ok((plan.knative.containerConcurrencyAdvice ?? 0) >= 16);
  });

  test('a target that hardly differs is not written again', () => {
    const each = problem({ demand: { perSecond: steady(200) } });
    const plan = planService(each);
    const other = later(each, plan, 10);
    const noisy = { ...other, revisions: other.revisions.map((one) => ({ ...one, latencyMs: curve(51, 5.05) })) };
    assert.is(planService(noisy).knative.target, plan.knative.target);
    const slower = { ...other, revisions: other.revisions.map((one) => ({ ...one, latencyMs: curve(100, 10) })) };
    assert.is.not(planService(slower).knative.target, plan.knative.target);
  });

  test('a window shorter than a cold start is made longer', () => {
    assert.is(planService(problem()).knative.windowSec, undefined);
    const coldStart = { p50Ms: 80_000, p95Ms: 90_000, count: 3 };
    assert.is(planService(problem({ coldStart })).knative.windowSec, 180);
  });
});
