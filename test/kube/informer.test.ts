import * as assert from 'uvu/assert';
import { Informer } from '../../src/kube/informer.ts';
import { KubeError } from '../../src/kube/kube-error.ts';
import { type KubeObject, kinds } from '../../src/kube/objects.ts';
import { ApiDouble } from '../support/api-double.ts';
import { QuietLog } from '../support/quiet-log.ts';
import { suite } from '../support/suite.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

function pod(name: string, labels: Record<string, string> = {}): KubeObject {
  return { metadata: { namespace: 'a', name, labels } };
}

async function watched(count = 0, pageSize = 250) {
  const api = new ApiDouble();
  const clock = new VirtualClock();
  const log = new QuietLog();
  for (let i = 0; i < count; i++) await api.create(kinds.pod, pod(`p${i}`));
  const project = ({ metadata }: KubeObject) =>
    metadata.labels?.skip ? undefined : { name: metadata.name, team: metadata.labels?.team ?? 'none' };
  const informer = new Informer(
    { kind: kinds.pod, project, pageSize, indexes: { team: ({ team }) => [team] } },
    { api, clock, log, chance: () => 0.5 },
  );
  const changes: string[] = [];
  informer.onChange((key, now, before) => changes.push(`${before ? (now ? '~' : '-') : '+'}${key}`));
  informer.start();
  await clock.advance(0);
  return { api, clock, log, informer, changes };
}

suite('informer', (test) => {
  test('a listener that throws is logged, and the others are told', async () => {
    const { api, clock, log, informer, changes } = await watched();
    informer.onChange(() => {
      throw new Error('bad');
    });
    await api.create(kinds.pod, pod('p'));
    await clock.advance(0);
    assert.equal(changes, ['+a/p']);
    assert.is(log.lines.filter(({ level }) => level === 'error').length, 1);
    await informer.stop();
  });

  test('a list that fails is tried again, with growing pauses', async () => {
    const api = new ApiDouble();
    const clock = new VirtualClock();
    const asked: number[] = [];
    api.before = (verb) => {
      if (verb !== 'list') return;
      asked.push(clock.monotonicMs());
      if (asked.length <= 12) throw new KubeError(0, 'Unreachable', 'connection refused');
    };
    const tools = { api, clock, log: new QuietLog(), chance: () => 0.5 };
    const informer = new Informer({ kind: kinds.pod, project: ({ metadata }: KubeObject) => metadata.name }, tools);
    informer.start();
    await clock.advance(600_000);
    assert.ok(informer.synced);
    const pauses = asked.slice(1).map((at, i) => at - (asked[i] as number));
    assert.equal(pauses.slice(0, 4), [250, 500, 1000, 2000]);
    assert.is(Math.max(...pauses), 30_000);
    await informer.stop();
  });

  test('what a server asks to wait for is waited', async () => {
    const api = new ApiDouble();
    const clock = new VirtualClock();
    const asked: number[] = [];
    api.before = (verb) => {
      if (verb !== 'list') return;
      asked.push(clock.monotonicMs());
      if (asked.length === 1) throw new KubeError(429, 'TooManyRequests', 'slow down', 7_000);
    };
    const tools = { api, clock, log: new QuietLog(), chance: () => 0.5 };
    const informer = new Informer({ kind: kinds.pod, project: ({ metadata }: KubeObject) => metadata.name }, tools);
    informer.start();
    await clock.advance(10_000);
    assert.is((asked[1] as number) - (asked[0] as number), 7_000);
    await informer.stop();
  });

  test('lists in pages and follows what changes', async () => {
    const { api, clock, informer, changes } = await watched(7, 3);
    assert.ok(informer.synced);
    assert.is(informer.size, 7);
    await api.mergePatch(kinds.pod, { namespace: 'a', name: 'p1' }, { metadata: { labels: { team: 'x' } } });
    await api.delete(kinds.pod, { namespace: 'a', name: 'p2' });
    await clock.advance(0);
    assert.equal(changes.slice(7), ['~a/p1', '-a/p2']);
    assert.equal(
      informer.by('team', 'x').map(({ name }) => name),
      ['p1'],
    );
    assert.is(informer.by('team', 'none').length, 5);
    await informer.stop();
  });

  test('what the projection does not keep is not there, and goes when it is no longer kept', async () => {
    const { api, clock, informer, changes } = await watched(1);
    await api.mergePatch(kinds.pod, { namespace: 'a', name: 'p0' }, { metadata: { labels: { skip: 'yes' } } });
    await clock.advance(0);
    assert.equal(changes, ['+a/p0', '-a/p0']);
    assert.is(informer.size, 0);
    await informer.stop();
  });

  test('a watch that ends goes on from where it was: nothing is listed anew, nothing told twice', async () => {
    const { api, clock, informer, changes } = await watched(1);
    await clock.advance(5_000);
    api.loseWatches();
    await api.create(kinds.pod, pod('meanwhile'));
    await clock.advance(1_000);
    api.loseWatches(new Error('socket hang up'));
    await api.create(kinds.pod, pod('later'));
    await clock.advance(60_000);
    assert.equal(changes, ['+a/p0', '+a/meanwhile', '+a/later']);
    assert.is(informer.lists, 1);
    await informer.stop();
  });

  test('a bookmark moves it past history that is then compacted', async () => {
    const { api, clock, informer } = await watched(1);
    await api.create(kinds.node, { metadata: { name: 'other' } });
    api.bookmark();
    await clock.advance(5_000);
    api.compact();
    api.loseWatches();
    await clock.advance(60_000);
    assert.is(informer.lists, 1);
    await informer.stop();
  });

  test('history that is gone is listed anew: what vanished meanwhile is told', async () => {
    const { api, clock, informer, changes } = await watched(2);
    await clock.advance(5_000);
    api.before = (verb) => {
      if (verb === 'watch') throw new KubeError(0, 'Unreachable', 'down');
    };
    api.loseWatches(new Error('reset'));
    await api.delete(kinds.pod, { namespace: 'a', name: 'p0' });
    await api.create(kinds.pod, pod('new'));
    api.compact();
    await clock.advance(1_000);
    api.before = undefined;
    await clock.advance(60_000);
    assert.equal(changes.slice(2).sort(), ['+a/new', '-a/p0']);
    assert.is(informer.lists, 2);
    await informer.stop();
  });

  test('a server that ends every watch at once is not asked in a tight loop', async () => {
    const { api, clock, informer } = await watched(1);
    let watches = 0;
    api.before = (verb) => {
      if (verb !== 'watch') return;
      watches++;
      queueMicrotask(() => setImmediate(() => api.loseWatches()));
    };
    await clock.advance(2_000);
    api.loseWatches();
    await clock.advance(120_000);
    assert.ok(watches < 30, `${watches} watches in two minutes`);
    await informer.stop();
  });
});
