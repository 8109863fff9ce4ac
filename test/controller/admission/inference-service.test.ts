import fc from 'fast-check';
import * as assert from 'uvu/assert';
import {
  batcherAnnotation,
  defaulted,
  type InferenceService,
} from '../../../src/controller/admission/inference-service.ts';
import { patchBetween } from '../../../src/controller/admission/json-patch.ts';
import { suite } from '../../support/suite.ts';

const container = { name: 'kserve-container', image: 'model:1' };

function service(annotations: Record<string, string>, predictor: object = {}, rest: object = {}): InferenceService {
  return {
    metadata: { name: 'digits', namespace: 'serving', annotations },
    spec: { predictor: { containers: [container], ...predictor } },
    ...rest,
  };
}

const asked = { 'paceline.dev/slo': '500ms' };
const noted = { ...asked, [batcherAnnotation]: '64/1' };
const ours = { batcher: { maxBatchSize: 64, maxLatency: 1 } };
const rolledOut = {
  status: {
    deploymentMode: 'Knative',
    components: {
      predictor: { latestReadyRevision: 'a-1', latestRolledoutRevision: 'a-1', latestCreatedRevision: 'a-1' },
    },
  },
};

suite('defaults of an InferenceService', (test) => {
  test('without the annotation, or with one that cannot be read, nothing is touched', () => {
    for (const each of [
      service({}),
      service({ 'paceline.dev/mode': 'act' }),
      service({ 'paceline.dev/slo': 'soon' }, { batcher: { maxBatchSize: 3 } }),
      // An unreadable value is refused or warned of; it is no wish to take the batcher back.
      service({ ...noted, 'paceline.dev/slo': 'soon' }, ours),
      service(asked, {}, { metadata: { name: 'a', annotations: asked, deletionTimestamp: '2026-01-01T00:00:00Z' } }),
      service({ ...asked, 'serving.kserve.io/deploymentMode': 'ModelMesh' }),
    ]) {
      assert.is(defaulted(each, undefined).service, each);
    }
  });

  test("a user's own batcher is left as it is, also one that was ours", () => {
    const theirs = { batcher: { maxBatchSize: 8, maxLatency: 20 } };
    const own = service(asked, theirs);
    assert.is(defaulted(own, undefined).service, own);
    const taken = defaulted(service(noted, theirs), undefined);
    assert.is(taken.batcher, 'theirs');
    assert.equal(taken.service, service(asked, theirs));
    // A field that we never write makes it theirs too.
    const more = { batcher: { maxBatchSize: 64, maxLatency: 1, timeout: 3 } };
    assert.equal(defaulted(service(noted, more), undefined).service, service(asked, more));
  });

  test('a batcher is added where there is none, with what a pod without a companion can live with', () => {
    const { service: after, batcher } = defaulted(service(asked), undefined);
    assert.is(batcher, 'added');
    assert.equal(after, service(noted, ours));
    assert.equal(defaulted(service(asked, { batcher: null }), undefined).service, service(noted, ours));
  });

  test('ours follows the annotation', () => {
    const { service: after, batcher } = defaulted(
      service({ ...noted, 'paceline.dev/max-batch-size': '16' }, ours),
      undefined,
    );
    assert.is(batcher, 'updated');
    assert.equal(after.spec.predictor.batcher, { maxBatchSize: 16, maxLatency: 1 });
    assert.is(after.metadata.annotations?.[batcherAnnotation], '16/1');
  });

  test('ours goes with the annotation, or with mode off; the object is then as it was', () => {
    const gone = defaulted(service({ [batcherAnnotation]: '64/1' }, ours), undefined);
    assert.is(gone.batcher, 'taken-back');
    assert.equal(gone.service, service({}));
    const off = defaulted(service({ ...noted, 'paceline.dev/mode': 'off' }, ours), undefined);
    assert.equal(off.service, service({ ...asked, 'paceline.dev/mode': 'off' }));
    // What is no longer ours stays.
    const theirs = { batcher: { maxBatchSize: 64, maxLatency: 30 } };
    assert.equal(defaulted(service({ [batcherAnnotation]: '64/1' }, theirs), undefined).service, service({}, theirs));
  });

  test('the update that changes the model begins with the first canary step, if the rollout is ours', () => {
    const auto = { ...noted, 'paceline.dev/rollout': 'auto' };
    const before = service(auto, ours, rolledOut);
    const next = (extra: object = {}) =>
      service(auto, { ...ours, containers: [{ ...container, image: 'model:2' }], ...extra }, rolledOut);
    const { service: after, canary } = defaulted(next(), before);
    assert.is(canary?.reason, 'NewRevision');
    assert.is(after.spec.predictor.canaryTrafficPercent, canary?.percent);
    assert.ok((canary?.percent ?? 100) < 100);
    // By hand, in another mode, by the controller itself, or by what an InferencePolicy says: no step.
    const manual = service(noted, { ...ours, containers: [{ ...container, image: 'model:2' }] }, rolledOut);
    assert.is(defaulted(manual, service(noted, ours, rolledOut)).canary, undefined);
    assert.is(defaulted(next(), before, { live: { rollout: 'manual' } }).canary, undefined);
    assert.is(defaulted(next(), before, { live: { mode: 'advise' } }).canary, undefined);
    assert.is(defaulted(next(), before, { byController: true }).canary, undefined);
    // An InferencePolicy alone can ask for it too.
    assert.is(
      defaulted(manual, service(noted, ours, rolledOut), { live: { rollout: 'auto' } }).canary?.reason,
      'NewRevision',
    );
  });

  test('never a share below 100 in an update that makes no revision: KServe would serve the model before the last', () => {
    const auto = { ...noted, 'paceline.dev/rollout': 'auto' };
    const before = service(auto, { ...ours, canaryTrafficPercent: 100 }, rolledOut);
    const same = defaulted(before, before);
    assert.is(same.service, before);
    // An annotation that KServe does not copy here makes none either.
    const marked = service(
      { ...auto, 'team.example.com/owner': 'b' },
      { ...ours, canaryTrafficPercent: 100 },
      rolledOut,
    );
    assert.is(defaulted(marked, before, { uncopied: ['team.example.com/owner'] }).canary, undefined);
    assert.is(defaulted(marked, before).canary?.reason, 'NewRevision');
    const labelled = { ...before, metadata: { ...before.metadata, finalizers: ['inferenceservice.finalizers'] } };
    assert.equal(patchBetween(labelled, defaulted(labelled, before).service), []);
  });

  test('twice is the same as once, for any wishes and any batcher', () => {
    const value = fc.constantFrom(undefined, '500ms', 'soon', '1s');
    const batcher = fc.constantFrom(
      undefined,
      null,
      {},
      ours.batcher,
      { maxBatchSize: 8 },
      { maxBatchSize: 64, maxLatency: 30 },
    );
    const note = fc.constantFrom(undefined, '64/1', '8/1', 'x');
    const mode = fc.constantFrom(undefined, 'act', 'advise', 'off');
    const size = fc.constantFrom(undefined, '8', '64');
    fc.assert(
      fc.property(value, batcher, note, mode, size, (slo, own, written, how, items) => {
        const annotations: Record<string, string> = {};
        if (slo !== undefined) annotations['paceline.dev/slo'] = slo;
        if (written !== undefined) annotations[batcherAnnotation] = written;
        if (how !== undefined) annotations['paceline.dev/mode'] = how;
        if (items !== undefined) annotations['paceline.dev/max-batch-size'] = items;
        const once = defaulted(service(annotations, own === undefined ? {} : { batcher: own }), undefined).service;
        assert.equal(defaulted(once, undefined).service, once);
      }),
    );
  });
});
