import * as assert from 'uvu/assert';
import { createBatchingDomain } from '../../src/kernels/batching-domain.ts';
import { together, withRig } from '../support/companion.ts';
import { until } from '../support/edge.ts';
import type { Behaviour } from '../support/model-server.ts';
import { suite } from '../support/suite.ts';

suite('companion: faults', (test) => {
  for (const status of [400, 422, 500]) {
    test(`a poisoned request alone gets its ${status}`, () =>
      withRig({}, async (rig) => {
        rig.model.behave = (call) => (call.items.includes('poison') ? status : 'ok');
        const answers = await together(rig, () =>
          Array.from({ length: 16 }, (_, i) => rig.predict(i === 5 ? 'poison' : i)),
        );
        for (const [i, answer] of answers.entries()) {
          if (i === 5) assert.is(answer.status, status);
          else assert.equal(answer.json, { predictions: [{ echo: i }] });
        }
        assert.ok(rig.model.calls.some((call) => call.items.includes('poison') && call.items.length > 1));
      }));
  }

  test('401, 403, 404, 429 and 503 are answered as they are, without another call', () =>
    withRig({}, async (rig) => {
      for (const status of [401, 403, 404, 429, 503]) {
        rig.model.behave = (call) => (call.items.includes('no') ? status : 'ok');
        const answers = await together(rig, () => Array.from({ length: 8 }, () => rig.predict('no')));
        for (const answer of answers) {
          assert.is(answer.status, status);
          assert.equal(answer.json, { detail: `the model says ${status}` });
        }
        const seen = rig.model.calls.flatMap((call) => call.items).filter((item) => item === 'no');
        assert.is(seen.length, 8, 'each request was sent once');
        rig.model.calls.length = 0;
      }
    }));

  test('413 halves the batch and teaches the limit', () =>
    withRig({}, async (rig) => {
      rig.model.serial = true;
      rig.model.timeMs = () => 5;
      rig.model.behave = (call) => (call.items.length > 8 ? 413 : 'ok');
      // The limit is closed in on from below, a try each half second: once it is known no call is refused any more.
      let refusedAt = performance.now();
      for (const until = refusedAt + 15_000; performance.now() < Math.min(until, refusedAt + 2000); ) {
        rig.model.calls.length = 0;
        const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => rig.predict(i)));
        for (const [i, answer] of answers.entries()) assert.equal(answer.json, { predictions: [{ echo: i }] });
        if (rig.model.calls.some((call) => call.items.length > 8)) refusedAt = performance.now();
      }
      assert.ok(performance.now() >= refusedAt + 2000, 'the limit has been learned');
      assert.ok(rig.model.calls.some((call) => call.items.length > 2));
    }));

  for (const wrong of ['few', 'many', 'not-json'] as Behaviour[]) {
    test(`replies that are ${wrong}: every caller gets its own, one by one`, () =>
      withRig({}, async (rig) => {
        rig.model.behave = (call) => (call.items.length > 1 ? wrong : 'ok');
        const answers = await together(rig, () => Array.from({ length: 12 }, (_, i) => rig.predict(i)));
        for (const [i, answer] of answers.entries()) assert.equal(answer.json, { predictions: [{ echo: i }] });
        rig.model.calls.length = 0;
        await Promise.all(Array.from({ length: 12 }, (_, i) => rig.predict(i)));
        assert.ok(rig.model.calls.every((call) => call.items.length === 1));
        assert.match(
          (await rig.admin('/metrics')).text,
          /paceline_unsplittable_replies_total\{wrong="(count|not-json)"\} [1-9]/,
        );
      }));
  }

  test('an upstream that refuses: 503 with Retry-After; that resets: 502; that hangs: 504', () =>
    withRig({}, async (rig) => {
      rig.model.behave = () => 'reset';
      const reset = await rig.predict(1);
      assert.is(reset.status, 502);
      assert.is(reset.json.code, 'PL_UPSTREAM_RESET');
      rig.model.behave = () => 'truncate';
      assert.is((await rig.predict(1)).status, 502);
      rig.model.behave = () => 'hang';
      const started = performance.now();
      const hung = await rig.predict(1);
      assert.is(hung.status, 504);
      assert.is(hung.json.code, 'PL_DEADLINE_EXCEEDED');
      assert.ok(performance.now() - started < 1500, 'at the hard deadline');
      rig.model.behave = () => 'ok';
      assert.is((await rig.predict(1)).status, 200);
      await rig.model.stop();
      const refused = await rig.predict(1);
      assert.is(refused.status, 503);
      assert.is(refused.json.code, 'PL_UPSTREAM_UNREACHABLE');
      assert.is(refused.headers['retry-after'], '1');
      await rig.model.start(rig.modelPort);
      assert.is((await rig.predict(1)).status, 200, 'and it comes back');
    }));

  test('connections that the model closes while idle lose nothing', () =>
    withRig({}, async (rig) => {
      for (let i = 0; i < 200; i++) {
        const answer = rig.predict(i);
        if (i % 2 === 1) setImmediate(() => rig.model.closeConnections());
        const { status, json } = await answer;
        if (status === 200) assert.equal(json, { predictions: [{ echo: i }] });
        else assert.is(i % 2, 1, `request ${i} was lost to an idle close: ${status}`);
      }
    }));

  test('a kernel that traps is rebuilt, and nobody notices', async () => {
    let steps = 0;
    await withRig(
      {},
      async (rig) => {
        const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => rig.predict(i)));
        for (const [i, answer] of answers.entries()) assert.equal(answer.json, { predictions: [{ echo: i }] });
        assert.ok(rig.companion.scheduler.deciding);
        assert.match((await rig.admin('/metrics')).text, /paceline_kernel_traps_total 1/);
      },
      { createDomain: (settings, now) => trapping(createBatchingDomain(settings, now), () => ++steps === 3) },
    );
  });

  test('pages of the admin port survive a kernel that traps while it is read', async () => {
    const broken = Object.create(null) as Record<string, unknown>;
    await withRig(
      {},
      async (rig) => {
        await rig.predict(0);
        broken.signals = new Proxy({}, { get: () => assert.unreachable });
        for (const page of ['/metrics', '/signals', '/metrics', '/signals']) {
          assert.is((await rig.admin(page)).status, 200, page);
        }
        assert.equal((await rig.predict(1)).json, { predictions: [{ echo: 1 }] });
        assert.match((await rig.admin('/metrics')).text, /paceline_kernel_traps_total [1-9]/);
      },
      {
        createDomain: (settings, now) => {
          const domain = createBatchingDomain(settings, now);
          return new Proxy(domain, {
            get(target, name) {
              const value = name in broken ? broken[name as string] : Reflect.get(target, name, target);
              return typeof value === 'function' ? value.bind(target) : value;
            },
          });
        },
      },
    );
  });

  test('after three traps in a minute requests pass one by one, bounded', () =>
    withRig(
      { 'max-waiting': '50' },
      async (rig) => {
        rig.model.timeMs = () => 10;
        const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => rig.predict(i)));
        const served = answers.filter((answer) => answer.status === 200);
        assert.ok(served.length >= 50, `${served.length} served`);
        for (const [i, answer] of answers.entries()) {
          if (answer.status === 200) assert.equal(answer.json, { predictions: [{ echo: i }] });
          else assert.is(answer.json.code, 'PL_QUEUE_FULL');
        }
        assert.not.ok(rig.companion.scheduler.deciding);
        assert.ok(rig.model.calls.every((call) => call.items.length === 1));
      },
      { createDomain: (settings, now) => trapping(createBatchingDomain(settings, now), () => true) },
    ));

  test('drain: what waits goes at once and is answered, then the ports close', async () => {
    await withRig({ patience: '1', slo: '500ms', 'late-timeout': '10s' }, async (rig) => {
      await rig.predict('warm');
      const waiting = Promise.all(Array.from({ length: 3 }, (_, i) => rig.predict(i)));
      const there = () => rig.model.calls.slice(1).reduce((sum, { items }) => sum + items.length, 0);
      await until(() => there() + rig.companion.scheduler.waiting === 3, 'three requests');
      const started = performance.now();
      assert.is(await rig.companion.drain(), true);
      assert.ok(performance.now() - started < 1000);
      for (const [i, answer] of (await waiting).entries()) assert.equal(answer.json, { predictions: [{ echo: i }] });
      const closed = await rig.admin('/healthz').then(
        () => false,
        () => true,
      );
      assert.ok(closed);
    });
  });
});

/** The real domain, whose step fails when it is told to. */
function trapping(domain: ReturnType<typeof createBatchingDomain>, when: () => boolean): typeof domain {
  return new Proxy(domain, {
    get(target, name) {
      if (name === 'step' && when()) {
        return () => {
          throw new Error('unreachable');
        };
      }
      const value = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
