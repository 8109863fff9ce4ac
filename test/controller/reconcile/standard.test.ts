import * as assert from 'uvu/assert';
import { uninstall } from '../../../src/controller/uninstall.ts';
import { kinds } from '../../../src/kube/objects.ts';
import { ControllerRig, namespace } from '../../support/controller-rig.ts';
import { suite } from '../../support/suite.ts';

const lead = () => true;
const at = { namespace, name: 'digits-predictor' };
const isvc = { namespace, name: 'digits' };

/** A service in Standard mode with one replica of its own, which somebody else's controller turns into pods. */
async function running(autoscalerClass = 'external') {
  const rig = new ControllerRig();
  rig.load = 190;
  const labels = { 'serving.kserve.io/inferenceservice': 'digits', component: 'predictor' };
  rig.api.seed(kinds.inferenceService, {
    metadata: {
      ...isvc,
      uid: 'isvc-uid',
      annotations: { 'paceline.dev/slo': '500ms', 'serving.kserve.io/autoscalerClass': autoscalerClass },
    },
    spec: { predictor: { minReplicas: 1, maxReplicas: 10 } },
    status: { deploymentMode: 'Standard' },
  });
  rig.api.seed(kinds.deployment, { metadata: { ...at, labels }, spec: { replicas: 1 }, status: { readyReplicas: 1 } });
  const replicas = () => (rig.api.peek(kinds.deployment, at)?.spec as { replicas: number } | undefined)?.replicas ?? 0;
  let made = 0;
  const turn = () => {
    const pods = rig.api.all(kinds.pod);
    for (let i = pods.length; i < replicas(); i++) {
      const createdAt = new Date(rig.clock.wallMs()).toISOString();
      rig.api.seed(kinds.pod, {
        metadata: {
          namespace,
          name: `digits-predictor-rs-${++made}`,
          labels: { ...labels, 'paceline.dev/companion': 'true' },
          creationTimestamp: createdAt,
          ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'digits-predictor-rs', uid: 'rs' }],
        },
        spec: { nodeName: 'node' },
        status: {
          podIP: `10.1.0.${made}`,
          phase: 'Running',
          conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: createdAt }],
        },
      });
    }
    for (const pod of pods.slice(replicas())) rig.api.remove(kinds.pod, pod.metadata);
    rig.clock.after(500, turn);
  };
  turn();
  rig.signals = (truth) => ({ status: 200, body: JSON.stringify({ ...truth, revision: 'digits-predictor-rs' }) });
  const part = await rig.controller(lead);
  await rig.clock.advance(90_000);
  return { rig, part, replicas };
}

suite('reconcile a service in Standard mode', (test) => {
  test('with any other autoscaler its replicas stay, and the status says why', async () => {
    const { rig, part, replicas } = await running('hpa');
    assert.is(replicas(), 1);
    assert.is(rig.condition('Enforced')?.reason, 'AdviceOnly');
    await part.stop();
  });

  test('its Deployment is scaled, and nothing else of it is written', async () => {
    const { rig, part, replicas } = await running();
    assert.ok(replicas() > 1, `${replicas()} replicas`);
    assert.is(rig.condition('Enforced')?.status, 'True');
    for (const { kind, verb } of rig.api.writes) if (kind === 'Deployment') assert.is(verb, 'scale');
    await part.stop();
  });

  test('a canary and the workers beside it are not scaled', async () => {
    const { rig, part, replicas } = await running();
    const labels = { 'serving.kserve.io/inferenceservice': 'digits', component: 'predictor' };
    for (const name of ['digits-a-predictor', 'digits-new-predictor', 'digits-predictor-worker']) {
      rig.api.seed(kinds.deployment, {
        metadata: { namespace, name, labels },
        spec: { replicas: 1 },
        status: { readyReplicas: 1 },
      });
    }
    const createdAt = new Date(rig.clock.wallMs()).toISOString();
    rig.api.seed(kinds.pod, {
      metadata: {
        namespace,
        name: 'digits-new-predictor-abc-1',
        labels: { ...labels, 'paceline.dev/companion': 'true' },
        creationTimestamp: createdAt,
        ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'digits-new-predictor-abc', uid: 'new' }],
      },
      spec: { nodeName: 'node' },
      status: {
        podIP: '10.1.1.1',
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: createdAt }],
      },
    });
    await rig.clock.advance(60_000);
    assert.ok(replicas() > 1, `${replicas()} replicas`);
    const scaled = rig.api.writes.filter(({ kind }) => kind === 'Deployment').map(({ key }) => key);
    assert.equal([...new Set(scaled)], [`${namespace}/digits-predictor`]);
    await part.stop();
  });

  test('the policy is deleted by hand: what was there before is still given back', async () => {
    const { rig, part, replicas } = await running();
    assert.ok(replicas() > 1);
    rig.api.remove(kinds.inferencePolicy, isvc);
    await rig.clock.advance(60_000);
    assert.ok(rig.policy(), 'it is made again');
    assert.ok(replicas() > 1);
    rig.annotate({ 'paceline.dev/slo': null });
    await rig.clock.advance(5_000);
    assert.is(replicas(), 1);
    await part.stop();
  });

  test('the policy and the annotation go while no controller runs', async () => {
    const { rig, part, replicas } = await running();
    await part.stop();
    rig.api.remove(kinds.inferencePolicy, isvc);
    rig.annotate({ 'paceline.dev/slo': null });
    const next = await rig.controller(lead, 1);
    await rig.clock.advance(10_000);
    assert.is(replicas(), 1);
    await next.stop();
  });

  test('uninstall gives it back, with the policy gone too', async () => {
    for (const gone of [false, true]) {
      const { rig, part, replicas } = await running();
      await part.stop();
      if (gone) rig.api.remove(kinds.inferencePolicy, isvc);
      const lease = { namespace: 'paceline-system', name: 'paceline-controller' };
      const { api, clock, chance, log } = rig;
      const done = uninstall({ api, clock, chance, log, lease, identity: 'uninstall', timeoutMs: 60_000 });
      await rig.clock.advance(60_000);
      assert.equal((await done).failed, []);
      assert.is(replicas(), 1);
    }
  });

  test('ten minutes at steady load: nothing is written', async () => {
    const { rig, part } = await running();
    await rig.clock.advance(240_000);
    const before = rig.api.writes.length;
    await rig.clock.advance(600_000);
    const writes = rig.api.writes.slice(before).map(({ verb, kind, key }) => `${verb} ${kind} ${key}`);
    assert.equal(writes, []);
    await part.stop();
  });
});
