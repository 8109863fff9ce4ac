import * as assert from 'uvu/assert';
import type { PodAnswer } from '../../../src/controller/signals/pod-call.ts';
import { type PolledPod, SignalPoller } from '../../../src/controller/signals/signal-poller.ts';
import { signalsText } from '../../support/signals-text.ts';
import { suite } from '../../support/suite.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

function answer(change: object = {}): PodAnswer {
  return { status: 200, body: signalsText(change) };
}

function pod(i = 0): PolledPod {
  return { key: `a/pod-${i}`, service: 'InferenceService/a/m', uid: `uid-${i}`, revision: 'm-1', ip: `10.0.0.${i}` };
}

function rig(call: (ip: string) => Promise<PodAnswer> = async () => answer(), busy = () => false) {
  const clock = new VirtualClock();
  const begin = clock.monotonicMs();
  const asked: { ip: string; atMs: number }[] = [];
  const reports: string[] = [];
  const failures: string[] = [];
  const poller = new SignalPoller({
    clock,
    busy,
    parallel: 2,
    // Jitter that is none.
    chance: () => 0.5,
    call: (ip) => {
      asked.push({ ip, atMs: clock.monotonicMs() - begin });
      return call(ip);
    },
    onReport: (service, { key }) => reports.push(`${service} ${key}`),
    onFailure: (_, { message }) => failures.push(message),
  });
  return { clock, poller, asked, reports, failures, times: () => asked.map(({ atMs }) => atMs) };
}

suite('signal poller', (test) => {
  const refused: [string, PodAnswer][] = [
    ['another status', { ...answer(), status: 500 }],
    ['no signals', { status: 200, body: 'nonsense' }],
    ['those of another service', answer({ isvc: 'a/other' })],
    ['those of another revision', answer({ revision: 'm-2' })],
  ];
  for (const [what, given] of refused) {
    test(`${what} count for nothing, and are asked for again after ten seconds`, async () => {
      const { clock, poller, reports, failures, times } = rig(async () => given);
      poller.add(pod());
      await clock.advance(25_000);
      assert.equal(reports, []);
      assert.is(poller.reportOf(pod().key), undefined);
      assert.is(failures.length, 3);
      assert.equal(times(), [500, 10_500, 20_500]);
    });
  }

  test('a small fleet is asked each second', async () => {
    const { clock, poller, reports, times } = rig();
    poller.add(pod());
    await clock.advance(3_000);
    assert.equal(times(), [500, 1_500, 2_500]);
    assert.equal(reports[0], 'InferenceService/a/m a/pod-0');
    assert.is(poller.reportOf(pod().key)?.signals.arrivalRate, 5);
  });

  test('a fleet of thousands is asked each ten seconds, and a service near saturation each second', async () => {
    const { clock, poller, times } = rig(async () => answer({ isvc: '', revision: '' }));
    for (let i = 0; i < 5_000; i++) poller.add({ ...pod(i), service: `InferenceService/a/m${i}` }, 10_000);
    await clock.advance(14_999);
    assert.is(times().length, 5_000);
    poller.setFast('InferenceService/a/m7', true);
    await clock.advance(5_000);
    assert.is(times().length, 10_000 + 4, 'the fast one five times');
    poller.setFast('InferenceService/a/m7', false);
    await clock.advance(10_000);
    assert.is(times().length, 15_000 + 4);
  });

  test('while more waits to be done than can be, calm pods are asked half as often, and saturated ones as before', async () => {
    let busy = true;
    const { clock, poller, times } = rig(undefined, () => busy);
    poller.add(pod());
    await clock.advance(45_000);
    assert.equal(times(), [500, 20_500, 40_500]);
    poller.setFast(pod().service, true);
    await clock.advance(3_000);
    assert.is(times().length, 6);
    poller.setFast(pod().service, false);
    busy = false;
    await clock.advance(10_000);
    assert.ok(times().length >= 15);
  });

  test('no more are asked at once than are allowed, and the others in their turn', async () => {
    const finish: (() => void)[] = [];
    const { clock, poller, asked } = rig(() => new Promise((resolve) => finish.push(() => resolve(answer()))));
    for (let i = 0; i < 3; i++) poller.add(pod(i));
    await clock.advance(900);
    assert.is(asked.length, 2);
    finish.shift()?.();
    await clock.advance(0);
    assert.equal(
      asked.map(({ ip }) => ip),
      ['10.0.0.0', '10.0.0.1', '10.0.0.2'],
    );
  });

  test('what a pod said before it was replaced counts no more', async () => {
    let release = () => {};
    const slow = new Promise<void>((resolve) => (release = resolve));
    const { clock, poller, reports, asked } = rig(async (ip) => {
      if (ip === '10.0.0.0') await slow;
      return answer();
    });
    poller.add(pod());
    await clock.advance(600);
    poller.add({ ...pod(), uid: 'another', ip: '10.0.0.9' });
    release();
    await clock.advance(100);
    assert.equal(reports, []);
    await clock.advance(500);
    assert.is(reports.length, 1);
    assert.is(asked.at(-1)?.ip, '10.0.0.9');
    poller.remove(pod().key);
    await clock.advance(20_000);
    assert.is(reports.length, 1);
    assert.is(poller.size, 0);
  });
});
