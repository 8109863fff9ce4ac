import * as assert from 'uvu/assert';
import { knativeDefaults } from '../../../src/controller/reconcile/knative-settings.ts';
import {
  type HeardFrom,
  type ProblemInput,
  plannedRevisions,
  problemOf,
} from '../../../src/controller/reconcile/problem.ts';
import { planService } from '../../../src/planner/plan-service.ts';
import { dearestPrice, type PriceList } from '../../../src/policy/price-list.ts';
import { suite } from '../../support/suite.ts';

const currency = 'USD';
const type = 'node.kubernetes.io/instance-type';

function list(billing: PriceList['spec']['billing'] = 'replica-seconds'): PriceList {
  const prices = [
    { instanceType: 'small', price: 1 },
    { instanceType: 'large', price: 3 },
  ];
  return { spec: { currency, billing, prices } } as unknown as PriceList;
}

function revision(name: string, trafficPercent: number) {
  return { namespace: 'a', name, reachable: true, ready: true, annotations: {}, trafficPercent };
}

function pod(name: string, of: string): HeardFrom {
  return {
    pod: { name, revision: of, node: 'small', memoryGb: 1, readyMs: 1, ending: false },
    report: undefined,
  } as never;
}

const bare = {
  deploymentMode: 'knative',
  autoscaler: 'knative',
  minReplicas: 0,
  maxReplicas: 0,
  containerConcurrency: 0,
  pods: [],
  knative: knativeDefaults,
};

function problem(more: Partial<ProblemInput>) {
  const input = {
    nowMs: 1e6,
    observed: { ...bare, revisions: [revision('r1', 100)] },
    policy: { sloMs: 500, sloQuantile: 0.99, patience: 'auto', maxBatchSize: 64, budget: { perHour: 5 } },
    heard: [],
    demand: { perSecond: Array.from({ length: 60 }, () => 900) },
    coldStart: { p50Ms: 3000, p95Ms: 4000, count: 3 },
    priceOf: () => ({ billing: 'replica-seconds', amount: 1, currency }),
    priceOtherwise: { perHour: 3, currency },
    previous: undefined,
    curves: new Map([
      [
        'r1',
        [
          { items: 1, expected: 55, quantile: 58 },
          { items: 64, expected: 370, quantile: 390 },
        ],
      ],
    ]),
    planEveryMs: 10_000,
    ...more,
  } as unknown as ProblemInput;
  const made = problemOf(input);
  if (!made) throw new Error('no problem');
  return made;
}

suite('requests that wait before a companion', (test) => {
  test('in Standard mode the ReplicaSet that is planned for is the newest of the stable Deployment', () => {
    const pods = [
      { ...pod('old', 'digits-predictor-7d9f').pod, createdMs: 1 },
      { ...pod('new', 'digits-predictor-8c5b').pod, createdMs: 2 },
      // Those of a canary and of workers: younger.
      { ...pod('canary', 'digits-new-predictor-5f6d').pod, createdMs: 3 },
      { ...pod('worker', 'digits-predictor-worker-66c4').pod, createdMs: 4 },
    ];
    const observed = {
      ...bare,
      deploymentMode: 'standard',
      deployment: { name: 'digits-predictor' },
      revisions: [],
      pods,
    };
    const names = (among: unknown) => plannedRevisions(among as never).map(({ name }) => name);
    assert.equal(names(observed), ['digits-predictor-8c5b']);
    const bounds = (minReplicas: number) =>
      problem({ observed: { ...observed, minReplicas } as never })?.bounds.minReplicas;
    assert.equal([bounds(0), bounds(3)], [1, 3], 'nobody would wake it');
    assert.equal(names({ ...observed, pods: pods.slice(2) }), ['digits-predictor'], 'none of its pods is there yet');
  });

  const held = (containerConcurrency: number, upstreamWaiting: number | undefined) => {
    const signals = { upstreamWaiting, arrivalRate: 100, inFlightLimit: 1, waiting: 0, capacity: 0, requests: 0 };
    const report = { atMs: 0, signals };
    const heard = [{ ...pod('p1', 'r1'), report }] as never;
    const demand = { perSecond: Array.from({ length: 60 }, () => 100) };
    return problem({
      heard,
      demand,
      observed: { ...bare, containerConcurrency, revisions: [revision('r1', 100)] } as never,
    });
  };

  test('without a hard concurrency, or within it, what a queue-proxy says is chance', () => {
    for (const [concurrency, waiting] of [
      [0, 500],
      [10, 10],
      [10, 3],
      [10, undefined],
    ] as const) {
      assert.is(held(concurrency, waiting).demand.perSecond.at(-1), 100, `${waiting} at ${concurrency}`);
    }
  });

  test('what is held back for certain is demand: it has to be served within the objective', () => {
    const { perSecond } = held(10, 100).demand;
    assert.equal(perSecond.slice(-3), [100, 280, 280]);
    const replicas = planService(held(10, 100)).replicas;
    assert.ok(replicas > planService(held(10, 10)).replicas, `${replicas} replicas`);
  });
});

suite('what is in force without us', (test) => {
  test('our own annotations are not taken for it: a window that we widened is not taken back by the next plan', () => {
    const steered = (original: string | null) => {
      const applied = { window: '240s', target: '40' };
      const holding = JSON.stringify({ original: { window: original, target: null }, applied, reverts: 0 });
      const annotations = {
        'autoscaling.knative.dev/window': '240s',
        'autoscaling.knative.dev/paceline-original': holding,
      };
      const slow = { coldStart: { p50Ms: 1e5, p95Ms: 120_000, count: 3 } };
      return problem({ ...slow, observed: { ...bare, revisions: [{ ...revision('r1', 100), annotations }] } as never });
    };
    assert.is(steered(null).autoscaler.stableWindowMs, 60_000);
    assert.is(steered('90s').autoscaler.stableWindowMs, 90_000);
    assert.is(planService(steered(null)).knative.windowSec, 240);
  });
});

suite('prices where nothing runs', (test) => {
  test('no price at all: a budget of money bounds nothing, and says so', () => {
    const made = problem({ priceOtherwise: undefined });
    assert.is(made.revisions[0]?.price, undefined);
    assert.is(made.prices.currency, undefined);
    const plan = planService(made);
    assert.ok(plan.budgetIgnored);
    assert.is(plan.knative.maxScale, 0);
  });

  test('a list that bills by requests, or names no node, says nothing about a replica that does not run', () => {
    assert.is(dearestPrice(list('request'), [{ [type]: 'large' }]), undefined);
    assert.is(dearestPrice(list(), [{ [type]: 'other' }]), undefined);
    assert.is(dearestPrice(list(), []), undefined);
  });

  test('the dearest of the nodes that there are bounds a service at zero', () => {
    const nodes = [{ [type]: 'small' }, { [type]: 'large' }];
    assert.equal(dearestPrice(list(), nodes), { perHour: 3, currency });
    assert.equal(dearestPrice(list(), nodes.slice(0, 1)), { perHour: 1, currency });
    const plan = planService(problem({ priceOtherwise: dearestPrice(list(), nodes) }));
    assert.not.ok(plan.budgetIgnored);
    assert.is(plan.currency, currency);
    assert.is(plan.replicas, 1, 'two at 3 an hour are more than 5');
    assert.is(plan.knative.maxScale, 1);
  });

  test('what runs says what a replica costs, also for a revision that has no pods yet', () => {
    const observed = { ...bare, revisions: [revision('r1', 90), revision('r2', 10)] };
    const made = problem({ observed: observed as never, heard: [pod('p1', 'r1'), pod('p2', 'r1')] });
    assert.equal(
      made.revisions.map(({ name, price }) => `${name} ${price}`),
      ['r1 1', 'r2 1'],
    );
  });

  test('a price of requests is by requests, however many items each has', () => {
    const signals = { arrivalRate: 320, requests: 600, inFlightLimit: 1, waiting: 0, capacity: 0 };
    const heard = [{ ...pod('p1', 'r1'), report: { atMs: 0, signals } }] as never;
    const priceOf = () => ({ billing: 'request' as const, amount: 0.001, currency });
    // Ten requests a second, each of 32 items.
    assert.is(problem({ heard, priceOf }).revisions[0]?.price, 36);
  });

  test('the price that the user gives goes before all others', () => {
    const policy = { sloMs: 500, sloQuantile: 0.99, patience: 'auto', maxBatchSize: 64, replicaCost: { perHour: 0.4 } };
    const made = problem({ policy: policy as never, heard: [pod('p1', 'r1')] });
    assert.is(made.revisions[0]?.price, 0.4);
    assert.is(made.prices.currency, undefined);
  });
});
