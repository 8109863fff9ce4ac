import * as assert from 'uvu/assert';
import { doubleField } from '../../src/companion/pod/queue-proxy.ts';
import { type Rig, startRig, withRig } from '../support/companion.ts';
import { until } from '../support/edge.ts';
import { QueueProxyDouble, statOf } from '../support/queue-proxy-double.ts';
import { suite } from '../support/suite.ts';

/** A companion beside a queue-proxy. */
async function withQueueProxy(
  flags: Record<string, string>,
  run: (rig: Rig, proxy: QueueProxyDouble) => Promise<void>,
): Promise<void> {
  const proxy = new QueueProxyDouble();
  const queueProxyPorts = await proxy.start();
  const rig = await startRig({ 'queue-proxy': 'true', ...flags }, { queueProxyPorts });
  try {
    await run(rig, proxy);
  } finally {
    proxy.stop();
    await rig.stop();
  }
}

async function timed<T>(what: () => Promise<T>): Promise<[T, number]> {
  const from = performance.now();
  return [await what(), performance.now() - from];
}

suite('companion: drain in a pod', (test) => {
  test('what is no message of queue-proxy says nothing', async () => {
    for (const bytes of ['ff', '0a', '0a7f', '11', '1100', '0b', 'ffffffffffffffffffff01'])
      assert.is(doubleField(Buffer.from(bytes, 'hex'), 2), undefined, bytes);
    assert.is(doubleField(Buffer.from('11000000000000f8ff', 'hex'), 2), undefined, 'NaN');
    assert.is(doubleField(statOf(-1), 2), undefined);
    assert.is(doubleField(Buffer.alloc(0), 2), 0);
    assert.is(doubleField(statOf(3.25), 2), 3.25);
    assert.is(doubleField(statOf(3.25), 4), 12.5);
    await withQueueProxy({}, async (rig, proxy) => {
      const waiting = async () => (await rig.admin('/signals')).json.upstreamWaiting;
      proxy.contentType = 'text/plain';
      assert.is(await waiting(), null);
      proxy.contentType = 'application/protobuf';
      proxy.stat = Buffer.from('garbage');
      assert.is(await waiting(), null);
      proxy.stat = Buffer.alloc(10_000);
      assert.is(await waiting(), null);
      proxy.stop();
      assert.is(await waiting(), null);
    });
    await withRig({}, async (rig) => assert.is((await rig.admin('/signals')).json.upstreamWaiting, null));
  });

  test('what waits in queue-proxy is what it holds less what is here', () =>
    withQueueProxy({}, async (rig, proxy) => {
      proxy.stat = statOf(5);
      assert.is((await rig.admin('/signals')).json.upstreamWaiting, 5);
      const release = rig.model.hold();
      const calls = [rig.predict(1), rig.predict(2)];
      await until(() => rig.model.heldItems + rig.companion.scheduler.waiting === 2);
      assert.is((await rig.admin('/signals')).json.upstreamWaiting, 3);
      proxy.stat = statOf(1);
      assert.is((await rig.admin('/signals')).json.upstreamWaiting, 0);
      release();
      await Promise.all(calls);
    }));

  test("serves as long as queue-proxy does, and ends with queue-proxy's own drain", () =>
    withQueueProxy({ 'drain-quiet': '20s' }, async (rig, proxy) => {
      const drained = timed(() => rig.companion.drain());
      await until(() => proxy.waiting.length === 1);
      for (let i = 0; i < 5; i++) assert.is((await rig.predict(i)).status, 200);
      proxy.drained();
      const [clean, ms] = await drained;
      assert.is(clean, true);
      assert.ok(ms < 5000, `${ms} ms`);
    }));

  test('a queue-proxy that is gone means that nobody can ask: a native sidecar ends at once', () =>
    withQueueProxy({ 'drain-quiet': '20s' }, async (rig, proxy) => {
      proxy.stop();
      const [clean, ms] = await timed(() => rig.companion.drain());
      assert.is(clean, true);
      assert.ok(ms < 2000, `${ms} ms`);
    }));

  test('something else at queue-proxy’s port ends nothing', () =>
    withQueueProxy({ 'drain-quiet': '300ms' }, async (rig, proxy) => {
      const drained = timed(() => rig.companion.drain());
      await until(() => proxy.waiting.length === 1);
      proxy.waiting.pop()?.writeHead(503).end();
      const [clean, ms] = await drained;
      assert.is(clean, true);
      assert.ok(ms >= 290, `${ms} ms`);
    }));

  test('a model that is gone ends the waiting too', () =>
    withRig({ 'drain-quiet': '20s' }, async (rig) => {
      await rig.model.stop();
      const [clean, ms] = await timed(() => rig.companion.drain());
      await rig.model.start();
      assert.is(clean, true);
      assert.ok(ms < 5000, `${ms} ms`);
    }));

  test('callers who never stop do not keep it beyond its time, and the last ones are answered', () =>
    withRig({ 'drain-quiet': '20s', 'drain-timeout': '2s', 'late-timeout': '500ms' }, async (rig) => {
      let last: Promise<number> | undefined;
      const asking = setInterval(() => {
        last = rig.predict(1).then(
          ({ status }) => status,
          () => 0,
        );
      }, 20);
      const [clean, ms] = await timed(() => rig.companion.drain());
      clearInterval(asking);
      assert.is(clean, true);
      assert.ok(ms >= 1400 && ms < 4000, `${ms} ms`);
      await last;
    }));

  test('who has no answer when its time is over is told so, batched or passed through', () =>
    withRig({ 'drain-timeout': '300ms' }, async (rig) => {
      const release = rig.model.hold();
      const passing = { 'content-type': 'application/octet-stream' };
      const calls = [rig.predict(1), rig.call('/v1/models/m:predict', '{"instances":[2]}', passing)];
      await until(() => rig.model.heldItems === 2);
      assert.is(await rig.companion.drain(), false);
      for (const { status, json, headers } of await Promise.all(calls)) {
        assert.is(status, 503);
        assert.is(json.code, 'PL_DRAIN_TIMEOUT');
        assert.is(headers['retry-after'], '1');
      }
      release();
    }));

  test('partial batches go at once', () =>
    withRig({ patience: '1', slo: '1s', 'late-timeout': '60s', 'drain-quiet': '200ms' }, async (rig) => {
      for (let i = 0; i < 14; i++) await rig.predict(i);
      const waiting = rig.predict('alone');
      await until(() => rig.companion.scheduler.waiting === 1);
      const drained = rig.companion.drain();
      assert.is((await waiting).status, 200);
      const page = await rig.admin('/metrics');
      assert.match(page.text, /paceline_batches_total\{trigger="drain"\} 1\n/);
      assert.is(await drained, true);
    }));

  test('a preStop hook waits for the drain that SIGTERM begins, and for nothing else', () =>
    withRig({ 'drain-quiet': '2s' }, async (rig) => {
      const [restart, restartMs] = await timed(() => rig.admin('/wait-for-drain'));
      assert.is(restart.status, 200);
      assert.ok(restartMs >= 950 && restartMs < 1900, `a container's restart is not held up: ${restartMs} ms`);
      const before = timed(() => rig.admin('/wait-for-drain'));
      const drained = timed(() => rig.companion.drain());
      const after = rig.admin('/wait-for-drain');
      const [hook, hookMs] = await before;
      assert.is(hook.status, 200);
      assert.ok(hookMs >= 1900, `${hookMs} ms`);
      assert.is((await after).status, 200);
      assert.is((await drained)[0], true);
    }));
});
