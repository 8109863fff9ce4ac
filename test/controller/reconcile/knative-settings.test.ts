import * as assert from 'uvu/assert';
import { knativeDefaults, readKnativeSettings } from '../../../src/controller/reconcile/knative-settings.ts';
import { projectKnativeService } from '../../../src/controller/reconcile/projections.ts';
import { kinds } from '../../../src/kube/objects.ts';
import { ControllerRig, namespace } from '../../support/controller-rig.ts';
import { suite } from '../../support/suite.ts';

const config = { namespace: 'knative-serving', name: 'config-autoscaler' };

suite("Knative's settings", (test) => {
  test('what is missing or cannot be is as Knative has it by default', () => {
    for (const data of [
      undefined,
      {},
      { _example: 'stable-window: 10s' },
      {
        'stable-window': 'soon',
        'container-concurrency-target-percentage': '0',
        'target-burst-capacity': '-2',
        'min-scale': '1.5',
        'max-scale': '-1',
        'initial-scale': 'many',
      },
    ]) {
      assert.equal(readKnativeSettings(data), knativeDefaults);
    }
  });

  test('what an operator says holds; a share and percent are told apart as Knative does', () => {
    const data = { 'stable-window': '2m', 'target-burst-capacity': '-1', 'min-scale': '2', 'max-scale': '9' };
    const settings = readKnativeSettings({ ...data, 'container-concurrency-target-percentage': '100' });
    assert.equal(settings, {
      stableWindowMs: 120_000,
      targetUtilization: 1,
      targetBurstCapacity: -1,
      minScale: 2,
      maxScale: 9,
      initialScale: 1,
    });
    assert.is(readKnativeSettings({ 'container-concurrency-target-percentage': '0.8' }).targetUtilization, 0.8);
  });

  test("an operator's bound holds where the service has none: we plan within it, and follow when it changes", async () => {
    const rig = new ControllerRig();
    await rig.start();
    rig.api.seed(kinds.configMap, { metadata: config, data: { 'max-scale': '3' } });
    const name = { namespace, name: 'digits' };
    rig.api.edit(kinds.inferenceService, name, { spec: { predictor: { maxReplicas: null } } });
    const part = await rig.controller(() => true);
    rig.load = 900;
    await rig.clock.advance(120_000);
    assert.is(rig.minScale(), 3);
    rig.api.edit(kinds.configMap, config, { data: { 'max-scale': '4' } });
    await rig.clock.advance(120_000);
    assert.is(rig.minScale(), 4);
    await part.stop();
  });

  test('a plain Knative Service is read as Knative does: the hyphenated key, then its alias, then the settings', () => {
    const bounds = (annotations: Record<string, string>) => {
      const target = projectKnativeService({
        metadata: { namespace, name: 's' },
        spec: { template: { metadata: { annotations } } },
      });
      return [target?.minReplicas, target?.maxReplicas];
    };
    const at = (name: string) => `autoscaling.knative.dev/${name}`;
    assert.equal(bounds({}), [undefined, undefined]);
    assert.equal(bounds({ [at('minScale')]: '3', [at('maxScale')]: '7' }), [3, 7]);
    assert.equal(bounds({ [at('minScale')]: '3', [at('min-scale')]: '0' }), [0, undefined]);
    assert.equal(bounds({ [at('min-scale')]: 'none' }), [undefined, undefined]);
  });
});
