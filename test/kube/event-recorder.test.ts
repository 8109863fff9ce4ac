import * as assert from 'uvu/assert';
import { EventRecorder } from '../../src/kube/event-recorder.ts';
import { KubeError } from '../../src/kube/kube-error.ts';
import { kinds } from '../../src/kube/objects.ts';
import { ApiDouble } from '../support/api-double.ts';
import { QuietLog } from '../support/quiet-log.ts';
import { suite } from '../support/suite.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const about = {
  apiVersion: 'serving.kserve.io/v1beta1',
  kind: 'InferenceService',
  namespace: 'a',
  name: 'm',
  uid: 'u',
};

function recorder() {
  const api = new ApiDouble();
  const clock = new VirtualClock();
  const log = new QuietLog();
  return { api, clock, log, events: new EventRecorder({ api, clock, log, component: 'paceline' }) };
}

suite('event recorder', (test) => {
  test('an event that cannot be written is a log line, not an error', async () => {
    const { api, log, events } = recorder();
    api.before = () => {
      throw new KubeError(403, 'Forbidden', 'no');
    };
    await events.record(about, 'Normal', 'Demand', 'more');
    assert.is(log.lines.length, 1);
  });

  test('the same again counts up, something else is another event', async () => {
    const { api, clock, events } = recorder();
    for (let i = 0; i < 3; i++) {
      await events.record(about, 'Normal', 'Demand', 'more');
      await clock.advance(60_000);
    }
    await events.record(about, 'Normal', 'Demand', 'still more');
    const counts = api.all(kinds.event).map(({ count, message }) => [message, count]);
    assert.equal(counts, [
      ['more', 3],
      ['still more', 1],
    ]);
  });

  test('an event that expired is made anew', async () => {
    const { api, events } = recorder();
    await events.record(about, 'Normal', 'Demand', 'more');
    for (const { metadata } of api.all(kinds.event)) await api.delete(kinds.event, metadata);
    await events.record(about, 'Normal', 'Demand', 'more');
    assert.is(api.all(kinds.event).length, 1);
  });

  test('an object about which too much is said goes quiet for a while', async () => {
    const { api, clock, events } = recorder();
    for (let i = 0; i < 100; i++) await events.record(about, 'Warning', 'Flapping', `message ${i}`);
    assert.is(api.all(kinds.event).length, 10);
    assert.is(events.dropped, 90);
    await clock.advance(31_000);
    await events.record(about, 'Warning', 'Flapping', 'again');
    assert.is(api.all(kinds.event).length, 11);
  });

  test('one that is stopped tells nothing of what waits for its turn, and waits for nothing', async () => {
    const { api, log, events } = recorder();
    const told = Array.from({ length: 300 }, (_, i) =>
      events.record({ ...about, uid: `u${i}`, name: `m${i}` }, 'Normal', 'Steady', 'x'),
    );
    events.stop();
    await Promise.all(told);
    assert.is(api.all(kinds.event).length, 100);
    assert.equal(log.lines, []);
  });

  test('thousands of objects at once: a hundred events go, the others one after the other, what is too late never', async () => {
    const { api, clock, events } = recorder();
    for (let i = 0; i < 20_000; i++)
      void events.record({ ...about, uid: `u${i}`, name: `m${i}` }, 'Normal', 'Steady', 'x');
    await clock.advance(0);
    assert.is(api.all(kinds.event).length, 100);
    await clock.advance(60_000);
    assert.is(api.all(kinds.event).length, 1_600);
    await clock.advance(600_000);
    assert.is(api.all(kinds.event).length, 7_600);
    assert.is(events.dropped, 12_400);
  });
});
