import * as assert from 'uvu/assert';
import {
  classKey,
  handedOverKey,
  knativeClass,
  metricKey,
} from '../../../src/controller/actuators/autoscaler-class.ts';
import { uninstall } from '../../../src/controller/uninstall.ts';
import { type KubeObject, kinds } from '../../../src/kube/objects.ts';
import { podAutoscalerClass } from '../../../src/policy/service-view.ts';
import { ControllerRig, namespace, type SeenStatus } from '../../support/controller-rig.ts';
import { suite } from '../../support/suite.ts';

const lead = () => true;
const slo = { 'paceline.dev/slo': '500ms' };
const first = 'digits-predictor-00001';
const second = 'digits-predictor-00002';
const at = (name: string) => ({ namespace, name });

interface AutoscalerStatus extends SeenStatus {
  readonly serviceName?: string;
  readonly metricsServiceName?: string;
  readonly desiredScale?: number;
  readonly actualScale?: number;
  readonly observedGeneration?: number;
}

async function running(annotations: Record<string, string> = slo) {
  const rig = new ControllerRig();
  await rig.start(annotations, podAutoscalerClass);
  const part = await rig.controller(lead);
  await rig.clock.advance(40_000);
  return { rig, part };
}

function autoscaler(rig: ControllerRig, name = first): AutoscalerStatus {
  return (rig.api.peek(kinds.podAutoscaler, at(name))?.status ?? {}) as AutoscalerStatus;
}

function condition(rig: ControllerRig, type: string, name = first) {
  return autoscaler(rig, name).conditions?.find((each) => each.type === type);
}

function serverlessService(rig: ControllerRig) {
  return rig.api.peek(kinds.serverlessService, at(first)) as KubeObject & { readonly spec: { readonly mode: string } };
}

function isRevisionReady(rig: ControllerRig, name = first): boolean {
  const { conditions } = (rig.api.peek(kinds.revision, at(name))?.status ?? {}) as SeenStatus;
  return conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}

suite('a service of our autoscaler class', (test) => {
  test('a PodAutoscaler that Knative did not make for the Revision is answered by nobody', async () => {
    const rig = new ControllerRig();
    await rig.start(slo, podAutoscalerClass);
    const { metadata, spec } = rig.api.peek(kinds.podAutoscaler, at(first)) as { metadata: object; spec: object };
    rig.api.remove(kinds.podAutoscaler, at(first));
    rig.api.seed(kinds.podAutoscaler, { metadata: { ...metadata, ...at(first), ownerReferences: [] }, spec });
    const part = await rig.controller(lead);
    await rig.clock.advance(40_000);
    assert.equal(autoscaler(rig), {});
    assert.equal(
      rig.api.writes.filter(({ kind }) => ['Deployment', 'PodAutoscaler', 'ServerlessService'].includes(kind)),
      [],
    );
    await part.stop();
  });

  test("a ServerlessService of that name that is somebody else's is left alone, and the status says NotOwned", async () => {
    const rig = new ControllerRig();
    rig.api.seed(kinds.serverlessService, { metadata: at(first), spec: { mode: 'Serve' } });
    await rig.start(slo, podAutoscalerClass);
    const part = await rig.controller(lead);
    await rig.clock.advance(40_000);
    assert.is(condition(rig, 'Active')?.reason, 'NotOwned');
    assert.equal(serverlessService(rig).spec, { mode: 'Serve' });
    assert.not.ok(isRevisionReady(rig));
    await part.stop();
  });

  test('signals that are too old change nothing', async () => {
    const { rig, part } = await running();
    rig.load = 300;
    await rig.clock.advance(60_000);
    const before = rig.replicas();
    assert.ok(before > 1);
    rig.load = 5;
    rig.signals = () => {
      throw new Error('timed out');
    };
    await rig.clock.advance(240_000);
    assert.is(rig.replicas(), before);
    assert.is(rig.condition('Planned')?.reason, 'StaleSignals');
    await part.stop();
  });

  test('its Revision becomes Ready through the status, with the ServerlessService that Knative expects', async () => {
    const { rig, part } = await running();
    assert.ok(isRevisionReady(rig));
    const status = autoscaler(rig);
    assert.is(status.serviceName, first);
    assert.is(status.metricsServiceName, `${first}-private`);
    assert.is(status.actualScale, 1);
    assert.is(status.desiredScale, 1);
    assert.equal(
      status.conditions?.map(({ type, status: is }) => `${type} ${is}`),
      ['Active True', 'Ready True', 'SKSReady True', 'ScaleTargetInitialized True'],
    );
    const { metadata, spec } = serverlessService(rig);
    assert.equal(spec, {
      mode: 'Serve',
      objectRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: `${first}-deployment` },
      protocolType: 'http1',
      numActivators: 0,
    });
    assert.equal(metadata.ownerReferences, [
      {
        apiVersion: 'autoscaling.internal.knative.dev/v1alpha1',
        kind: 'PodAutoscaler',
        name: first,
        uid: `${first}-pa`,
        controller: true,
      },
    ]);
    assert.is(metadata.labels?.['serving.knative.dev/revision'], first);
    await part.stop();
  });

  test('it is scaled by the plan, through the scale subresource, and the Revision is not written', async () => {
    const { rig, part } = await running();
    rig.load = 300;
    await rig.clock.advance(60_000);
    assert.ok(rig.replicas() > 1, `${rig.replicas()} replicas`);
    assert.is(rig.replicas(), rig.status().plan?.replicas);
    assert.is(autoscaler(rig).desiredScale, rig.replicas());
    assert.is(rig.condition('Enforced')?.status, 'True');
    const verbs = new Set(
      rig.api.writes
        .filter(({ kind }) => !['InferencePolicy', 'Event', 'Secret'].includes(kind))
        .map(({ verb, kind, subresource }) => `${verb} ${kind} ${subresource ?? ''}`),
    );
    assert.equal([...verbs].sort(), [
      'create ServerlessService ',
      'mergePatch PodAutoscaler status',
      'scale Deployment scale',
    ]);
    await part.stop();
  });

  test('down only after long agreement, by halves, and never to zero', async () => {
    const { rig, part } = await running();
    rig.load = 300;
    await rig.clock.advance(90_000);
    const high = rig.replicas();
    rig.load = 0;
    await rig.clock.advance(20_000);
    assert.is(rig.replicas(), high);
    await rig.clock.advance(400_000);
    assert.is(rig.replicas(), 1);
    const scales = rig.api.writes.filter(({ verb }) => verb === 'scale').map(({ body }) => body as number);
    let before = high;
    for (const replicas of scales.slice(scales.indexOf(high) + 1)) {
      assert.ok(replicas >= Math.ceil(before / 2), `${before} -> ${replicas}`);
      before = replicas;
    }
    await part.stop();
  });

  test('five minutes at steady load: nothing is written', async () => {
    const { rig, part } = await running();
    rig.load = 150;
    await rig.clock.advance(300_000);
    const before = rig.api.writes.length;
    await rig.clock.advance(300_000);
    const writes = rig.api.writes.slice(before).map(({ verb, kind, key }) => `${verb} ${kind} ${key}`);
    assert.equal(writes, []);
    await part.stop();
  });

  test('with the controller dead the replicas stay; the next one goes on from them', async () => {
    const { rig, part } = await running();
    rig.load = 300;
    await rig.clock.advance(60_000);
    const before = rig.replicas();
    await part.stop();
    await rig.clock.advance(120_000);
    assert.is(rig.replicas(), before);
    const next = await rig.controller(lead, 1);
    await rig.clock.advance(30_000);
    assert.is(rig.replicas(), before);
    await next.stop();
  });

  test('a new Revision becomes Ready while its companions are still unheard and annotations are wrong', async () => {
    const { rig, part } = await running();
    rig.annotate({ 'paceline.dev/slo': 'soon' });
    rig.addRevision(second, 0, podAutoscalerClass);
    await rig.clock.advance(10_000);
    assert.is(rig.condition('Accepted')?.reason, 'InvalidAnnotations');
    assert.ok(isRevisionReady(rig, second));
    await part.stop();
  });

  test('a Revision that no Route leads to any more goes to zero, behind the activator, after a grace', async () => {
    const { rig, part } = await running();
    rig.addRevision(second, 0, podAutoscalerClass);
    await rig.clock.advance(10_000);
    rig.route(second, 100);
    const labels = { 'serving.knative.dev/routingState': 'reserve' };
    rig.api.edit(kinds.revision, at(first), { metadata: { labels } });
    await rig.clock.advance(5_000);
    assert.is(condition(rig, 'Active')?.reason, 'NoTraffic');
    assert.is(serverlessService(rig).spec.mode, 'Proxy');
    assert.ok(rig.replicas() > 0, 'requests may still be on their way');
    await rig.clock.advance(60_000);
    assert.is(rig.replicas(), 0);
    assert.ok(rig.replicas(second) >= 1);
    // Back to it: the activator holds what comes first.
    rig.api.edit(kinds.revision, at(first), { metadata: { labels: { 'serving.knative.dev/routingState': 'active' } } });
    await rig.clock.advance(15_000);
    assert.ok(rig.replicas() >= 1);
    assert.is(condition(rig, 'Active')?.status, 'True');
    await part.stop();
  });

  test('a Revision that never comes up is given up after its deadline, whatever the clock does meanwhile', async () => {
    const { rig, part } = await running();
    const name = second;
    rig.broken.add(name);
    rig.addRevision(name, 0, podAutoscalerClass);
    const annotations = { 'serving.knative.dev/progress-deadline': '2m' };
    rig.api.edit(kinds.podAutoscaler, at(name), { metadata: { annotations } });
    await rig.clock.advance(60_000);
    rig.clock.jumpWall(7_200_000);
    await rig.clock.advance(30_000);
    assert.is(condition(rig, 'Active', name)?.status, 'Unknown');
    await rig.clock.advance(75_000);
    assert.is(condition(rig, 'Active', name)?.reason, 'TimedOut');
    assert.is(condition(rig, 'ScaleTargetInitialized', name)?.status, 'Unknown');
    await rig.clock.advance(60_000);
    assert.is(rig.replicas(name), 0);
    await rig.clock.advance(180_000);
    assert.is(rig.replicas(name), 0, 'it is not tried again and again');
    await part.stop();
  });

  test('somebody else who scales the Deployment is reverted three times at most, then left alone and named', async () => {
    const { rig, part } = await running();
    for (let i = 0; i < 5; i++) {
      rig.api.edit(kinds.deployment, at(`${first}-deployment`), { spec: { replicas: 7 + (i % 2) } });
      await rig.clock.advance(60_000);
    }
    assert.is(rig.replicas(), 7);
    assert.is(rig.condition('Enforced')?.reason, 'ForeignWriter');
    await part.stop();
  });

  test('off hands it to Knative, and on takes it back', async () => {
    const { rig, part } = await running();
    rig.api.edit(kinds.inferencePolicy, at('digits'), { spec: { mode: 'off' } });
    await rig.clock.advance(3_000);
    assert.is(rig.revision()[classKey], knativeClass);
    // Without a metric by name Knative's validation refuses to carry the class over.
    assert.is(rig.revision()[metricKey], 'concurrency');
    assert.is(rig.revision()[handedOverKey], podAutoscalerClass);
    const scales = rig.api.writes.filter(({ verb }) => verb === 'scale').length;
    await rig.clock.advance(60_000);
    assert.is(rig.api.writes.filter(({ verb }) => verb === 'scale').length, scales);
    rig.api.edit(kinds.inferencePolicy, at('digits'), { spec: { mode: 'act' } });
    await rig.clock.advance(3_000);
    assert.is(rig.revision()[classKey], podAutoscalerClass);
    assert.is(rig.revision()[handedOverKey], undefined);
    rig.load = 300;
    await rig.clock.advance(60_000);
    assert.ok(rig.replicas() > 1);
    assert.is(rig.condition('Enforced')?.status, 'True');
    await part.stop();
  });

  test('while it is off, a new Revision of it is handed over too', async () => {
    const { rig, part } = await running({ ...slo, 'paceline.dev/mode': 'advise' });
    assert.is(rig.revision()[classKey], knativeClass);
    rig.addRevision(second, 0, podAutoscalerClass);
    await rig.clock.advance(3_000);
    assert.is(rig.revision(second)[classKey], knativeClass);
    await part.stop();
  });

  test('without our annotation it is handed to Knative for good', async () => {
    const { rig, part } = await running();
    rig.annotate({ 'paceline.dev/slo': null });
    await rig.clock.advance(5_000);
    assert.is(rig.revision()[classKey], knativeClass);
    assert.is(rig.revision()[handedOverKey], undefined);
    assert.is(rig.policy(), undefined);
    await part.stop();
  });

  test('the class goes: the old Revision stays ours, the new one is steered', async () => {
    const { rig, part } = await running();
    rig.annotate({ [classKey]: null });
    rig.addRevision(second, 100);
    rig.load = 300;
    await rig.clock.advance(90_000);
    assert.ok(rig.minScale(second) > 1);
    assert.is(rig.revision()[classKey], podAutoscalerClass);
    await part.stop();
  });

  test('uninstall hands over what we answer for, and what was handed over for a while', async () => {
    const { rig, part } = await running();
    rig.api.edit(kinds.inferencePolicy, at('digits'), { spec: { mode: 'off' } });
    await rig.clock.advance(3_000);
    await part.stop();
    rig.addRevision(second, 0, podAutoscalerClass);
    const { api, clock, chance, log } = rig;
    const lease = { namespace: 'paceline-system', name: 'paceline-controller' };
    const done = uninstall({ api, clock, chance, log, lease, identity: 'uninstall', timeoutMs: 60_000 });
    await rig.clock.advance(60_000);
    assert.equal((await done).failed, []);
    for (const name of [first, second]) {
      assert.is(rig.revision(name)[classKey], knativeClass);
      assert.is(rig.revision(name)[handedOverKey], undefined);
    }
  });
});
