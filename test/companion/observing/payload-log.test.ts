import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createHttpsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { bundleOf, renewed } from '../../../src/controller/admission/certificates.ts';
import { type Rig, together, withRig } from '../../support/companion.ts';
import { type SeenEvent, SinkDouble } from '../../support/event-sink.ts';
import { callH2c } from '../../support/h2c-call.ts';
import { QuietLog } from '../../support/quiet-log.ts';
import { suite } from '../../support/suite.ts';

interface Fixture {
  readonly events: { readonly headers: [string, string][]; readonly body: string }[];
}

const fixture = JSON.parse(
  readFileSync(new URL('../../fixtures/kserve-events.json', import.meta.url), 'utf8'),
) as Fixture;
/** As the fixture was recorded. */
const asKserve = {
  'log-source': 'pod-1',
  isvc: 'models/iris',
  'log-endpoint': 'default',
  'log-component': 'predictor',
  'log-headers': 'X-User-Id',
  'log-annotations': 'team=vision,note=a<b&é',
};

/** A companion whose payloads go to a sink. */
async function withSink(
  flags: Record<string, string>,
  run: (rig: Rig, sink: SinkDouble, log: QuietLog) => Promise<void>,
  sink = new SinkDouble(),
  origin = 'http://127.0.0.1',
): Promise<void> {
  const port = await sink.start();
  const log = new QuietLog();
  try {
    const all = { 'log-url': `${origin}:${port}/events?x=1`, 'drain-timeout': '60s', ...flags };
    await withRig(all, (rig) => run(rig, sink, log), { log });
  } finally {
    await sink.stop();
  }
}

const typeOf = (event: SeenEvent) => String(event.headers['ce-type']).split('.').at(-1);
const pairsOf = (raw: readonly string[]) => raw.flatMap((name, i) => (i % 2 ? [] : [[name, raw[i + 1] as string]]));
const results = (rig: Rig) =>
  Object.fromEntries(
    rig.companion.metrics.payloadEvents
      .samples()
      .filter(({ value }) => value > 0)
      .map(({ labels, value }) => [labels.result, value]),
  );

suite('the payload logger', (test) => {
  test('a sink that refuses, hangs, breaks off or is gone fails no request, and each loss is counted and said', async () => {
    for (const answer of [400, 500, 'reset'] as const) {
      await withSink({}, async (rig, sink, log) => {
        sink.answer = () => answer;
        assert.is((await rig.predict(1)).status, 200);
        await rig.companion.drain();
        const expected = answer === 'reset' ? 'reset' : 'refused';
        assert.equal(results(rig), { [expected]: 2 });
        assert.is(sink.events.length, answer === 400 ? 2 : 6, 'a refusal of what was sent is final');
        assert.ok(log.lines.some(({ level, message }) => level === 'warn' && /was not logged/.test(message)));
      });
    }
    await withSink({}, async (rig, sink) => {
      await sink.stop();
      assert.is((await rig.predict(1)).status, 200);
      await rig.companion.drain();
      assert.equal(results(rig), { unreachable: 2 });
      await sink.start();
    });
  });

  test('where the sink is too slow events are dropped, requests go on, and nothing grows', () =>
    withSink({ 'log-queue': '4', 'log-workers': '2' }, async (rig, sink) => {
      sink.answer = () => 'hang';
      const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => rig.predict(i)));
      assert.ok(answers.every(({ status }) => status === 200));
      // The last reply is logged when it has left, which its caller may know first.
      while ((results(rig)['queue-full'] ?? 0) < 76) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(results(rig), { 'queue-full': 76 }, 'of 80 events four are held');
      const page = (await rig.admin('/metrics')).text;
      assert.match(page, /^paceline_payload_waiting_events 4$/m);
      assert.match(page, /^paceline_payload_events_total\{result="queue-full"\} 76$/m);
    }));

  test('payloads beyond the bytes that may be held are dropped, and the requests served', () =>
    withSink({ 'log-queue-bytes': '65536B' }, async (rig, sink) => {
      const long = 'x'.repeat(100_000);
      assert.is((await rig.predict(long)).status, 200);
      assert.is((await rig.predict('short')).status, 200);
      await sink.has(2);
      await rig.companion.drain();
      assert.equal(results(rig), { sent: 2, 'bytes-full': 2 });
      assert.match(String(sink.events[0]?.body), /short/);
    }));

  test("events are those of KServe's own agent, byte for byte", () =>
    withSink({ ...asKserve, 'log-workers': '1' }, async (rig, sink) => {
      rig.model.behave = () => 'ok';
      await rig.call('/v1/models/m:predict', '{"instances":[1]}', { 'ce-id': 'id-1', 'x-user-id': 'u<1>' });
      await sink.has(2);
      await rig.call('/v2/health/ready');
      await sink.has(4);
      const moving = new Set(['Ce-Time', 'Ce-Recordedtime', 'Ce-Id']);
      const kept = (pairs: string[][]) => pairs.filter(([name]) => !moving.has(name as string));
      for (const [i, expected] of fixture.events.entries()) {
        const seen = sink.events[i] as SeenEvent;
        const own = pairsOf(seen.raw).filter(([name]) => /^(?:Ce-|Content-Type)/.test(name as string));
        assert.equal(kept(own), kept(expected.headers), `event ${i}`);
        assert.equal(
          own.map(([name]) => name).filter((name) => name !== 'Ce-Recordedtime'),
          expected.headers.map(([name]) => name),
        );
        assert.match(String(seen.headers['ce-time']), /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/);
        assert.is(seen.url, '/events?x=1');
      }
      assert.is(sink.events[0]?.headers['ce-id'], 'id-1');
      assert.is(String(sink.events[0]?.body), fixture.events[0]?.body);
      assert.is(sink.events[2]?.body.length, 0);
    }));

  test('of a batch each caller’s own request and reply are logged, under one id', () =>
    withSink({}, async (rig, sink) => {
      const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
      const answers = await together(rig, () => ids.map((id) => rig.predict(id, { 'x-request-id': `id-${id}` })));
      assert.ok(
        rig.model.calls.some(({ items }) => items.length > 1),
        'there was a batch',
      );
      await rig.companion.drain();
      for (const [i, id] of ids.entries()) {
        const own = sink.events.filter(({ headers }) => headers['ce-id'] === `id-${id}`);
        assert.equal(own.map(typeOf).sort(), ['request', 'response'], id);
        const [request, response] = own.sort((one) => (typeOf(one) === 'request' ? -1 : 1));
        assert.is(String(request?.body), JSON.stringify({ instances: [id] }));
        assert.is(String(response?.body), answers[i]?.text);
      }
    }));

  test('only what the mode says, only replies with status 200, and no probes', async () => {
    for (const mode of ['request', 'response'] as const) {
      await withSink({ 'log-mode': mode }, async (rig, sink) => {
        await rig.predict(1);
        await rig.call('/', undefined, { 'user-agent': 'kube-probe/1.33' });
        await rig.companion.drain();
        assert.equal(sink.events.map(typeOf), [mode]);
      });
    }
    await withSink({}, async (rig, sink) => {
      rig.model.behave = () => 400;
      await rig.predict(1);
      await rig.call('/v1/models/m:predict', '{"instances":');
      await rig.companion.drain();
      assert.equal(sink.events.map(typeOf), ['request', 'request']);
    });
  });

  test('what passes through is logged too, over HTTP/1.1 and h2c, whole and as it was', () =>
    withSink({ mode: 'off', 'log-workers': '1' }, async (rig, sink) => {
      const large = JSON.stringify({ some: 'y'.repeat(300_000) });
      await rig.call('/anything', large);
      await sink.has(2);
      assert.equal(
        sink.events.map(({ body }) => String(body)),
        [large, large],
      );
      const { text, headers } = await callH2c(rig.port, '/v1/models/m:predict', {}, '{"instances":[5]}');
      await sink.has(4);
      assert.is(String(sink.events[2]?.body), '{"instances":[5]}');
      assert.is(String(sink.events[3]?.body), text);
      assert.is(sink.events[3]?.headers['ce-id'], headers['x-request-id']);
      await callH2c(rig.port, '/v2/models/m');
      await sink.has(6);
      assert.is(sink.events[4]?.body.length, 0);
    }));

  test('what waits is sent before a drain ends, within its time', () =>
    withSink({ 'log-workers': '1' }, async (rig, sink) => {
      await Promise.all(Array.from({ length: 20 }, (_, i) => rig.predict(i)));
      assert.ok(await rig.companion.drain());
      assert.equal(results(rig), { sent: 40 });
      assert.is(sink.events.length, 40);
    }));

  test('an https sink is checked by the certificates that are given, unless it is not to be checked', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'paceline-sink-'));
    try {
      const certificates = await renewed({ authorities: [], serving: undefined }, ['localhost'], Date.now());
      const { certificate: cert = '', key = '' } = certificates.serving ?? {};
      const file = join(folder, 'ca.crt');
      writeFileSync(file, bundleOf(certificates));
      const cases: [Record<string, string>, string, RegExp | undefined][] = [
        [{ 'log-ca-file': file }, 'sent', undefined],
        [{}, 'untrusted', undefined],
        [{ 'log-tls-skip-verify': 'true' }, 'sent', undefined],
        [{ 'log-ca-file': join(folder, 'none.crt') }, 'untrusted', /no certificates can be read/],
      ];
      for (const [flags, result, warned] of cases) {
        const server = createHttpsServer({ key, cert });
        await withSink(
          flags,
          async (rig, _sink, log) => {
            await rig.predict(1);
            await rig.companion.drain();
            assert.equal(results(rig), { [result]: 2 }, JSON.stringify(flags));
            if (warned) assert.ok(log.lines.some(({ message }) => warned.test(message)));
          },
          new SinkDouble(server as never),
          'https://localhost',
        );
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('a name and a password in the address go to the sink and are shown nowhere', async () => {
    const sink = new SinkDouble();
    await withSink(
      {},
      async (rig) => {
        await rig.predict(1);
        await sink.has(2);
        assert.is(sink.events[0]?.headers.authorization, `Basic ${Buffer.from('user:pass').toString('base64')}`);
        const shown = (await rig.admin('/config')).text;
        assert.not.match(shown, /user:|:pass/);
        assert.match(shown, /"logUrl": "http:\/\/\.\.\.@127/);
      },
      sink,
      'http://user:pass@127.0.0.1',
    );
  });
});

suite('the id of a request', (test) => {
  test('a caller’s own is kept, another is made, the model hears it and the reply bears it, errors too', () =>
    withRig({}, async (rig) => {
      const own = await rig.predict(1, { 'x-request-id': 'mine' });
      assert.is(own.headers['x-request-id'], 'mine');
      assert.is(rig.model.calls.at(-1)?.headers['x-request-id'], 'mine');
      const empty = await rig.predict(1, { 'x-request-id': '' });
      assert.match(String(empty.headers['x-request-id']), /^[0-9a-f]{8}-/);
      const made = await rig.predict(1);
      assert.match(String(made.headers['x-request-id']), /^[0-9a-f]{8}-[0-9a-f-]{27}$/);
      assert.is(rig.model.calls.at(-1)?.headers['x-request-id'], made.headers['x-request-id']);
      const passed = await rig.call('/else');
      assert.match(String(passed.headers['x-request-id']), /^[0-9a-f]{8}-/);
      const refused = await rig.call('/v1/models/m:predict', 'no');
      assert.is(refused.status, 400);
      assert.match(String(refused.headers['x-request-id']), /^[0-9a-f]{8}-/);
      const twice = await callH2c(rig.port, '/else', { 'x-request-id': 'h2' });
      assert.is(twice.headers['x-request-id'], 'h2');
    }));

  test('in a batch each caller gets its own back', () =>
    withRig({}, async (rig) => {
      const ids = ['a', 'b', 'c', 'd'];
      const answers = await together(rig, () => ids.map((id) => rig.predict(id, { 'x-request-id': id })));
      assert.equal(
        answers.map(({ headers }) => headers['x-request-id']),
        ids,
      );
    }));
});
