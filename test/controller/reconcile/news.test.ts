import * as assert from 'uvu/assert';
import { holdingText } from '../../../src/controller/actuators/originals.ts';
import { isNewsOfPodAutoscaler, isNewsOfRevision } from '../../../src/controller/reconcile/news.ts';
import { projectPodAutoscaler } from '../../../src/controller/reconcile/pod-autoscalers.ts';
import { projectRevision } from '../../../src/controller/reconcile/projections.ts';
import { suite } from '../../support/suite.ts';

const labels = { 'serving.knative.dev/revision': 'one', 'serving.kserve.io/inferenceservice': 'digits' };
const prefix = 'autoscaling.knative.dev/';
const own = `${prefix}paceline-original`;

function revision(annotations: Record<string, string>, ready = 'True', version = '1') {
  const projected = projectRevision({
    metadata: { namespace: 'shop', name: 'one', uid: 'uid', resourceVersion: version, labels, annotations },
    status: { conditions: [{ type: 'Ready', status: ready }] },
  });
  assert.ok(projected);
  return projected;
}

function podAutoscaler(annotations: Record<string, string>, desiredScale = 1) {
  const projected = projectPodAutoscaler({
    metadata: { namespace: 'shop', name: 'one', labels, annotations },
    status: { desiredScale },
  });
  assert.ok(projected);
  return projected;
}

const plain = { [`${prefix}class`]: 'kpa.autoscaling.knative.dev', [`${prefix}min-scale`]: '1' };
const applied = { 'min-scale': '3', target: '2.5' };
const holding = holdingText({ original: { 'min-scale': '1', target: null }, applied, reverts: 0 });
const held = { ...plain, [`${prefix}min-scale`]: '3', [`${prefix}target`]: '2.5', [own]: holding };

suite('which changes are news', (test) => {
  test("somebody else's change of what we hold is, back to what was there before us too", () => {
    const before = revision(held);
    assert.ok(isNewsOfRevision(revision({ ...held, [`${prefix}min-scale`]: '7' }), before));
    assert.ok(isNewsOfRevision(revision({ ...held, [`${prefix}min-scale`]: '1' }), before));
    const { [`${prefix}target`]: _, ...without } = held;
    assert.ok(isNewsOfRevision(revision(without), before));
    assert.ok(isNewsOfRevision(revision({ ...held, [own]: 'edited by hand' }), before));
    assert.ok(isNewsOfRevision(revision({ ...held, [`${prefix}window`]: '30s' }), before));
  });

  test('a Revision that becomes Ready is', () => {
    assert.ok(isNewsOfRevision(revision(held, 'True', '2'), revision(held, 'False')));
  });

  test('what we wrote ourselves, and gave back, is none', () => {
    assert.not.ok(isNewsOfRevision(revision(held, 'True', '2'), revision(plain)));
    assert.not.ok(isNewsOfRevision(revision(plain, 'True', '2'), revision(held)));
    const higher = holdingText({
      original: { 'min-scale': '1', target: null },
      applied: { ...applied, 'min-scale': '4' },
      reverts: 0,
    });
    const now = revision({ ...held, [`${prefix}min-scale`]: '4', [own]: higher });
    assert.not.ok(isNewsOfRevision(now, revision(held)));
  });

  test("of a PodAutoscaler the class is, and all of one of ours; of Knative's own nothing else", () => {
    const ours = { ...plain, [`${prefix}class`]: 'autoscaler.paceline.dev' };
    assert.ok(isNewsOfPodAutoscaler(podAutoscaler(ours), podAutoscaler(plain)));
    assert.ok(isNewsOfPodAutoscaler(podAutoscaler(plain), podAutoscaler(ours)));
    assert.ok(isNewsOfPodAutoscaler(podAutoscaler(ours, 2), podAutoscaler(ours)));
    assert.not.ok(isNewsOfPodAutoscaler(podAutoscaler(held, 2), podAutoscaler(plain)));
  });
});
