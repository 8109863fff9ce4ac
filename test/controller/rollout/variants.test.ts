import * as assert from 'uvu/assert';
import { splitOf, variantGroupLabel } from '../../../src/controller/actuators/route.ts';
import type { HeardPod, RolloutInput } from '../../../src/controller/reconcile/rollout-step.ts';
import { VariantRoutes } from '../../../src/controller/rollout/variant-routes.ts';
import { variantGroup } from '../../../src/controller/rollout/variants.ts';
import { KubeError } from '../../../src/kube/kube-error.ts';
import { type KubeObject, kinds, type ObjectName, type ResourceKind } from '../../../src/kube/objects.ts';
import { suite } from '../../support/suite.ts';
import { WriteRecorder } from '../../support/write-recorder.ts';

/** Two variants of `digits`: `small` is quick, `large` is four times as slow and more accurate. */
class Group {
  readonly recorder = new WriteRecorder();
  routes = new VariantRoutes();
  nowMs = 1_000_000;
  /** What a jump of the wall clock has added. */
  skewMs = 0;
  route: KubeObject | undefined;
  /** Services that there are, with the group that they name. */
  readonly services = new Map<string, string | undefined>([
    ['small', 'digits'],
    ['large', 'digits'],
  ]);
  ready = { small: true, large: true };
  mode: 'act' | 'advise' = 'act';
  minAccuracy: number | undefined;

  async pass(name: 'small' | 'large', variantOf: string | undefined = 'digits') {
    const revision = `${name}-predictor-00001`;
    const slow = name === 'small' ? 1 : 4;
    const latencyMs = [1, 4, 16].map((items) => {
      const expected = (10 + items) * slow;
      return { items, expected, quantile: expected * 1.2 };
    });
    const signals = { latencyMs, inFlightLimit: 1, arrivalRate: 20, waiting: 0, arrivals: new Array(60).fill(20) };
    const pod = { name, uid: name, revision, ready: this.ready[name], signals } as unknown as HeardPod;
    const { context } = this.recorder;
    return await this.routes.look({
      observed: {
        target: { group: 'serving.kserve.io', kind: 'InferenceService', namespace: 'ml', name },
        uid: `uid-${name}`,
        deploymentMode: 'knative',
        maxReplicas: 0,
        containerConcurrency: 0,
        latestRolledoutRevision: revision,
        revisions: [{ name: revision, ready: this.ready[name] }],
      },
      policy: {
        variantOf,
        mode: this.mode,
        sloMs: 500,
        sloQuantile: 0.99,
        patience: 'auto',
        maxBatchSize: 64,
        accuracy: name === 'small' ? 0.9 : 0.97,
        minAccuracy: this.minAccuracy,
      },
      plan: undefined,
      pods: [pod],
      prices: new Map(),
      context: {
        ...context,
        nowMs: this.nowMs + this.skewMs,
        monotonicMs: this.nowMs,
        api: {
          ...context.api,
          get: async (kind: ResourceKind, { name: of }: ObjectName) => this.#get(kind, of),
          apply: async (...given: Parameters<typeof context.api.apply>) => {
            this.route = await context.api.apply(...given);
            return this.route;
          },
        },
      },
    } as unknown as RolloutInput);
  }

  async passes(count: number, names: readonly ('small' | 'large')[] = ['small', 'large']): Promise<void> {
    for (let pass = 0; pass < count; pass++) {
      this.nowMs += 5_000;
      for (const name of names) await this.pass(name);
    }
  }

  /** The Route's percentages by the service's name. */
  get split(): Record<string, number> {
    const split = this.route ? splitOf(this.route) : [];
    return Object.fromEntries(split.map(({ revision, percent }) => [revision.split('-')[0], percent]));
  }

  #get(kind: ResourceKind, name: string): KubeObject {
    const service = name.split('-')[0] as string;
    if (kind === kinds.route && this.route) return this.route;
    if (kind !== kinds.route && this.services.has(service)) {
      const variantOf = this.services.get(service);
      const labels = { 'serving.kserve.io/inferenceservice': service };
      const annotations = variantOf === undefined ? {} : { 'paceline.dev/variant-of': variantOf };
      return { metadata: { name: kind === kinds.revision ? name : service, labels, annotations } };
    }
    throw new KubeError(404, 'NotFound', 'none');
  }
}

suite('variants', (test) => {
  test('get no Route without a group, in mode advise, or while none is Ready', async () => {
    const group = new Group();
    await group.pass('small', '');
    group.mode = 'advise';
    await group.passes(4);
    const cold = new Group();
    cold.ready = { small: false, large: false };
    await cold.passes(4);
    assert.equal([...group.recorder.writes, ...cold.recorder.writes], []);
  });

  test('share one Route that names both owners, and at rest it is not written again', async () => {
    const group = new Group();
    await group.passes(30);
    assert.is(group.route?.metadata.labels?.[variantGroupLabel], 'digits');
    assert.is(group.route?.metadata.ownerReferences?.length, 2);
    const percents = splitOf(group.route as KubeObject).map(({ percent }) => percent);
    assert.is(
      percents.reduce((sum, each) => sum + each, 0),
      100,
    );
    const writes = group.recorder.writes.length;
    await group.passes(30);
    assert.is(group.recorder.writes.length, writes);
  });

  test('move to the one that meets the floor, in steps', async () => {
    const group = new Group();
    group.ready.large = false;
    await group.passes(4);
    assert.equal(splitOf(group.route as KubeObject), [{ revision: 'small-predictor-00001', percent: 100 }]);
    group.ready.large = true;
    group.minAccuracy = 0.95;
    await group.passes(2);
    const first = splitOf(group.route as KubeObject).find(({ revision }) => revision.startsWith('large'))?.percent ?? 0;
    assert.ok(first <= 25, `${first} % at once`);
    await group.passes(200);
    assert.ok(splitOf(group.route as KubeObject).some(({ revision }) => revision.startsWith('large')));
  });

  for (const [what, change] of [
    ['is deleted', (group: Group) => void group.services.delete('large')],
    ['goes to another group', (group: Group) => void group.services.set('large', 'letters')],
  ] as const) {
    test(`one that ${what} leaves the Route in one write, once it is silent or known to have left`, async () => {
      const group = new Group();
      group.minAccuracy = 0.95;
      await group.passes(40);
      assert.is(group.split.large, 100);
      change(group);
      await group.passes(30, ['small']);
      assert.equal(group.split, { small: 100 });
    });
  }

  test('one that names another group in its own pass is out with the next decision', async () => {
    const group = new Group();
    group.minAccuracy = 0.95;
    await group.passes(40);
    await group.pass('large', 'letters');
    await group.passes(3, ['small']);
    assert.equal(group.split, { small: 100 });
  });

  test('one that is only silent, as in mode off, keeps what it has', async () => {
    const group = new Group();
    group.minAccuracy = 0.95;
    await group.passes(40);
    await group.passes(60, ['small']);
    assert.is(group.split.large, 100);
  });

  test('a leader that starts anew, and a clock that jumps, decide nothing from half of a group', async () => {
    const group = new Group();
    group.minAccuracy = 0.95;
    await group.passes(40);
    const before = group.split;
    for (const jumpMs of [0, 3_600_000, -7_200_000]) {
      group.skewMs += jumpMs;
      group.routes = new VariantRoutes();
      await group.pass('small');
      group.nowMs += 11_000;
      await group.pass('small');
      assert.equal(group.split, before, `${jumpMs} ms`);
      await group.passes(3);
      group.skewMs += jumpMs;
      await group.pass('small');
      assert.equal(group.split, before, `${jumpMs} ms, in the midst`);
    }
    // Decisions go on after a clock that went back.
    group.services.delete('large');
    await group.passes(40, ['small']);
    assert.equal(group.split, { small: 100 });
  });

  test('keep the revision that is left as a member until nothing goes there', () => {
    const owner = { apiVersion: 'serving.kserve.io/v1beta1', kind: 'InferenceService', name: 'small', uid: 'u' };
    const route: KubeObject = {
      metadata: { name: 'digits' },
      spec: { traffic: [{ revisionName: 'small-predictor-00001', percent: 100 }] },
    };
    const variant = { owner, revision: 'small-predictor-00002', ready: true, state: {} as never };
    const { members } = variantGroup({ namespace: 'ml', name: 'digits', route, load: 1 }, [variant]);
    assert.equal(
      members.map(({ revision }) => revision),
      ['small-predictor-00002', 'small-predictor-00001'],
    );
  });
});
