import * as assert from 'uvu/assert';
import { firstCanaryStep } from '../../../src/controller/rollout/first-step.ts';
import type { CanaryService, PredictorStatus } from '../../../src/controller/rollout/kserve-view.ts';
import { changesTemplate } from '../../../src/controller/rollout/template.ts';
import { suite } from '../../support/suite.ts';

const consenting = { 'paceline.dev/slo': '200ms', 'paceline.dev/rollout': 'auto' };

interface Shape {
  annotations?: Record<string, string>;
  predictor?: Record<string, unknown>;
  percent?: number | null;
  status?: PredictorStatus;
  mode?: string;
}

function service({
  annotations = consenting,
  predictor,
  percent,
  status,
  mode = 'Knative',
}: Shape = {}): CanaryService {
  return {
    metadata: { annotations, labels: { team: 'vision' } },
    spec: {
      predictor: {
        model: { modelFormat: { name: 'onnx' }, storageUri: 's3://models/one' },
        minReplicas: 1,
        ...predictor,
        ...(percent === undefined ? {} : { canaryTrafficPercent: percent }),
      },
    },
    status: {
      deploymentMode: mode,
      components: {
        predictor: status ?? {
          latestCreatedRevision: 'm-1',
          latestReadyRevision: 'm-1',
          latestRolledoutRevision: 'm-1',
        },
      },
    },
  };
}

const otherModel = { model: { modelFormat: { name: 'onnx' }, storageUri: 's3://models/two' } };
const walking: PredictorStatus = {
  latestCreatedRevision: 'm-2',
  latestReadyRevision: 'm-2',
  latestRolledoutRevision: 'm-1',
};

suite('the first canary step leaves alone', (test) => {
  test('a service that is being created', () => {
    assert.is(firstCanaryStep(undefined, service()), undefined);
  });

  test('Standard mode, where KServe ignores the field, under both of its names', () => {
    for (const mode of ['Standard', 'RawDeployment']) {
      assert.is(firstCanaryStep(service({ mode }), service({ predictor: otherModel, mode })), undefined);
    }
  });

  test('a service that has rolled nothing out yet: KServe would ignore the split', () => {
    const status = { latestCreatedRevision: 'm-1' };
    assert.is(firstCanaryStep(service({ status }), service({ predictor: otherModel, status })), undefined);
  });

  test('services without consent, and those that only ask for advice', () => {
    const manual = { 'paceline.dev/slo': '200ms' };
    const advise = { ...consenting, 'paceline.dev/mode': 'advise' };
    for (const annotations of [{}, manual, advise, { 'paceline.dev/rollout': 'auto' }]) {
      assert.is(firstCanaryStep(service({ annotations }), service({ annotations, predictor: otherModel })), undefined);
    }
    const overruled = firstCanaryStep(service(), service({ predictor: otherModel }), {
      rollout: 'manual',
      mode: 'act',
    });
    assert.is(overruled, undefined);
  });

  test('the update that opts in, because the running revision has no companion to compare with', () => {
    const before = service({ annotations: {} });
    assert.is(firstCanaryStep(before, service({ predictor: otherModel })), undefined);
  });

  test("a user's explicit 100", () => {
    assert.is(firstCanaryStep(service(), service({ predictor: otherModel, percent: 100 })), undefined);
  });

  test('updates that make no Revision, which a share below 100 would turn into a return to the model before', () => {
    const same: Shape[] = [
      {},
      { predictor: { minReplicas: null } },
      { predictor: { maxReplicas: 0 } },
      { predictor: { deploymentStrategy: { type: 'Recreate' } } },
      { predictor: { nodeSelector: {}, tolerations: [] } },
      { annotations: { ...consenting, 'serving.knative.dev/rollout-duration': '60s' } },
      { annotations: { ...consenting, 'kubectl.kubernetes.io/last-applied-configuration': '{}' } },
      { annotations: { ...consenting, 'autoscaling.knative.dev/min-scale': '7' } },
    ];
    for (const shape of same) {
      const after = service(shape);
      assert.not(changesTemplate(service(), after), JSON.stringify(shape));
      assert.is(firstCanaryStep(service(), after), undefined);
    }
    assert.not(changesTemplate(service(), service({ annotations: { ...consenting, own: '1' } }), ['own']));
  });

  test('an update that asks for the same already', () => {
    assert.is(firstCanaryStep(service({ percent: 0 }), service({ percent: 0, predictor: otherModel })), undefined);
  });
});

suite('the first canary step', (test) => {
  test('goes into the update that changes the template, whichever part of it', () => {
    const changes: Shape[] = [
      { predictor: otherModel },
      { predictor: { minReplicas: 2 } },
      { predictor: { batcher: {} } },
      { predictor: { annotations: { one: 'more' } } },
      { annotations: { ...consenting, 'paceline.dev/slo': '300ms' } },
    ];
    for (const shape of changes) {
      assert.ok(changesTemplate(service(), service(shape)), JSON.stringify(shape));
      assert.equal(firstCanaryStep(service(), service(shape)), { percent: 0, reason: 'NewRevision' });
      const promoted = firstCanaryStep(service({ percent: 100 }), service({ percent: 100, ...shape }));
      assert.equal(promoted, { percent: 0, reason: 'NewRevision' });
    }
  });

  test('of an edit in the middle of a walk starts again: latest is the old candidate until the new one is Ready', () => {
    const before = service({ percent: 25, status: walking });
    const after = service({ percent: 25, predictor: otherModel, status: walking });
    assert.equal(firstCanaryStep(before, after), { percent: 0, reason: 'NewRevision' });
  });

  test('is told apart from a batcher whose timeout changes, which KServe does not pass on', () => {
    const before = service({ predictor: { batcher: { maxBatchSize: 8, timeout: '1s' } } });
    const after = service({ predictor: { batcher: { maxBatchSize: 8, timeout: '2s' } } });
    assert.not(changesTemplate(before, after));
  });

  test('is kept when a manifest without the field is applied in the middle of a walk', () => {
    const kept = firstCanaryStep(service({ percent: 25, status: walking }), service({ status: walking }));
    assert.equal(kept, { percent: 25, reason: 'WalkKept' });
  });

  test('leaves with the consent, or later updates would stay at its share for ever', () => {
    const annotations = { 'paceline.dev/slo': '200ms' };
    const step = firstCanaryStep(service({ percent: 0, status: walking }), service({ percent: 0, annotations }));
    assert.equal(step, { percent: null, reason: 'ConsentWithdrawn' });
  });
});
