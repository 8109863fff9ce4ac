import * as assert from 'uvu/assert';
import { Demand } from '../../../src/controller/reconcile/demand.ts';
import { kinds } from '../../../src/kube/objects.ts';
import { ControllerRig, chanceOf, namespace } from '../../support/controller-rig.ts';
import { suite } from '../../support/suite.ts';

const minute = (rate: number) => Array.from({ length: 60 }, () => rate);
/** A minute at one rate whose last seconds are at another. */
const stepped = (rate: number, now: number, seconds = 2) => [
  ...minute(rate).slice(seconds),
  ...minute(now).slice(-seconds),
];
/** Sum of so many Poisson counts of this mean, by seeded chance. */
function poisson(chance: () => number, mean: number): number {
  let items = 0;
  for (let left = Math.exp(-mean), product = chance(); product > left; product *= chance()) items++;
  return items;
}

suite('the demand of a service', (test) => {
  test('chance is no rise: a thousand looks at a steady Poisson stream', () => {
    const chance = chanceOf(7);
    let rises = 0;
    for (const rate of [0.2, 2, 20]) {
      const demand = new Demand();
      for (let i = 0; i < 1000; i++) {
        demand.take(
          `pod-${i % 50}`,
          Array.from({ length: 60 }, () => poisson(chance, rate)),
          1_000_000 + i * 100,
        );
        if (demand.isRising(1_000_000 + i * 100)) rises++;
      }
    }
    assert.ok(rises <= 10, `${rises} of 3,000`);
  });

  test('a service that is young, or that nobody heard of late, is not rising', () => {
    const demand = new Demand();
    demand.take('a', [0, 50, 50], 1_000_000);
    assert.not.ok(demand.isRising(1_000_000));
    demand.take('a', stepped(10, 50), 1_010_000);
    assert.ok(demand.isRising(1_010_000));
    assert.not.ok(demand.isRising(1_020_000));
  });

  test('a jump that each of a hundred pods sees its part of shows in the first few reports', () => {
    const demand = new Demand();
    for (let i = 0; i < 100; i++) demand.take(`pod-${i}`, minute(5), 1_000_000 + i * 100);
    let reports = 0;
    for (let i = 0; i < 100 && !demand.isRising(1_010_000 + i * 100); i++) {
      demand.take(`pod-${i}`, stepped(5, 10), 1_010_000 + i * 100);
      reports++;
    }
    assert.ok(reports <= 5, `${reports} reports`);
    assert.ok(demand.lately(1_010_500) < 1.25 * 500, 'their sum does not show it yet');
  });

  test('each second of a pod counts once, and what it counted stays when it is gone', () => {
    const demand = new Demand();
    demand.take('a', minute(3), 1_000_000);
    demand.take('a', minute(3), 1_001_000);
    demand.take('b', minute(2), 1_001_000);
    assert.is(demand.lately(1_001_000), 5);
    demand.forget('b');
    assert.is(demand.lately(1_001_000), 5);
    assert.is(
      demand.lately(1_003_000),
      3,
      'seconds that nobody told count with the rate of late of those who are there',
    );
  });

  test('of more pods than are remembered none counts again and again', () => {
    const demand = new Demand();
    for (let i = 0; i < 4096; i++) demand.take(`pod-${i}`, minute(0), 1_000_000);
    for (let i = 0; i < 5; i++) demand.take('one more', minute(7), 1_000_000 + i * 1000);
    assert.ok(demand.lately(1_004_000) <= 7, `${demand.lately(1_004_000)}`);
  });

  test('a pod that ends does not count beside those that took over from it', async () => {
    const rig = new ControllerRig();
    await rig.start();
    rig.load = 96;
    const part = await rig.controller(() => true);
    await rig.clock.advance(40_000);
    const [next] = rig.api.all(kinds.pod);
    const old = { namespace, name: 'old' };
    const labels = { ...next?.metadata.labels, 'serving.knative.dev/revision': 'digits-predictor-00000' };
    rig.api.seed(kinds.pod, {
      metadata: { ...old, uid: 'old', labels },
      status: { ...(next?.status as object), podIP: '10.9.9.9' },
    });
    await rig.clock.advance(70_000);
    // It drains for as long as it may, and all requests go to the other one.
    const deletionTimestamp = '2026-01-01T00:20:00Z';
    rig.api.edit(kinds.pod, old, { metadata: { deletionTimestamp }, status: { phase: 'Unknown' } });
    await rig.clock.advance(70_000);
    assert.is(rig.condition('Planned')?.status, 'True', rig.condition('Planned')?.message);
    assert.is(rig.minScale(), 1, rig.condition('Planned')?.message);
    await part.stop();
  });

  test('all pods of a service that rises are asked at once, also in a fleet that is asked every six seconds', async () => {
    const rig = new ControllerRig();
    await rig.start();
    rig.load = 30;
    const labels = {
      'serving.kserve.io/inferenceservice': 'others',
      'serving.knative.dev/revision': 'others-00001',
      'paceline.dev/companion': 'true',
    };
    for (let i = 0; i < 1_500; i++) {
      const status = { podIP: `10.9.${i >> 8}.${i & 255}`, phase: 'Pending' };
      rig.api.seed(kinds.pod, { metadata: { namespace, name: `other-${i}`, labels }, status });
    }
    const part = await rig.controller(() => true);
    let asked = 0;
    let arrivals = minute(30);
    rig.signals = (truth, { metadata }) => {
      if (metadata.name.startsWith('digits')) asked++;
      return { status: 200, body: JSON.stringify({ ...truth, arrivals }) };
    };
    await rig.clock.advance(40_000);
    asked = 0;
    await rig.clock.advance(15_000);
    assert.ok(asked <= 4, `asked ${asked} times in 15 calm seconds`);
    asked = 0;
    arrivals = stepped(30, 60);
    await rig.clock.advance(15_000);
    assert.ok(asked >= 7, `asked ${asked} times while it rises`);
    await part.stop();
  });
});
