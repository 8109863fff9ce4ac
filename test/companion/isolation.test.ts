import * as assert from 'uvu/assert';
import { createProtocols } from '../../src/protocol/protocols.ts';
import { type Rig, together, withRig } from '../support/companion.ts';
import { until } from '../support/edge.ts';
import { suite } from '../support/suite.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const metric = async (rig: Rig, line: RegExp) => Number(line.exec((await rig.admin('/metrics')).text)?.[1]);

suite('companion: what one request may not do to others', (test) => {
  test('a list beside the predictions goes to nobody but its own caller', () =>
    withRig({}, async (rig) => {
      rig.model.serial = true;
      rig.model.extra = (items) => ({ probabilities: items.map((item) => `of ${item}`) });
      const answers = await together(rig, () => Array.from({ length: 8 }, (_, i) => rig.predict(i)));
      for (const [i, answer] of answers.entries()) {
        assert.equal(answer.json, { predictions: [{ echo: i }], probabilities: [`of ${i}`] });
      }
      assert.ok((await metric(rig, /paceline_unsplittable_replies_total\{wrong="shape"\} (\d+)/)) >= 1);
    }));

  test('all who shared a call that was refused hear how to be let in, and when to come again', () =>
    withRig({ 'late-timeout': '60s' }, async (rig) => {
      const ofAll = {
        'www-authenticate': 'Bearer realm="m"',
        'retry-after': '7',
        allow: 'GET',
      };
      rig.model.ofRefusals = { ...ofAll, 'x-of-one': 'secret' };
      for (const status of [401, 405, 429]) {
        const before = rig.model.calls.length;
        const answers = await together(rig, () => {
          rig.model.behave = () => status;
          return Array.from({ length: 12 }, (_, i) => rig.predict(i));
        });
        rig.model.behave = () => 'ok';
        assert.ok(
          rig.model.calls.slice(before).some(({ items }) => items.length > 1),
          'some shared a call',
        );
        for (const answer of answers) {
          assert.is(answer.status, status);
          for (const [name, value] of Object.entries(ofAll))
            assert.is(answer.headers[name], value, `${status} ${name}`);
        }
        assert.ok(
          answers.some(({ headers }) => headers['x-of-one'] === undefined),
          'other headers go to nobody who shared',
        );
      }
    }));

  test('bodies that are handed over hold their bytes until they are answered', () =>
    withRig({ 'max-batch-size': '2', 'max-waiting-bytes': '8MB', 'drain-timeout': '1s' }, async (rig) => {
      rig.model.behave = () => 'hang';
      const body = JSON.stringify({ instances: Array(4).fill('x'.repeat(700_000)) });
      const calls = Array.from({ length: 6 }, () =>
        rig.call('/v1/models/m:predict', body).then(
          (answer) => answer.json.code,
          () => 'closed',
        ),
      );
      let held = 0;
      for (let i = 0; i < 200 && held < 5_000_000; i++) {
        held = await metric(rig, /paceline_waiting_bytes (\d+)/);
        await pause(5);
      }
      assert.ok(held > 5_000_000 && held <= 8_000_000, `${held} bytes`);
      // Again and again: some may not have reached the model yet.
      const closing = setInterval(() => rig.model.closeConnections(), 20);
      const codes = await Promise.all(calls);
      clearInterval(closing);
      assert.ok(codes.filter((code) => code === 'PL_BYTES_FULL').length >= 3, codes.join(' '));
      await pause(20);
      assert.is(await metric(rig, /paceline_waiting_bytes (\d+)/), 0);
    }));

  for (const broken of ['measure', 'merge', 'split'] as const) {
    test(`a ${broken} that fails costs nobody an answer`, async () => {
      let fails = false;
      await withRig(
        { 'late-timeout': '60s' },
        async (rig) => {
          rig.model.serial = true;
          const answers = await together(rig, () => {
            fails = true;
            return Array.from({ length: 8 }, (_, i) => rig.predict(i));
          });
          fails = false;
          for (const [i, answer] of answers.entries()) assert.equal(answer.json, { predictions: [{ echo: i }] });
          assert.ok((await metric(rig, /paceline_kernel_traps_total (\d+)/)) >= 1);
          assert.equal((await rig.predict('after')).json, { predictions: [{ echo: 'after' }] });
        },
        {
          createProtocols: () => {
            const protocols = createProtocols();
            const real = protocols.v1[broken].bind(protocols.v1) as (...args: unknown[]) => unknown;
            Object.defineProperty(protocols.v1, broken, {
              value: (...args: unknown[]) => {
                if (fails) throw new Error('unreachable');
                return real(...args);
              },
            });
            return protocols;
          },
        },
      );
    });
  }

  test('a reply that is too large to be split is asked for again in smaller batches', () =>
    withRig({ slo: '2s' }, async (rig) => {
      rig.model.serial = true;
      rig.model.timeMs = () => 20;
      const wide = 'x'.repeat(2_200_000);
      const answers = await together(rig, () => Array.from({ length: 8 }, (_, i) => rig.predict(`${i}${wide}`)));
      for (const [i, answer] of answers.entries())
        assert.equal(answer.json, { predictions: [{ echo: `${i}${wide}` }] });
      const joined = rig.model.calls.some((call) => call.items.length > 1 && String(call.items[0]).length > 1000);
      const halved = await metric(rig, /paceline_unsplittable_replies_total\{wrong="too-large"\} (\d+)/);
      // Whether so large bodies are joined at all is the kernel's decision.
      assert.is(halved > 0, joined);
    }));

  test('time that a caller spends on its upload is its own', () =>
    withRig({ slo: '50ms', 'late-timeout': '200ms' }, async (rig) => {
      const body = '{"instances":["slow"]}';
      const head = `POST /v1/models/m:predict HTTP/1.1\r\nhost: m\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
      const { connect } = await import('node:net');
      const socket = connect(rig.port, '127.0.0.1', () => socket.write(head + body.slice(0, 5)));
      let seen = '';
      socket.on('data', (chunk) => {
        seen += chunk;
      });
      await pause(400);
      socket.write(body.slice(5));
      await new Promise((resolve) => socket.once('close', resolve));
      assert.match(seen, /^HTTP\/1.1 200 /);
      assert.match(seen, /"slow"/);
    }));

  test('a model that was slower than any deadline and is well again serves again', () =>
    withRig({ slo: '100ms', 'late-timeout': '300ms' }, async (rig) => {
      rig.model.serial = true;
      rig.model.timeMs = () => 10;
      for (let i = 0; i < 20; i++) assert.is((await rig.predict(i)).status, 200);
      rig.model.timeMs = () => 600;
      const slow = await Promise.all(Array.from({ length: 30 }, (_, i) => pause(i * 60).then(() => rig.predict(i))));
      // Silence until the hard timeout, again and again: from then on requests are refused at once.
      const codes = slow.map((answer) => answer.json.code);
      assert.ok(codes.filter((code) => code === 'PL_DEADLINE_EXCEEDED').length >= 5, codes.join(' '));
      assert.ok(
        codes.every((code) => code === 'PL_DEADLINE_EXCEEDED' || code === 'PL_CIRCUIT_OPEN'),
        codes.join(' '),
      );
      assert.ok((await metric(rig, /paceline_upstream_calls_total\{result="aborted"\} (\d+)/)) > 0);
      rig.model.timeMs = () => 10;
      let good = 0;
      for (const end = performance.now() + 15_000; performance.now() < end && good < 5; await pause(20)) {
        good = (await rig.predict('again')).status === 200 ? good + 1 : 0;
      }
      assert.is(good, 5, 'five in a row');
    }));

  test('callers that give up after their objective count as missed', () =>
    withRig({ slo: '50ms', 'late-timeout': '5s' }, async (rig) => {
      const missed = async () => (await metric(rig, /paceline_slo_requests_total\{met="false"\} (\d+)/)) || 0;
      await rig.predict('warm');
      // On a slow machine the first one may be late itself.
      const before = await missed();
      rig.model.behave = () => 'hang';
      const seen = rig.model.calls.length;
      const leaving = new AbortController();
      const calls = Array.from({ length: 5 }, () =>
        fetch(`http://127.0.0.1:${rig.port}/v1/models/m:predict`, {
          method: 'POST',
          body: '{"instances":[1]}',
          headers: { 'content-type': 'application/json' },
          signal: leaving.signal,
        }).catch(() => undefined),
      );
      const there = () => rig.model.calls.slice(seen).reduce((sum, { items }) => sum + items.length, 0);
      await until(() => there() + rig.companion.scheduler.waiting === 5, 'five requests');
      await pause(60);
      leaving.abort();
      await Promise.all(calls);
      for (const end = performance.now() + 5000; (await missed()) < before + 5 && performance.now() < end; )
        await pause(5);
      assert.is(await missed(), before + 5);
    }));

  test('a call that the model has read is not sent again when the connection dies', () =>
    withRig({}, async (rig) => {
      for (let i = 0; i < 5; i++) await rig.predict('warm');
      rig.model.calls.length = 0;
      rig.model.timeMs = () => 30;
      rig.model.behave = () => 'reset';
      assert.is((await rig.predict('once')).status, 502);
      assert.is(rig.model.calls.length, 1);
    }));

  test('while it drains the port stays open until nobody asks any more', async () => {
    await withRig({ 'drain-quiet': '300ms' }, async (rig) => {
      await rig.predict('warm');
      const drained = rig.companion.drain();
      for (let i = 0; i < 4; i++) {
        await pause(100);
        assert.equal((await rig.predict(i)).json, { predictions: [{ echo: i }] });
        assert.is((await rig.admin('/readyz')).status, 503);
      }
      assert.is(await drained, true);
    });
  });
});
