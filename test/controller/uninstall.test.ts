import * as assert from 'uvu/assert';
import { classKey, knativeClass, metricKey } from '../../src/controller/actuators/autoscaler-class.ts';
import { uninstall } from '../../src/controller/uninstall.ts';
import { isUninstall } from '../../src/controller/uninstall-lease.ts';
import type { KubeApi } from '../../src/kube/kube-api.ts';
import { LeaseElection } from '../../src/kube/lease-election.ts';
import { type KubeObject, kinds } from '../../src/kube/objects.ts';
import { podAutoscalerClass } from '../../src/policy/service-view.ts';
import { ControllerRig, namespace, original } from '../support/controller-rig.ts';
import { suite } from '../support/suite.ts';

const lease = { namespace: 'paceline-system', name: 'paceline-controller' };

/** A controller that leads by the real election and has steered the service, with load on it. */
async function steered() {
  const rig = new ControllerRig();
  await rig.start();
  rig.api.seed(kinds.mutatingWebhook, { metadata: { name: 'paceline.dev' }, webhooks: [{ name: 'pod.paceline.dev' }] });
  const election = new LeaseElection({
    lease,
    identity: 'controller',
    api: rig.api,
    clock: rig.clock,
    chance: rig.chance,
    log: rig.log,
  });
  election.start();
  await rig.clock.advance(3_000);
  const part = await rig.controller(() => election.leads);
  rig.load = 300;
  await rig.clock.advance(90_000);
  assert.ok(rig.minScale() > 1);
  return { rig, part, election };
}

/** The API as a process has it that ends: from then on nothing that it asks is heard. */
function mortal(api: KubeApi) {
  let ended = false;
  const never = () => new Promise(() => {});
  const answer = (target: KubeApi, name: keyof KubeApi) => (ended ? never : target[name].bind(target));
  return {
    api: new Proxy(api, { get: (target, name) => answer(target, name as keyof KubeApi) }),
    end: () => {
      ended = true;
    },
  };
}

async function uninstalled({ rig }: { rig: ControllerRig }, api: KubeApi = rig.api) {
  const parts = { api, clock: rig.clock, chance: rig.chance, log: rig.log };
  const done = uninstall({ ...parts, lease, identity: 'job', timeoutMs: 60_000 });
  await rig.clock.advance(60_000);
  return await done;
}

suite('uninstall', (test) => {
  test('what cannot be written is named, and the rest is restored', async () => {
    const cluster = await steered();
    cluster.rig.api.before = (verb, kind) => {
      if (verb === 'mergePatch' && kind === kinds.revision) throw new Error('forbidden');
    };
    const { failed } = await uninstalled(cluster);
    assert.is(failed.length, 1);
    assert.match(failed[0] as string, /^revision shop\/digits-predictor-00001: forbidden/);
    await cluster.part.stop();
  });

  test('under load, with the controller running: everything is as it was and stays so', async () => {
    const cluster = await steered();
    const { rig, part } = cluster;
    const { restored, failed } = await uninstalled(cluster);
    assert.equal(failed, []);
    assert.ok(restored >= 1);
    assert.equal(rig.revision(), original);
    assert.equal(rig.api.peek(kinds.mutatingWebhook, { name: 'paceline.dev' })?.webhooks, []);
    await rig.clock.advance(300_000);
    assert.equal(rig.revision(), original, 'the old controller does not come back while the lease is taken');
    await part.stop();
  });

  test("Revisions of our class name the metric without which Knative's webhook lets nobody else have them", async () => {
    const cluster = await steered();
    const { rig, part } = cluster;
    const metrics: [revision: string, before: string | undefined, after: string][] = [
      ['digits-predictor-00002', undefined, 'concurrency'],
      ['digits-predictor-00003', '', 'concurrency'],
      ['digits-predictor-00004', 'rps', 'rps'],
    ];
    for (const [name, metric] of metrics) {
      rig.addRevision(name, 0, podAutoscalerClass);
      if (metric === undefined) continue;
      rig.api.edit(kinds.revision, { namespace, name }, { metadata: { annotations: { [metricKey]: metric } } });
    }
    assert.equal((await uninstalled(cluster)).failed, []);
    for (const [name, , after] of metrics) {
      assert.is(rig.revision(name)[classKey], knativeClass);
      assert.is(rig.revision(name)[metricKey], after, name);
    }
    await part.stop();
  });

  test('a controller that is installed again leads at once, and not while the one before may still be there', async () => {
    const cluster = await steered();
    const { rig, part, election } = cluster;
    const { api, clock, chance, log } = rig;
    const job = mortal(api);
    await uninstalled(cluster, job.api);
    job.end();
    await part.stop();
    await election.stop();
    const installed = async () => {
      const again = new LeaseElection({ lease, identity: 'again', api, clock, chance, log, outlives: isUninstall });
      again.start();
      await clock.advance(30_000);
      const { leads } = again;
      const stopped = again.stop();
      await clock.advance(5_000);
      await stopped;
      return leads;
    };
    await clock.advance(30_000);
    assert.not(await installed(), 'a minute later');
    clock.jumpWall(86_400_000);
    assert.ok(await installed(), 'a day later');
  });

  test('takes back the batcher of admission and the share of a rollout, and leaves what a user wrote', async () => {
    const cluster = await steered();
    const { rig, part } = cluster;
    const add = (name: string, maxLatency: number) =>
      rig.api.seed(kinds.inferenceService, {
        metadata: { namespace, name, annotations: { 'paceline.dev/batcher': '64/1' } },
        spec: { predictor: { batcher: { maxBatchSize: 64, maxLatency } } },
      });
    add('ours', 1);
    add('theirs', 100);
    const walked = (name: string, canaryTrafficPercent: number, rollout?: object) => {
      rig.api.seed(kinds.inferenceService, {
        metadata: { namespace, name },
        spec: { predictor: { canaryTrafficPercent } },
      });
      rig.api.seed(kinds.inferencePolicy, {
        metadata: { namespace, name },
        spec: { targetRef: { kind: 'InferenceService', name } },
        ...(rollout ? { status: { rollout } } : {}),
      });
    };
    walked('promoted', 100, { phase: 'done' });
    walked('walking', 25, { phase: 'walking' });
    walked('by-hand', 100);
    await uninstalled(cluster);
    const percent = (name: string) => {
      const { spec } = rig.api.peek(kinds.inferenceService, { namespace, name }) as KubeObject;
      return (spec as { predictor: { canaryTrafficPercent?: number } }).predictor.canaryTrafficPercent;
    };
    assert.is(percent('promoted'), undefined, 'it is as if no canary had been');
    assert.is(percent('walking'), 25, 'without it everything would go to what is unproven');
    assert.is(percent('by-hand'), 100);
    const batcher = (name: string) => {
      const spec = rig.api.peek(kinds.inferenceService, { namespace, name })?.spec;
      return (spec as { predictor?: { batcher?: object } } | undefined)?.predictor?.batcher;
    };
    assert.is(batcher('ours'), undefined);
    assert.equal(batcher('theirs'), { maxBatchSize: 64, maxLatency: 100 });
    await part.stop();
  });
});
