import * as assert from 'uvu/assert';
import { splitOf, variantGroupLabel } from '../../../src/controller/actuators/route.ts';
import { kinds } from '../../../src/kube/objects.ts';
import { ControllerRig, namespace } from '../../support/controller-rig.ts';
import { suite } from '../../support/suite.ts';

const grouped = { 'paceline.dev/slo': '500ms', 'paceline.dev/variant-of': 'numbers' };
const first = 'digits-predictor-00001';

/** A second service that names the group, or once did, with a Revision of its own and no pods. */
function other(rig: ControllerRig, annotations: Record<string, string>, status: object = {}): void {
  const metadata = { namespace, name: 'other', uid: 'other-uid', annotations };
  const spec = { predictor: { minReplicas: 1, maxReplicas: 10 } };
  rig.api.seed(kinds.inferenceService, { metadata, spec, status: { deploymentMode: 'Knative', ...status } });
  const labels = { 'serving.kserve.io/inferenceservice': 'other', component: 'predictor' };
  rig.api.seed(kinds.revision, { metadata: { namespace, name: 'other-predictor-00001', uid: 'other-1', labels } });
}

function route(rig: ControllerRig, percents: Record<string, number>): void {
  const traffic = Object.entries(percents).map(([revisionName, percent]) => ({ revisionName, percent }));
  const labels = { [variantGroupLabel]: 'numbers' };
  rig.api.seed(kinds.route, { metadata: { namespace, name: 'numbers', labels }, spec: { traffic } });
}

function split(rig: ControllerRig): Record<string, number> {
  const found = rig.api.peek(kinds.route, { namespace, name: 'numbers' });
  return Object.fromEntries((found ? splitOf(found) : []).map(({ revision, percent }) => [revision, percent]));
}

async function passes(rig: ControllerRig, ms = 45_000): Promise<void> {
  const part = await rig.controller(() => true);
  await rig.clock.advance(ms);
  await part.stop();
  rig.stop();
}

suite('the Route of a group, from all that the controller knows', (test) => {
  test('stands when nobody names its group any more, and that is said', async () => {
    const rig = new ControllerRig();
    await rig.start(grouped);
    route(rig, { [first]: 100 });
    const part = await rig.controller(() => true);
    await rig.clock.advance(45_000);
    assert.equal(split(rig), { [first]: 100 });
    rig.annotate({ 'paceline.dev/variant-of': null });
    await rig.clock.advance(45_000);
    assert.equal(split(rig), { [first]: 100 });
    const events = rig.api.all(kinds.event).map(({ reason }) => reason);
    assert.ok(events.includes('VariantsHeld'), `${events}`);
    await part.stop();
    rig.stop();
  });

  test('sends nothing to a service that is gone, that opted out, or that names another group', async () => {
    const left = [
      undefined,
      {},
      { 'paceline.dev/variant-of': 'numbers' },
      { ...grouped, 'paceline.dev/variant-of': 'a' },
    ];
    for (const annotations of left) {
      const rig = new ControllerRig();
      await rig.start(grouped);
      if (annotations) other(rig, annotations);
      route(rig, { [first]: 60, 'other-predictor-00001': 40 });
      await passes(rig);
      assert.equal(split(rig), { [first]: 100 }, JSON.stringify(annotations));
    }
  });

  test('is decided by no half of a group: not before the other one told something, nor while it is off', async () => {
    const components = { predictor: { latestRolledoutRevision: 'other-predictor-00001' } };
    for (const mode of ['act', 'off']) {
      const rig = new ControllerRig();
      await rig.start(grouped);
      other(rig, { ...grouped, 'paceline.dev/mode': mode }, { components });
      route(rig, { [first]: 60, 'other-predictor-00001': 40 });
      // Without a policy of its own there is no pass over it.
      rig.api.before = (verb, kind, key) => {
        if (verb === 'create' && kind === kinds.inferencePolicy && key.endsWith('/other')) throw new Error('not now');
      };
      await passes(rig);
      assert.equal(split(rig), { [first]: 60, 'other-predictor-00001': 40 }, mode);
    }
  });
});
