import * as assert from 'uvu/assert';
import { ApiLookup } from '../../../src/controller/admission/lookup.ts';
import { PodWebhook } from '../../../src/controller/admission/pod-webhook.ts';
import type { AdmissionRequest } from '../../../src/controller/admission/review.ts';
import { ServiceWebhook } from '../../../src/controller/admission/service-webhook.ts';
import { makePolicy } from '../../../src/controller/reconcile/policy-object.ts';
import type { Target } from '../../../src/controller/reconcile/projections.ts';
import { switchServices } from '../../../src/controller/switch.ts';
import { kinds } from '../../../src/kube/objects.ts';
import { container, image, podOf, reviewOf } from '../../support/admission.ts';
import { ApiDouble } from '../../support/api-double.ts';
import { suite } from '../../support/suite.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const name = 'standard-batcher';
const namespace = 'serving';
const status = {
  deploymentMode: 'Knative',
  components: { predictor: { latestReadyRevision: 'a-1', latestRolledoutRevision: 'a-1' } },
};

/** A service with the policy that the controller made for it, and the webhooks that meet its objects. */
class Cluster {
  readonly api = new ApiDouble();
  readonly #lookup = new ApiLookup(this.api, new VirtualClock(), 'kserve');

  static async of(): Promise<Cluster> {
    const cluster = new Cluster();
    const target = { group: 'serving.kserve.io', kind: 'InferenceService', namespace, name };
    await makePolicy(cluster.api, { target, uid: 'u' } as Target);
    return cluster;
  }

  async switch(to: 'on' | 'off'): Promise<void> {
    assert.equal(await switchServices(this.api, to, { namespace, name }), [`${namespace}/${name}`]);
  }

  /** What `kubectl edit plp` comes to. */
  async edit(spec: object): Promise<void> {
    await this.api.mergePatch(kinds.inferencePolicy, { namespace, name }, { spec });
  }

  /** The share of the canary after an update of the model, and why; from `percent` before it. */
  async update(annotations: Record<string, string>, percent?: number) {
    const batcher = { batcher: { maxBatchSize: 64, maxLatency: 1 } };
    const of = (model: string) => ({
      metadata: { namespace, name, annotations: { ...annotations, 'paceline.dev/batcher': '64/1' } },
      spec: {
        predictor: {
          ...batcher,
          containers: [{ name: 'kserve-container', image: model }],
          ...(percent === undefined ? {} : { canaryTrafficPercent: percent }),
        },
      },
      status,
    });
    const request = { operation: 'UPDATE', namespace, object: of('model:2'), oldObject: of('model:1') };
    const verdict = await new ServiceWebhook(this.#lookup, 'paceline').review(request as unknown as AdmissionRequest);
    const { predictor } = (verdict.object as { spec: { predictor: { canaryTrafficPercent?: number } } }).spec;
    return [predictor.canaryTrafficPercent, verdict.outcome];
  }

  /** The mode that the companion of a new pod begins in. */
  async podMode(): Promise<string | undefined> {
    const lookup = this.#lookup;
    const webhook = new PodWebhook({ image, lookup, policyKeys: () => [], excluded: new Set() });
    const { request } = reviewOf('standard-batcher');
    const { object } = await webhook.review({ ...request, namespace });
    return container((object ?? podOf('standard-batcher')) as never, 'agent').env?.find(
      (each) => each.name === 'PACELINE_MODE',
    )?.value;
  }
}

const slo = { 'paceline.dev/slo': '500ms' };
const auto = { ...slo, 'paceline.dev/rollout': 'auto' };

suite('webhooks and the policy that the controller made', (test) => {
  test('while off an update of the model goes as it would without us, and after `on` it begins with a canary again', async () => {
    const cluster = await Cluster.of();
    assert.equal(await cluster.update(auto), [0, 'NewRevision']);
    await cluster.switch('off');
    assert.equal(await cluster.update(auto), [undefined, 'passed']);
    await cluster.switch('on');
    assert.equal(await cluster.update(auto), [0, 'NewRevision']);
  });

  test('a share that our walk left holds no update that is made while off, whoever wished for the walk', async () => {
    for (const annotations of [auto, slo]) {
      const cluster = await Cluster.of();
      await cluster.edit({ rollout: 'auto' });
      await cluster.switch('off');
      assert.equal(await cluster.update(annotations, 25), [undefined, 'ConsentWithdrawn']);
    }
    // A canary that was never ours is left alone.
    const theirs = await Cluster.of();
    await theirs.switch('off');
    assert.equal(await theirs.update(slo, 25), [25, 'passed']);
  });

  test('pods that are made while off begin in mode off', async () => {
    const cluster = await Cluster.of();
    assert.is(await cluster.podMode(), 'act');
    await cluster.switch('off');
    assert.is(await cluster.podMode(), 'off');
  });

  test('rollout auto by the policy alone gets its first step', async () => {
    const cluster = await Cluster.of();
    assert.equal(await cluster.update(slo), [undefined, 'passed']);
    await cluster.edit({ rollout: 'auto' });
    assert.equal(await cluster.update(slo), [0, 'NewRevision']);
  });
});
