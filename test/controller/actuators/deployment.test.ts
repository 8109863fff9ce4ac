import * as assert from 'uvu/assert';
import { ScaleDeployment } from '../../../src/controller/actuators/deployment.ts';
import { managerFor, replicasBefore } from '../../../src/controller/actuators/held-replicas.ts';
import { holdingText } from '../../../src/controller/actuators/originals.ts';
import type { ObservedDeployment } from '../../../src/controller/reconcile/observed.ts';
import { projectDeployment } from '../../../src/controller/reconcile/projections.ts';
import { KubeError } from '../../../src/kube/kube-error.ts';
import { kinds } from '../../../src/kube/objects.ts';
import { ApiDouble } from '../../support/api-double.ts';
import { QuietLog } from '../../support/quiet-log.ts';
import { suite } from '../../support/suite.ts';

const at = { namespace: 'a', name: 'm-predictor' };
const policy = { namespace: 'a', name: 'm' };

function rig(replicas = 3) {
  const api = new ApiDouble();
  const labels = { 'serving.kserve.io/inferenceservice': 'm', component: 'predictor' };
  api.seed(kinds.deployment, { metadata: { ...at, labels }, spec: { replicas } });
  api.seed(kinds.inferencePolicy, { metadata: policy, spec: {} });
  let actuator = new ScaleDeployment();
  let nowMs = 1_000_000;
  const context = (leads = true) => ({
    api,
    log: new QuietLog(),
    nowMs,
    monotonicMs: nowMs,
    leads: () => leads,
    transitions: 1,
  });
  const observe = () => projectDeployment(api.peek(kinds.deployment, at) as never) as ObservedDeployment;
  const holding = () => api.peek(kinds.inferencePolicy, policy)?.metadata.annotations?.['paceline.dev/original'];
  const target = (deployment = observe(), autoscaler = 'external') => ({
    deployment,
    autoscaler,
    policy: api.peek(kinds.inferencePolicy, policy) ? policy : undefined,
    holding: holding(),
  });
  return {
    api,
    observe,
    holding,
    apply: (wanted: number, { leads = true, seen = observe(), autoscaler = 'external' } = {}) =>
      actuator.apply({ replicas: wanted }, target(seen, autoscaler), context(leads)),
    giveBack: (leads = true) => actuator.giveBack(target(), context(leads)),
    somebody: (wanted: number) => api.edit(kinds.deployment, at, { spec: { replicas: wanted } }),
    restart: () => {
      actuator = new ScaleDeployment();
    },
    later: (ms: number) => {
      nowMs += ms;
    },
    replicas: () => (api.peek(kinds.deployment, at)?.spec as { replicas: number } | undefined)?.replicas,
    scales: () => api.writes.filter(({ verb }) => verb === 'scale').length,
  };
}

suite('scale a Deployment', (test) => {
  test('a manager of another name, subresource or form says nothing about what was before', () => {
    const fieldsV1 = { 'f:spec': { 'f:replicas': {} } };
    for (const managedFields of [
      undefined,
      'x',
      [null, 7, {}],
      [{ manager: 'kubectl', subresource: 'scale', fieldsV1 }],
      [{ manager: 'paceline', subresource: 'scale', fieldsV1 }],
      [{ manager: managerFor(3), subresource: 'status', fieldsV1 }],
      [{ manager: managerFor(3), subresource: 'scale', fieldsV1: { 'f:spec': {} } }],
      [{ manager: managerFor(3), subresource: 'scale' }],
      ...['-1', '1.5', '', '1e3', '99999999999'].map((digits) => [
        { manager: `paceline-replicas-were-${digits}`, subresource: 'scale', fieldsV1 },
      ]),
    ]) {
      assert.is(replicasBefore({ managedFields }), undefined, JSON.stringify(managedFields));
    }
    assert.is(replicasBefore({ managedFields: [{ manager: managerFor(0), subresource: 'scale', fieldsV1 }] }), 0);
  });

  test('what an autoscaler or KServe itself scales is left alone', async () => {
    const { api, apply } = rig();
    for (const autoscaler of ['hpa', 'keda', 'none', 'knative']) {
      const { refused, changes } = await apply(9, { autoscaler });
      assert.is(refused?.reason, 'AdviceOnly');
      assert.equal(changes, []);
    }
    assert.equal(api.writes, []);
  });

  test('writes nothing once the lease is lost, neither to scale nor to give back', async () => {
    const { api, apply, giveBack } = rig();
    assert.is((await apply(9, { leads: false })).refused?.reason, 'NotLeader');
    assert.equal(api.writes, []);
    await apply(9);
    await giveBack(false);
    assert.is(api.writes.length, 1);
  });

  test('a write that fails is the answer, and the next one still knows what was before', async () => {
    const { api, apply, giveBack, replicas } = rig();
    for (const status of [409, 500, 0]) {
      api.before = () => {
        throw new KubeError(status, 'Failed', 'as the test says');
      };
      try {
        await apply(9);
        assert.unreachable();
      } catch (error) {
        assert.is((error as KubeError).status, status);
      }
    }
    api.before = undefined;
    // This one takes effect and its answer is lost.
    api.after = () => {
      throw new KubeError(0, 'Unreachable', 'answer lost');
    };
    await apply(9).catch(() => {});
    api.after = undefined;
    assert.is(replicas(), 9);
    assert.equal((await apply(9)).changes, []);
    await giveBack();
    assert.is(replicas(), 3);
  });

  test('one write scales and keeps what was there; the same again writes nothing', async () => {
    const { api, apply, observe, scales } = rig();
    assert.equal((await apply(5)).changes, ['deployment m-predictor: replicas 3 -> 5']);
    assert.is(observe().replicasBefore, 3);
    assert.equal((await apply(5)).changes, []);
    await apply(7);
    assert.is(observe().replicasBefore, 3);
    assert.is(scales(), 2);
    assert.is(api.writes.length, 2, 'nothing else is written');
  });

  test('a watch that is behind our own write is not taken for somebody else', async () => {
    const { apply, observe, replicas, holding, scales } = rig();
    const seen = observe();
    await apply(5);
    assert.equal((await apply(5, { seen })).changes, []);
    assert.is(scales(), 1);
    assert.equal((await apply(6, { seen })).changes, ['deployment m-predictor: replicas 5 -> 6']);
    assert.is(replicas(), 6);
    assert.is(holding(), undefined);
  });

  test('a foreign value is reverted three times at most, then left alone, and is what stays', async () => {
    const { apply, giveBack, somebody, replicas, restart, later, scales } = rig();
    await apply(5);
    for (const theirs of [8, 3]) {
      somebody(theirs);
      assert.is((await apply(5)).refused, undefined);
      assert.is(replicas(), 5, `${theirs} is reverted, even where it is what was there before us`);
      later(60_000);
    }
    somebody(9);
    assert.is((await apply(5)).refused?.reason, 'ForeignWriter');
    restart();
    const writes = scales();
    assert.is((await apply(5)).refused?.reason, 'ForeignWriter', 'a restart does not forget it');
    await giveBack();
    assert.is(replicas(), 9);
    assert.is(scales(), writes);
  });

  test("somebody else's value is the one that is given back", async () => {
    const { apply, giveBack, somebody, replicas } = rig();
    await apply(5);
    somebody(4);
    await apply(6);
    await giveBack();
    assert.is(replicas(), 4);
  });

  test('the original outlives the policy, a restart and both at once', async () => {
    for (const lose of ['policy', 'process', 'both']) {
      const { api, apply, giveBack, replicas, restart } = rig(0);
      await apply(5);
      if (lose !== 'process') api.remove(kinds.inferencePolicy, policy);
      if (lose !== 'policy') restart();
      await apply(7);
      await giveBack();
      assert.is(replicas(), 0, lose);
    }
  });

  test('giving back twice, or where nothing is held, writes nothing', async () => {
    const { apply, giveBack, scales } = rig();
    await giveBack();
    assert.is(scales(), 0);
    await apply(5);
    await giveBack();
    await giveBack();
    assert.is(scales(), 2);
  });

  test('a Deployment that is gone is given back', async () => {
    const { api, apply, giveBack, observe } = rig();
    await apply(5);
    const seen = observe();
    api.before = (verb) => {
      if (verb === 'scale') throw new KubeError(404, 'NotFound', 'gone');
    };
    assert.ok(seen);
    await giveBack();
  });

  test('a new Deployment of the same name is another one', async () => {
    const { api, apply, replicas, giveBack } = rig();
    await apply(5);
    api.remove(kinds.deployment, at);
    const labels = { 'serving.kserve.io/inferenceservice': 'm', component: 'predictor' };
    api.seed(kinds.deployment, { metadata: { ...at, labels }, spec: { replicas: 1 } });
    assert.is((await apply(5)).refused, undefined, 'nobody wrote against us');
    await giveBack();
    assert.is(replicas(), 1);
  });

  test('fewer replicas are written only so often, more always', async () => {
    const { apply, later, scales } = rig(30);
    for (let wanted = 29; wanted > 15; wanted--) {
      await apply(wanted);
      later(1_000);
    }
    assert.ok(scales() <= 7, `${scales()} writes in 14 s`);
    for (let wanted = 30; wanted < 40; wanted++) assert.is((await apply(wanted)).refused, undefined);
  });

  test('a count of foreign writes that was edited by hand counts as none', async () => {
    const { api, apply } = rig();
    for (const text of ['x', '{}', holdingText({ original: {}, applied: {}, reverts: -4 })]) {
      api.edit(kinds.inferencePolicy, policy, { metadata: { annotations: { 'paceline.dev/original': text } } });
      assert.is((await apply(9)).refused, undefined, text);
    }
  });
});
