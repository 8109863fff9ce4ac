import * as assert from 'uvu/assert';
import { classReplicas, type ReplicaOrder } from '../../../src/controller/actuators/class-replicas.ts';
import { autoscalerStatus } from '../../../src/controller/actuators/pod-autoscaler-status.ts';
import { modeFor } from '../../../src/controller/actuators/serverless-service.ts';
import type { OwnAutoscaler } from '../../../src/controller/reconcile/observed.ts';
import { projectPodAutoscaler, projectServerlessService } from '../../../src/controller/reconcile/pod-autoscalers.ts';
import { podAutoscalerClass } from '../../../src/policy/service-view.ts';
import { suite } from '../../support/suite.ts';

const usual: ReplicaOrder = {
  planned: 4,
  floor: 0,
  current: 4,
  minScale: 1,
  maxScale: 10,
  initialScale: 1,
  initialized: true,
  reachable: true,
  failed: false,
};
const replicas = (order: Partial<ReplicaOrder>) => classReplicas({ ...usual, ...order });

const labels = { 'serving.kserve.io/inferenceservice': 'm', component: 'predictor' };
const ready = [{ type: 'Ready', status: 'True' }];

function own(status: object = {}, annotations: Record<string, string> = {}): OwnAutoscaler {
  const projected = projectPodAutoscaler({
    metadata: {
      name: 'm-00001',
      generation: 3,
      labels,
      annotations: { 'autoscaling.knative.dev/class': podAutoscalerClass, ...annotations },
    },
    status,
  });
  return projected?.own as OwnAutoscaler;
}

function service(status: object, generation = 1) {
  return projectServerlessService({ metadata: { name: 'm-00001', labels, generation }, status });
}

const serves = service({ serviceName: 'm-00001', observedGeneration: 1, conditions: ready });

/** `status reason` of each condition. */
function said(from: OwnAutoscaler, facts: Partial<Parameters<typeof autoscalerStatus>[1]>) {
  const { conditions } = autoscalerStatus(from, {
    nowMs: Date.UTC(2026, 0, 1),
    wanted: 1,
    ready: 1,
    threshold: 1,
    serverlessService: serves,
    notOwned: false,
    failed: false,
    ...facts,
  });
  return Object.fromEntries(conditions.map(({ type, status, reason }) => [type, `${status} ${reason ?? ''}`.trim()]));
}

suite('replicas of our class', (test) => {
  test('a revision that never came up, or that no Route leads to, gets none', () => {
    assert.is(replicas({ failed: true }), 0);
    assert.is(replicas({ reachable: false }), 0);
    assert.is(replicas({ reachable: false, floor: 3 }), 3, 'but what a rollout keeps for the way back');
    assert.is(replicas({ reachable: false, floor: 30 }), 10);
  });

  test('never zero where a Route leads, and within the bounds', () => {
    assert.is(replicas({ planned: 0, current: 1, minScale: 0 }), 1);
    assert.is(replicas({ planned: undefined, current: 0, minScale: 0 }), 1);
    assert.is(replicas({ planned: 50 }), 10);
    assert.is(replicas({ planned: 50, maxScale: 0 }), 50);
    assert.is(replicas({ planned: 1, current: 3, minScale: 3, maxScale: 2 }), 3, 'the minimum wins, as in Knative');
    assert.is(replicas({ planned: 1, current: 1, initialScale: 5, initialized: false }), 5);
  });

  test('without a plan they stay', () => {
    for (const current of [1, 4, 10]) assert.is(replicas({ planned: undefined, current }), current);
  });

  test('up at once, down by halves', () => {
    assert.is(replicas({ planned: 9, current: 1 }), 9);
    assert.is(replicas({ planned: 1, current: 9 }), 5);
    assert.is(replicas({ planned: 1, current: 2 }), 1);
    assert.is(replicas({ planned: 1, current: 9, floor: 7 }), 7);
  });
});

suite('the status of a PodAutoscaler of ours', (test) => {
  test("somebody else's ServerlessService, or none: not ready, and no service is named", () => {
    assert.is(said(own(), { serverlessService: undefined, notOwned: true }).Ready, 'False NotOwned');
    const none = said(own(), { serverlessService: undefined });
    assert.equal(none, {
      Active: 'True',
      Ready: 'Unknown NotReady',
      SKSReady: 'Unknown NotReady',
      ScaleTargetInitialized: 'Unknown',
    });
  });

  test('a ServerlessService that is Ready for an older spec is not ready', () => {
    const older = service({ serviceName: 'm', observedGeneration: 1, conditions: ready }, 2);
    assert.is(said(own(), { serverlessService: older }).SKSReady, 'Unknown NotReady');
  });

  test('Active by the table of Knative', () => {
    assert.is(said(own(), { wanted: 0, ready: 3 }).Active, 'False NoTraffic');
    assert.is(said(own(), { wanted: 3, ready: 2, threshold: 3 }).Active, 'Unknown Queued');
    assert.is(said(own(), { wanted: 3, ready: 3, threshold: 3 }).Active, 'True');
    assert.is(said(own(), { wanted: 0, ready: 0, failed: true }).Active, 'False TimedOut');
  });

  test('once initialized it stays so; False beats Unknown beats True', () => {
    const initialized = own({ conditions: [{ type: 'ScaleTargetInitialized', status: 'True' }] });
    assert.is(said(initialized, { ready: 0, threshold: 1 }).ScaleTargetInitialized, 'True');
    assert.is(said(initialized, { ready: 0, threshold: 1 }).Ready, 'Unknown Queued');
    assert.is(said(initialized, { wanted: 0, ready: 0, serverlessService: undefined }).Ready, 'False NoTraffic');
    assert.is(said(initialized, {}).Ready, 'True');
  });

  test('a time stays as long as what it stands beside', () => {
    const facts = { wanted: 1, threshold: 1, serverlessService: serves, notOwned: false, failed: false };
    const first = autoscalerStatus(own(), { ...facts, nowMs: 0, ready: 1 });
    const later = autoscalerStatus(own(first), { ...facts, nowMs: 90_000, ready: 1 });
    assert.equal(later, first, 'the same is said, so nothing is written');
    const queued = autoscalerStatus(own(first), { ...facts, nowMs: 90_000, ready: 0 });
    const times = queued.conditions.map(({ type, lastTransitionTime }) => `${type} ${lastTransitionTime}`);
    assert.ok(times.includes('Active 1970-01-01T00:01:30Z'));
    assert.ok(times.includes('SKSReady 1970-01-01T00:00:00Z'));
    assert.is(queued.observedGeneration, 3);
  });

  test("a revision's own deadline counts, as Go writes it", () => {
    const deadline = (text: string) => own({}, { 'serving.knative.dev/progress-deadline': text }).progressDeadlineMs;
    assert.is(deadline('1h30m'), 5_400_000);
    assert.is(deadline('90s'), 90_000);
    for (const wrong of ['', 'soon', '90', '1 h', '-5s']) assert.is(deadline(wrong), 600_000, wrong);
  });
});

suite('the way into a revision of our class', (test) => {
  test('to the activator where nothing runs, or where a hard concurrency would refuse a burst', () => {
    assert.is(modeFor(0, 0, 0, 0, 'Serve'), 'Proxy');
    assert.is(modeFor(2, 2, 10, 30, 'Serve'), 'Proxy');
    assert.is(modeFor(3, 3, 10, 30, 'Serve'), 'Serve');
    assert.is(modeFor(3, 3, 10, 30, 'Proxy'), 'Proxy', 'back only with room to spare');
    assert.is(modeFor(4, 4, 10, 30, 'Proxy'), 'Serve');
  });

  test('without a hard concurrency companions queue by themselves; without a plan it stays', () => {
    assert.is(modeFor(1, 0, 0, 500, 'Proxy'), 'Serve');
    assert.is(modeFor(1, 1, 10, undefined, 'Proxy'), 'Proxy');
    assert.is(modeFor(1, 1, 10, undefined, 'Serve'), 'Serve');
  });
});
