import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { PlanReason, planReasonLabel } from '../../src/kernels/plan-reasons.ts';
import { planService } from '../../src/planner/plan-service.ts';
import type { ServicePlan } from '../../src/planner/service-plan.ts';
import type { ServiceProblem } from '../../src/planner/service-problem.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { anyProblem, curve, problem, revision, steady } from '../support/service-problems.ts';
import { suite } from '../support/suite.ts';

/** What companions learn on a node that has no processor time left: seconds for what takes 55 ms. */
const starved = curve(9000, 400);

/** A service that is planned each second; a replica is ready `coldSeconds` after it was planned. */
function* service(
  seconds: number,
  coldSeconds: number,
  at: (
    second: number,
    running: number,
  ) => Partial<ServiceProblem> & { latencyMs: ReturnType<typeof curve>; batchesSeen?: number },
): Generator<ServicePlan> {
  let plan: ServicePlan | undefined;
  let born: number[] = [-1000];
  for (let second = 0; second < seconds; second++) {
    const ready = born.filter((each) => second - each >= coldSeconds).length;
    const { latencyMs, batchesSeen, ...more } = at(second, born.length);
    const revisions = [
      revision({ latencyMs, batchesSeen, readyReplicas: ready, pendingReplicas: born.length - ready }),
    ];
    const coldStart = { p50Ms: 1000 * coldSeconds, p95Ms: 1000 * coldSeconds, count: 3 };
    plan = planService(problem({ coldStart, ...more, now: 1e6 + 1000 * second, revisions, previous: plan }));
    while (born.length < plan.replicas) born.push(second);
    born = born.slice(0, Math.max(plan.replicas, 1));
    yield plan;
  }
}

suite('how fast a plan may grow', (test) => {
  test('a curve that was learned on a starved node does not ask for hundreds', () => {
    const plan = planService(problem({ revisions: [revision({ latencyMs: starved })] }));
    assert.ok(plan.replicas <= 2, `${plan.replicas} replicas for 40 a second`);
    assert.is(planReasonLabel(plan.reason), planReasonLabel(PlanReason.Unreachable));
  });

  test('a service that ran well and is starved stays at a small multiple of what it needed', () => {
    let most = 0;
    // The more replicas share the node, the slower each one becomes: what made a plan of hundreds.
    const run = service(600, 5, (second, running) => ({
      latencyMs: second < 60 ? curve(50, 5) : curve(50 * running ** 2 + 1000, 5 * running ** 2 + 50),
    }));
    for (const plan of run) most = Math.max(most, plan.replicas);
    assert.ok(most <= 5, `${most} replicas where one does`);
  });

  test('five ready replicas that serve 200 a second are not doubled twice for a bad minute', () => {
    let plans: ServicePlan[] = [];
    plans = [
      ...service(120, 5, (second) => ({
        demand: { perSecond: steady(200) },
        latencyMs: second < 60 ? curve(50, 5) : curve(300, 20),
      })),
    ];
    const before = plans[59] as ServicePlan;
    const most = Math.max(...plans.map(({ replicas }) => replicas));
    assert.ok(most <= 4 * before.replicas, `${most} replicas, ${before.replicas} before`);
  });

  test('it says so where growth is what holds it back', () => {
    const first = planService(problem());
    const slow = { ...problem(), now: problem().now + 1000, previous: first };
    const plan = planService({ ...slow, revisions: [revision({ latencyMs: curve(200, 150) })] });
    assert.is(planReasonLabel(plan.reason), planReasonLabel(PlanReason.Growth));
    assert.is(plan.replicas, 3);
    // And a bound of the service is still named as one.
    const bounds = { minReplicas: 1, maxReplicas: 2, containerConcurrency: 0 };
    const bounded = planService({ ...slow, bounds, revisions: [revision({ latencyMs: curve(200, 150) })] });
    assert.is(planReasonLabel(bounded.reason), planReasonLabel(PlanReason.Maximum));
  });

  test('a model that stays slower gets four times of what it needed soon, and all that it needs after a while', () => {
    const plans = [
      ...service(700, 5, (second) => ({
        demand: { perSecond: steady(120) },
        latencyMs: second < 20 ? curve(50, 5) : curve(120, 15),
      })),
    ];
    const free = planService(
      problem({
        revisions: [revision({ latencyMs: curve(120, 15), readyReplicas: 0 })],
        demand: { perSecond: steady(120) },
      }),
    );
    assert.ok(free.replicas >= 3, `${free.replicas} are needed`);
    assert.is((plans[60] as ServicePlan).replicas, 4);
    assert.is((plans.at(-1) as ServicePlan).replicas, free.replicas);
  });

  test('what companions assumed before they had seen the model holds nothing back once they have', () => {
    const demand = { perSecond: steady(18) };
    const truth = curve(100, 400);
    const grown = (batchesSeen?: (second: number) => number): (number | undefined)[] => {
      const plans = [
        ...service(40, 3, (second) => ({
          ...{ demand, latencyMs: second < 3 ? curve(490, 10) : truth },
          ...(batchesSeen ? { batchesSeen: batchesSeen(second) } : {}),
        })),
      ];
      return [plans[4], plans[25]].map((plan) => plan?.replicas);
    };
    const needed = planService(
      problem({ demand, revisions: [revision({ latencyMs: truth, readyReplicas: 8 })] }),
    ).replicas;
    assert.ok(needed >= 8, `${needed} are needed`);
    const [early, late] = grown((second) => 2 * second);
    assert.ok((early as number) <= 4, `${early} on the first seconds' word`);
    assert.ok((late as number) >= needed, `${late} of ${needed} after 25 s`);
    // Where it cannot be known how much was assumed, a capacity that fell is doubted as ever.
    assert.ok((grown()[1] as number) <= 4);
  });

  test('a plan made before any companion was heard makes no measure of what they assume then', () => {
    const demand = { perSecond: steady(18) };
    const truth = curve(100, 400);
    const plans = [
      ...service(40, 3, (second) =>
        second === 0
          ? { demand: { perSecond: steady(0) }, latencyMs: [] }
          : { demand, latencyMs: second < 4 ? curve(490, 10) : truth, batchesSeen: 2 * (second - 1) },
      ),
    ];
    const needed = planService(
      problem({ demand, revisions: [revision({ latencyMs: truth, readyReplicas: 8 })] }),
    ).replicas;
    const late = plans[26]?.replicas as number;
    assert.ok(late >= needed, `${late} of ${needed} after 25 s`);
  });

  test('demand is not held back: a step of five times at once, of fifty times in two cold starts', () => {
    const step = (to: number) =>
      [
        ...service(40, 5, (second) => ({
          demand: {
            perSecond: second < 10 ? steady(40) : [...steady(40), ...steady(to).slice(0, second - 9)].slice(-60),
          },
          latencyMs: curve(50, 5),
        })),
      ].map(({ replicas }) => replicas);
    const five = step(200);
    const enough = planService(problem({ demand: { perSecond: steady(200) } })).replicas;
    assert.ok((five[11] as number) >= enough, `${five[11]} of ${enough} two seconds after the step`);
    const fifty = step(2000);
    assert.is(fifty[12], 8);
    assert.ok((fifty[20] as number) >= 2000 / 180, `${fifty[20]} replicas ten seconds after the step`);
  });

  test('whatever the problem: at most eight times of what is ready, or what was planned before', () => {
    fc.assert(
      fc.property(anyProblem, anyProblem, (each, other) => {
        const previous = planService(other);
        const plan = planService({ ...each, previous, now: previous.at + 10_000 });
        for (const [i, one] of plan.revisions.entries()) {
          const { readyReplicas, pendingReplicas } = each.revisions[i] as ServiceProblem['revisions'][number];
          const before = previous.revisions.find(({ name }) => name === one.name)?.replicas;
          const known = before ?? readyReplicas + pendingReplicas;
          const most = Math.max(each.bounds.minReplicas, known, 8 * Math.max(readyReplicas, 1));
          assert.ok(one.replicas <= most, `${one.replicas} of at most ${most}`);
        }
      }),
      propertyRuns(300, 21),
    );
  });

  test("pods of the autoscaler's own panic are no step of the plan: it grows while they start, and not while its own do", () => {
    const demand = { perSecond: steady(120) };
    const first = planService(problem({ demand }));
    const next = (readyReplicas: number, pendingReplicas: number) =>
      planService({
        ...problem({ demand, revisions: [revision({ latencyMs: curve(300, 40), readyReplicas, pendingReplicas })] }),
        now: problem().now + 1000,
        previous: first,
      }).replicas;
    assert.is(first.replicas, 1);
    assert.is(next(1, 0), 3);
    assert.is(next(1, 4), 3);
    const grown = { ...first, replicas: 3, revisions: first.revisions.map((each) => ({ ...each, replicas: 3 })) };
    const stepping = planService({
      ...problem({
        demand,
        revisions: [revision({ latencyMs: curve(300, 40), readyReplicas: 1, pendingReplicas: 2 })],
      }),
      now: problem().now + 1000,
      previous: grown,
    });
    assert.is(stepping.replicas, 3);
  });

  test('a queue that what is planned works off starts no panic; one beyond all measure still does', () => {
    const target = (waiting: number) => planService(problem({ revisions: [revision({ waiting })] })).knative.target;
    const calm = target(0);
    assert.is(target(calm / 2), calm);
    const crowded = target(3 * calm);
    assert.ok(0.7 * crowded * planService(problem()).replicas >= 3 * calm, `${crowded}, ${calm} while nobody waits`);
    assert.ok(target(1e6) <= 8 * calm, `${target(1e6)}`);
    // While nothing is known of the model Knative is the only one that can tell that more are needed.
    const unknown = planService(problem({ revisions: [revision({ latencyMs: [], waiting: 1e6 })] })).knative.target;
    assert.is(unknown, planService(problem({ revisions: [revision({ latencyMs: [] })] })).knative.target);
  });

  test('Knative is not told to start a pod for each request that waits on a starved node', () => {
    const good = planService(problem());
    const bad = planService({
      ...problem({ revisions: [revision({ latencyMs: starved })] }),
      now: problem().now + 1000,
      previous: good,
    });
    assert.ok(bad.knative.target >= 0.4 * good.knative.target, `${bad.knative.target} after ${good.knative.target}`);
  });
});
