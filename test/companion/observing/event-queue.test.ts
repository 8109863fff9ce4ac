import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as assert from 'uvu/assert';
import type { CloudEvent } from '../../../src/companion/observing/cloud-event.ts';
import { type Deliver, EventQueue, type EventResult } from '../../../src/companion/observing/event-queue.ts';
import { suite } from '../../support/suite.ts';

const event = (bytes: number): CloudEvent => ({ headers: [], body: Buffer.alloc(bytes) });

const sent = { result: 'sent' as const, again: false };

/** A queue whose deliveries end when the test says so. */
function rig(bounds: { events?: number; bytes?: number; workers?: number } = {}) {
  const ends: ((verdict: Awaited<ReturnType<Deliver>>) => void)[] = [];
  const results: EventResult[] = [];
  const deliver: Deliver = () => new Promise((resolve) => ends.push(resolve));
  const queue = new EventQueue({ events: 10, bytes: 1000, workers: 2, ...bounds }, deliver, (result) =>
    results.push(result),
  );
  const push = (bytes: number) => {
    if (queue.reserve(bytes)) queue.push(event(bytes));
  };
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return { queue, ends, results, push, settle };
}

suite('the queue of events', (test) => {
  test('what has no room is dropped and counted, in number and in bytes', () => {
    const { queue, results, push } = rig({ events: 3 });
    for (let i = 0; i < 5; i++) push(10);
    assert.equal(results, ['queue-full', 'queue-full']);
    assert.is(queue.events, 3);
    assert.is(queue.bytes, 30, 'a dropped event holds nothing');
    assert.not(queue.reserve(971));
    assert.ok(queue.reserve(970));
    queue.stop();
  });

  test('so many are on their way at once, and the next goes when one has ended', async () => {
    const { queue, ends, results, push, settle } = rig();
    for (let i = 0; i < 4; i++) push(10);
    assert.is(ends.length, 2);
    ends[0]?.({ result: 'sent', again: false });
    await settle();
    assert.is(ends.length, 3);
    assert.equal(results, ['sent']);
    assert.is(queue.bytes, 30);
    queue.stop();
  });

  test('thousands pass through a short queue and leave nothing behind', async () => {
    const { queue, ends, results, push, settle } = rig({ workers: 1 });
    for (let i = 0; i < 2000; i++) {
      push(10);
      ends[i]?.({ result: 'sent', again: false });
      await settle();
    }
    assert.is(results.filter((each) => each === 'sent').length, 2000);
    assert.is(queue.events, 0);
    assert.is(queue.bytes, 0);
  });

  test('what has gone is kept alive by nothing', async () => {
    setFlagsFromString('--expose_gc');
    const collect = runInNewContext('gc') as () => void;
    const queue = new EventQueue(
      { events: 10, bytes: 1000, workers: 1 },
      async () => sent,
      () => {},
    );
    const gone = Array.from({ length: 5 }, () => {
      const each = event(10);
      queue.reserve(10);
      queue.push(each);
      return new WeakRef(each);
    });
    while (queue.events > 0) await new Promise((resolve) => setImmediate(resolve));
    // Events of a turn that has not ended stay alive.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    assert.is(gone.filter((each) => each.deref() !== undefined).length, 0);
  });

  test('an event is tried three times at most, and only where that may help', async () => {
    const { queue, ends, results, push, settle } = rig();
    push(10);
    ends[0]?.({ result: 'refused', again: false });
    await settle();
    assert.equal(results, ['refused']);
    push(10);
    const drained = queue.drain(performance.now() + 60_000);
    for (let i = 1; i <= 3; i++) {
      while (!ends[i]) await settle();
      ends[i]?.({ result: 'unreachable', again: true });
    }
    assert.ok(await drained);
    assert.equal(results, ['refused', 'unreachable']);
    assert.is(ends.length, 4);
    assert.is(queue.bytes, 0);
  });

  test('a drain sends what waits, and drops what has no time', async () => {
    const { queue, ends, results, push, settle } = rig({ workers: 1 });
    push(10);
    push(10);
    const clean = queue.drain(performance.now() + 60_000);
    ends[0]?.({ result: 'sent', again: false });
    await settle();
    ends[1]?.({ result: 'sent', again: false });
    assert.ok(await clean);
    assert.equal(results, ['sent', 'sent']);
    assert.not(queue.reserve(1), 'nothing is taken after a drain');

    const late = rig({ workers: 1 });
    late.push(10);
    late.push(10);
    assert.not(await late.queue.drain(performance.now() - 1));
    assert.equal(late.results, ['drained'], 'one was on its way');
  });
});
