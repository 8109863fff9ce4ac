import * as assert from 'uvu/assert';
import { KubeError } from '../../../src/kube/kube-error.ts';
import { kinds } from '../../../src/kube/objects.ts';
import { ControllerRig, namespace, original } from '../../support/controller-rig.ts';
import { suite } from '../../support/suite.ts';

const lead = () => true;
const isvc = { namespace, name: 'digits' };

async function running(annotations?: Record<string, string>) {
  const rig = new ControllerRig();
  await rig.start(annotations);
  const part = await rig.controller(lead);
  await rig.clock.advance(40_000);
  return { rig, part };
}

/** Writes to what is not the controller's own. */
function foreignWrites(rig: ControllerRig) {
  return rig.api.writes.filter(({ kind }) => !['InferencePolicy', 'Event', 'Secret'].includes(kind));
}

suite('reconcile a service', (test) => {
  test('annotations that are wrong are reported and nothing is done', async () => {
    const { rig, part } = await running({ 'paceline.dev/slo': 'soon' });
    assert.is(rig.condition('Accepted')?.reason, 'InvalidAnnotations');
    assert.equal(rig.revision(), original);
    await part.stop();
  });

  test('Knative that is installed after the controller is served within a minute or so', async () => {
    const rig = new ControllerRig();
    let installed = false;
    rig.api.before = (_verb, { group }) => {
      if (!installed && /knative/.test(group)) throw new KubeError(404, 'NotFound', 'no such kind');
    };
    await rig.start();
    const part = await rig.controller(lead);
    await rig.clock.advance(120_000);
    assert.is(rig.condition('Planned')?.reason, 'NoRevision');
    installed = true;
    rig.load = 300;
    await rig.clock.advance(180_000);
    assert.ok(rig.minScale() > 1, `min-scale ${rig.minScale()}`);
    await part.stop();
  });

  test('in a namespace that is on its way out no policy can be made, which is nothing to tell of', async () => {
    const rig = new ControllerRig();
    rig.api.before = (verb, { kind }) => {
      if (verb !== 'create' || kind !== 'InferencePolicy') return;
      throw new KubeError(403, 'NamespaceTerminating', 'the namespace is being terminated');
    };
    await rig.start();
    const part = await rig.controller(lead);
    await rig.clock.advance(120_000);
    assert.equal(
      rig.log.lines.filter(({ level }) => level !== 'info'),
      [],
    );
    await part.stop();
  });

  test('a service without our annotation is left alone', async () => {
    const { rig, part } = await running({ team: 'a' });
    assert.is(rig.policy(), undefined);
    assert.equal(
      rig.api.writes.filter(({ kind }) => kind === 'Revision' || kind === 'InferencePolicy'),
      [],
    );
    await part.stop();
  });

  test('signals that are too old change nothing, and the status says so', async () => {
    const { rig, part } = await running();
    rig.load = 300;
    rig.signals = () => {
      throw new Error('timed out');
    };
    await rig.clock.advance(35_000);
    const before = rig.revision();
    await rig.clock.advance(120_000);
    assert.equal(rig.revision(), before);
    assert.is(rig.condition('Planned')?.reason, 'StaleSignals');
    await part.stop();
  });

  test('signals out of range, of another service or of another revision are not believed', async () => {
    const { rig, part } = await running();
    const before = rig.minScale();
    for (const lie of [
      { arrivalRate: 1e30 },
      { isvc: 'other/digits', arrivalRate: 5e3 },
      { revision: 'other', arrivalRate: 5e3 },
      { schemaVersion: 3 },
      { arrivals: Array(61).fill(1e6) },
    ]) {
      rig.signals = (truth) => ({ status: 200, body: JSON.stringify({ ...truth, ...lie }) });
      await rig.clock.advance(60_000);
      assert.is(rig.minScale(), before, JSON.stringify(lie).slice(0, 60));
    }
    await part.stop();
  });

  test('makes a policy, steers the revision, and says why with the same code everywhere', async () => {
    const { rig, part } = await running();
    rig.load = 300;
    await rig.clock.advance(60_000);
    assert.ok(rig.minScale() > 1, `min-scale ${rig.minScale()}`);
    assert.is(rig.condition('Accepted')?.status, 'True');
    assert.is(rig.condition('Injected')?.status, 'True');
    assert.is(rig.condition('Enforced')?.status, 'True');
    const planned = rig.condition('Planned');
    assert.is(planned?.reason, rig.status().plan?.reason);
    const reasons = rig.api.all(kinds.event).map(({ reason }) => reason);
    const logged = rig.log.lines.filter(({ message }) => message === 'decided');
    const codes = logged.map(({ fields }) => (fields as { reason: string }).reason);
    assert.ok(codes.length > 0);
    for (const code of codes) assert.ok(reasons.includes(code), `${code} is no event`);
    await part.stop();
  });

  test('a step of demand after calm minutes is carried out within four seconds', async () => {
    const { rig, part } = await running();
    await rig.clock.advance(300_000);
    const before = rig.minScale();
    rig.load = 300;
    await rig.clock.advance(4_000);
    assert.ok(rig.minScale() > before, `min-scale ${rig.minScale()} after ${before}`);
    await part.stop();
  });

  test('companions that are starved, or that have become slow all at once, do not make hundreds of pods', async () => {
    for (const eventLoopLagMs of [900, 0]) {
      const { rig, part } = await running();
      const before = rig.minScale();
      const latencyMs = [1, 4, 16, 32, 64].map((items) => ({
        items,
        expected: 9000 + 400 * items,
        quantile: 12_000 + 400 * items,
      }));
      const attainment = { share: 0, requests: 600 };
      const lanes = [{ target: '/', requests: 100, capacity: 0, knee: 1, latencyMs }];
      rig.signals = (truth) => ({
        status: 200,
        body: JSON.stringify({ ...truth, eventLoopLagMs, lanes, ...(eventLoopLagMs ? {} : { attainment }) }),
      });
      await rig.clock.advance(300_000);
      // Where the companions say themselves that they were starved, nothing of it counts.
      const most = eventLoopLagMs > 0 ? before : 4 * before;
      assert.ok(rig.minScale() <= most, `min-scale ${rig.minScale()} after ${before}, lag ${eventLoopLagMs} ms`);
      await part.stop();
    }
  });

  test('no write touches a pod template, makes a revision or changes the InferenceService', async () => {
    const { rig, part } = await running();
    rig.load = 300;
    await rig.clock.advance(120_000);
    for (const { kind, verb, body } of foreignWrites(rig)) {
      assert.is(kind, 'Revision');
      assert.is(verb, 'apply');
      const { metadata, ...rest } = body as { metadata: { annotations: Record<string, string> } };
      assert.equal(rest, {});
      for (const key of Object.keys(metadata.annotations)) assert.match(key, /^autoscaling\.knative\.dev\//);
    }
    await part.stop();
  });

  test('at steady load nothing is written again, and companions are told again before what they know expires', async () => {
    const { rig, part } = await running();
    await rig.clock.advance(240_000);
    const before = rig.api.writes.length;
    const told = [...rig.told.values()].map(({ length }) => length);
    await rig.clock.advance(600_000);
    assert.equal(rig.api.writes.slice(before), []);
    assert.ok([...rig.told.values()].some(({ length }, i) => length >= (told[i] ?? 0) + 4));
    await part.stop();
  });

  test('ten minutes of load that wavers by a tenth: nothing is written', async () => {
    const { rig, part } = await running();
    for (const load of [20, 150]) {
      rig.load = load;
      await rig.clock.advance(600_000);
      const before = rig.api.writes.length;
      for (let i = 0; i < 120; i++) {
        rig.load = load * (0.9 + 0.2 * rig.chance());
        await rig.clock.advance(5_000);
      }
      const writes = rig.api.writes.slice(before).map(({ verb, kind }) => `${verb} ${kind}`);
      assert.equal(writes, [], `at ${load} items/s`);
    }
    await part.stop();
  });

  test('a change is decided within two seconds', async () => {
    const { rig, part } = await running();
    await rig.clock.advance(120_000);
    rig.api.edit(kinds.inferencePolicy, isvc, { spec: { mode: 'off' } });
    await rig.clock.advance(2_000);
    const pod = rig.api.all(kinds.pod)[0]?.metadata.name as string;
    const payload = rig.told.get(pod)?.at(-1)?.split('.')[0] as string;
    assert.is(JSON.parse(Buffer.from(payload, 'base64url').toString()).mode, 'off');
    assert.equal(rig.revision(), original, 'off gives back what was held');
    await part.stop();
  });

  test('advise reports what it would save and changes nothing', async () => {
    const { rig, part } = await running({ 'paceline.dev/slo': '500ms', 'paceline.dev/mode': 'advise' });
    rig.load = 300;
    await rig.clock.advance(120_000);
    assert.equal(rig.revision(), original);
    assert.is(rig.condition('Enforced')?.reason, 'Advised');
    const { saving, plan } = rig.status();
    assert.ok((plan?.replicas ?? 0) > 1);
    assert.ok(saving);
    await part.stop();
  });

  test('when the annotation goes everything is as it was, and our policy is gone', async () => {
    const { rig, part } = await running();
    rig.load = 300;
    await rig.clock.advance(60_000);
    assert.not.equal(rig.revision(), original);
    rig.annotate({ 'paceline.dev/slo': null });
    await rig.clock.advance(5_000);
    assert.equal(rig.revision(), original);
    assert.is(rig.policy(), undefined);
    await part.stop();
  });

  test('a foreign writer is reverted three times at most, then left alone and named', async () => {
    const { rig, part } = await running();
    rig.load = 300;
    await rig.clock.advance(60_000);
    const name = 'digits-predictor-00001';
    for (let i = 0; i < 5; i++) {
      rig.api.edit(
        kinds.revision,
        { namespace, name },
        { metadata: { annotations: { 'autoscaling.knative.dev/min-scale': `${7 + (i % 2)}` } } },
      );
      await rig.clock.advance(40_000);
    }
    assert.is(rig.minScale(), 7, 'the last foreign value stays');
    assert.is(rig.condition('Enforced')?.reason, 'ForeignWriter');
    const applies = rig.api.writes.filter(({ kind }) => kind === 'Revision').length;
    await rig.clock.advance(300_000);
    assert.is(rig.api.writes.filter(({ kind }) => kind === 'Revision').length, applies);
    await part.stop();
  });

  test('a Knative that does not carry annotations over is found out', async () => {
    const rig = new ControllerRig();
    rig.carries = false;
    await rig.start();
    const part = await rig.controller(lead);
    rig.load = 300;
    await rig.clock.advance(120_000);
    assert.is(rig.condition('Enforced')?.reason, 'Enforced', 'it may be busy with others');
    await rig.clock.advance(180_000);
    assert.is(rig.condition('Enforced')?.reason, 'Unsupported');
    await part.stop();
  });

  test('a leader that starts anew where everything was decided writes and tells nothing', async () => {
    const { rig, part } = await running();
    await rig.clock.advance(120_000);
    await part.stop();
    const before = rig.api.writes.length;
    const next = await rig.controller(lead, 1);
    await rig.clock.advance(40_000);
    assert.equal(rig.api.writes.slice(before), []);
    rig.load = 300;
    await rig.clock.advance(60_000);
    assert.ok(
      rig.api.writes.slice(before).some(({ kind }) => kind === 'Event'),
      'what changes is told',
    );
    await next.stop();
  });

  test("of two policies the user's holds; the other one says so", async () => {
    const { rig, part } = await running();
    rig.api.seed(kinds.inferencePolicy, {
      apiVersion: 'paceline.dev/v1alpha1',
      kind: 'InferencePolicy',
      metadata: { namespace, name: 'mine' },
      spec: { targetRef: { group: 'serving.kserve.io', kind: 'InferenceService', name: 'digits' }, mode: 'advise' },
    });
    await rig.clock.advance(30_000);
    assert.is(rig.condition('Accepted')?.reason, 'Conflicted');
    assert.is(rig.condition('Enforced', 'mine')?.reason, 'Advised');
    assert.equal(rig.revision(), original);
    await part.stop();
  });

  test('pods that were made without the companion are named', async () => {
    const { rig, part } = await running();
    const pod = rig.api.all(kinds.pod)[0]?.metadata as { name: string };
    rig.api.edit(
      kinds.pod,
      { namespace, name: pod.name },
      { metadata: { labels: { 'paceline.dev/companion': null } } },
    );
    await rig.clock.advance(15_000);
    assert.is(rig.condition('Injected')?.reason, 'RestartRequired');
    await part.stop();
  });

  test('a leader that starts anew lowers nothing before it has watched for a minute', async () => {
    const { rig, part } = await running();
    rig.load = 300;
    await rig.clock.advance(90_000);
    const high = rig.minScale();
    await part.stop();
    rig.load = 5;
    const next = await rig.controller(lead, 1);
    await rig.clock.advance(50_000);
    assert.is(rig.minScale(), high);
    await rig.clock.advance(900_000);
    assert.ok(rig.minScale() < high, `still ${rig.minScale()}`);
    await next.stop();
  });
});
