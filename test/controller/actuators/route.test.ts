import * as assert from 'uvu/assert';
import {
  splitOf,
  type VariantGroup,
  VariantRoute,
  variantGroupLabel,
} from '../../../src/controller/actuators/route.ts';
import type { KubeObject } from '../../../src/kube/objects.ts';
import { suite } from '../../support/suite.ts';
import { WriteRecorder } from '../../support/write-recorder.ts';

const member = (name: string, ready = true) => ({
  owner: { apiVersion: 'serving.kserve.io/v1beta1', kind: 'InferenceService', name, uid: `uid-${name}` },
  revision: `${name}-predictor-00001`,
  ready,
});

function group(more: Partial<VariantGroup> = {}): VariantGroup {
  return { namespace: 'ml', name: 'digits', members: [member('small'), member('large')], route: undefined, ...more };
}

const half = [
  { revision: 'small-predictor-00001', percent: 50 },
  { revision: 'large-predictor-00001', percent: 50 },
];
const actuator = new VariantRoute();

suite('a Route over variants refuses', (test) => {
  test('percentages that are not whole or do not sum to 100', async () => {
    for (const percents of [[50, 49], [50.5, 49.5], [100, 0], [-1, 101], []]) {
      const split = percents.map((percent, index) => ({ revision: half[index]?.revision ?? '', percent }));
      let error: unknown;
      await actuator.apply({ split }, group(), new WriteRecorder().context).catch((each: unknown) => {
        error = each;
      });
      assert.instance(error, RangeError);
    }
  });

  test('a Route of that name that somebody else made, and a name that a service has', async () => {
    const recorder = new WriteRecorder();
    const foreign: KubeObject = { metadata: { name: 'digits', namespace: 'ml' }, spec: {} };
    const taken = await actuator.apply({ split: half }, group({ route: foreign }), recorder.context);
    assert.is(taken.refused?.reason, 'ForeignWriter');
    const same = await actuator.apply({ split: half }, group({ name: 'small' }), recorder.context);
    assert.is(same.refused?.reason, 'Unsupported');
    assert.equal(recorder.writes, []);
  });

  test('targets that are not Ready or not a rolled-out revision: the old split stays', async () => {
    const recorder = new WriteRecorder();
    const cold = await actuator.apply(
      { split: half },
      group({ members: [member('small'), member('large', false)] }),
      recorder.context,
    );
    assert.match(cold.refused?.message ?? '', /not Ready/);
    const other = [{ revision: 'small-predictor-00002', percent: 100 }];
    assert.ok((await actuator.apply({ split: other }, group(), recorder.context)).refused);
    assert.equal(recorder.writes, []);
  });

  test('to write without the lease', async () => {
    const recorder = new WriteRecorder();
    recorder.leads = false;
    assert.is((await actuator.apply({ split: half }, group(), recorder.context)).refused?.reason, 'NotLeader');
    assert.equal(recorder.writes, []);
  });
});

suite('a Route over variants', (test) => {
  test("is pinned to revisions, owned by all variants, and carries no label of a Service's", async () => {
    const recorder = new WriteRecorder();
    await actuator.apply({ split: half }, group(), recorder.context);
    const written = recorder.writes[0]?.body as KubeObject;
    assert.equal(written.metadata.labels, { [variantGroupLabel]: 'digits' });
    assert.equal(
      written.metadata.ownerReferences?.map(({ name }) => name),
      ['large', 'small'],
    );
    assert.equal(splitOf(written), half);
    assert.equal((written.spec as { traffic: object[] }).traffic[0], {
      revisionName: 'small-predictor-00001',
      percent: 50,
      latestRevision: false,
    });
  });

  test('is written once, and again when the split or the variants change', async () => {
    const recorder = new WriteRecorder();
    await actuator.apply({ split: half }, group(), recorder.context);
    const route = recorder.writes[0]?.body as KubeObject;
    assert.equal((await actuator.apply({ split: half }, group({ route }), recorder.context)).changes, []);
    assert.is(recorder.writes.length, 1);
    await actuator.apply(
      { split: [{ revision: 'small-predictor-00001', percent: 100 }] },
      group({ route }),
      recorder.context,
    );
    await actuator.apply(
      { split: half },
      group({ route, members: [member('small'), member('large'), member('tiny')] }),
      recorder.context,
    );
    assert.is(recorder.writes.length, 3);
  });
});
