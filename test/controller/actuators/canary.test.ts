import * as assert from 'uvu/assert';
import { Canary, type CanaryTarget } from '../../../src/controller/actuators/canary.ts';
import { suite } from '../../support/suite.ts';
import { WriteRecorder } from '../../support/write-recorder.ts';

const walking: CanaryTarget = {
  target: { namespace: 'ml', name: 'm' },
  resourceVersion: '42',
  canaryTrafficPercent: 5,
  latestReadyRevision: 'm-2',
  latestRolledoutRevision: 'm-1',
};
const canary = new Canary();

suite('the share of a canary is not written', (test) => {
  test('below 100 while the newest Ready revision is rolled out', async () => {
    const recorder = new WriteRecorder();
    const still = { ...walking, canaryTrafficPercent: 100, latestRolledoutRevision: 'm-2' };
    for (const percent of [0, 5, 99]) {
      assert.is((await canary.apply({ percent }, still, recorder.context)).refused?.reason, 'Unsupported');
    }
    assert.equal(recorder.writes, []);
  });

  test('when it is there, when there is nothing to write, or without the lease', async () => {
    const recorder = new WriteRecorder();
    for (const percent of [5, undefined]) {
      assert.equal(await canary.apply({ percent }, walking, recorder.context), { changes: [] });
    }
    recorder.leads = false;
    assert.is((await canary.apply({ percent: 10 }, walking, recorder.context)).refused?.reason, 'NotLeader');
    assert.equal(recorder.writes, []);
  });

  test('over a change that was not seen', async () => {
    const recorder = new WriteRecorder();
    recorder.fail = 409;
    assert.is((await canary.apply({ percent: 10 }, walking, recorder.context)).refused?.reason, 'WriteFailed');
  });
});

suite('the share of a canary', (test) => {
  test('is the only field that is written, under the version that was decided about', async () => {
    const recorder = new WriteRecorder();
    const { changes } = await canary.apply({ percent: 10 }, walking, recorder.context);
    assert.equal(changes, ['canaryTrafficPercent 5 -> 10']);
    assert.equal(recorder.writes[0]?.body, {
      metadata: { resourceVersion: '42' },
      spec: { predictor: { canaryTrafficPercent: 10 } },
    });
  });

  test('is given back where that moves no traffic, and left where it would', async () => {
    const recorder = new WriteRecorder();
    await canary.giveBack(walking, recorder.context);
    assert.equal(recorder.writes, []);
    await canary.giveBack({ ...walking, canaryTrafficPercent: 100 }, recorder.context);
    assert.equal((recorder.writes[0]?.body as { spec: unknown } | undefined)?.spec, {
      predictor: { canaryTrafficPercent: null },
    });
  });
});
