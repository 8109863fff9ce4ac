import * as assert from 'uvu/assert';
import { type Again, WorkQueue } from '../../src/kube/work-queue.ts';
import { QuietLog } from '../support/quiet-log.ts';
import { suite } from '../support/suite.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

function queueOf(work: (key: string) => Promise<Again | undefined>, parallel = 4) {
  const clock = new VirtualClock();
  const runs: { key: string; atMs: number }[] = [];
  const begin = clock.monotonicMs();
  const queue = new WorkQueue({
    clock,
    parallel,
    chance: () => 0.5,
    log: new QuietLog(),
    work: (key) => {
      runs.push({ key, atMs: clock.monotonicMs() - begin });
      return work(key);
    },
  });
  return { clock, queue, runs, times: () => runs.map(({ atMs }) => atMs) };
}

suite('work queue', (test) => {
  test('what fails comes again with growing pauses, and a change does not shorten them', async () => {
    const { clock, queue, times } = queueOf(async () => {
      throw new Error('conflict');
    });
    queue.add('a');
    for (let i = 0; i < 150; i++) {
      await clock.advance(100);
      queue.add('a');
    }
    assert.equal(times().slice(0, 5), [0, 500, 1500, 3500, 7500]);
  });

  test('a success ends the back-off', async () => {
    let fails = 3;
    const { clock, queue, runs } = queueOf(async () => {
      if (fails-- > 0) throw new Error('conflict');
      return undefined;
    });
    queue.add('a');
    await clock.advance(60_000);
    assert.is(runs.length, 4);
    queue.add('a');
    await clock.advance(0);
    assert.is(runs.length, 5);
  });

  test('a key that is wanted many times runs once, and not more often than its interval', async () => {
    const { clock, queue, times } = queueOf(async () => undefined);
    for (let i = 0; i < 100; i++) {
      queue.add('a');
      await clock.advance(10);
    }
    await clock.advance(1_000);
    assert.equal(times(), [0, 250, 500, 750, 1000]);
  });

  test('a key never runs twice at a time: a wish meanwhile comes afterwards', async () => {
    let finish = () => {};
    const { clock, queue, runs } = queueOf(() => new Promise((resolve) => (finish = () => resolve(undefined))));
    queue.add('a');
    await clock.advance(5_000);
    queue.add('a');
    queue.add('a');
    await clock.advance(5_000);
    assert.is(runs.length, 1);
    finish();
    await clock.advance(1_000);
    assert.is(runs.length, 2);
  });

  test('what has a reason goes before routine, which is late and not forgotten', async () => {
    const finish: (() => void)[] = [];
    const work = (key: string) =>
      new Promise<Again>((resolve) =>
        finish.push(() => resolve(key.startsWith('r') ? { afterMs: 1_000, routine: true } : {})),
      );
    const { clock, queue, runs } = queueOf(work, 1);
    const finishAll = async (times: number) => {
      for (let i = 0; i < times; i++) {
        finish.shift()?.();
        await clock.advance(0);
      }
    };
    for (const key of ['r1', 'r2']) queue.add(key);
    await clock.advance(0);
    await finishAll(2);
    runs.length = 0;
    queue.add('in-work');
    await clock.advance(2_000);
    for (let i = 0; i < 20; i++) queue.add(`c${i}`);
    await finishAll(23);
    const order = runs.map(({ key }) => key);
    assert.is(order.length, 23);
    const places = ['r1', 'r2'].map((key) => order.indexOf(key));
    assert.equal(places, [8, 17], 'one of routine behind eight others');
  });

  test('a key of routine that waits goes with the others once something changed, and runs once', async () => {
    let finish = () => {};
    const { clock, queue, runs } = queueOf(async (key) => {
      if (key === 'blocks') await new Promise<void>((resolve) => (finish = resolve));
      return key === 'a' ? { afterMs: 1_000, routine: true } : undefined;
    }, 1);
    queue.add('a');
    await clock.advance(500);
    queue.add('blocks');
    await clock.advance(1_000);
    queue.add('b');
    queue.add('a');
    queue.add('c');
    finish();
    await clock.advance(200);
    assert.equal(
      runs.map(({ key }) => key),
      ['a', 'blocks', 'b', 'a', 'c'],
    );
  });

  test('no more keys are in work than workers', async () => {
    const finish: (() => void)[] = [];
    const { clock, queue, runs } = queueOf(() => new Promise((resolve) => finish.push(() => resolve(undefined))), 2);
    for (const key of ['a', 'b', 'c']) queue.add(key);
    await clock.advance(0);
    assert.equal(
      runs.map(({ key }) => key),
      ['a', 'b'],
    );
    assert.is(queue.waiting, 1);
    finish[0]?.();
    await clock.advance(0);
    assert.is(runs.length, 3);
  });

  test('the earlier of two wishes wins, whatever the order', async () => {
    const { clock, queue, times } = queueOf(async () => undefined);
    queue.add('a', 10_000);
    queue.add('a', 2_000);
    queue.add('a', 5_000);
    await clock.advance(60_000);
    assert.equal(times(), [2_000]);
  });

  test('a worker says when it wants to be called again, and what it forgets is gone', async () => {
    let runs = 0;
    const { clock, queue, times } = queueOf(async () => (++runs < 3 ? { afterMs: 1_000 } : { forget: true }));
    queue.add('a');
    await clock.advance(10_000);
    assert.equal(times(), [0, 1_000, 2_000]);
    assert.is(queue.size, 0);
  });

  test('stopping waits for what is in work and starts nothing more', async () => {
    let finish = () => {};
    const { clock, queue, runs } = queueOf(() => new Promise((resolve) => (finish = () => resolve({ afterMs: 1 }))), 1);
    queue.add('a');
    queue.add('b');
    await clock.advance(0);
    let stopped = false;
    void queue.stop().then(() => (stopped = true));
    await clock.advance(0);
    assert.not(stopped);
    finish();
    await clock.advance(10_000);
    assert.ok(stopped);
    assert.is(runs.length, 1);
  });
});
