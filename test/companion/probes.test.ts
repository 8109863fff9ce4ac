import * as assert from 'uvu/assert';
import { type Rig, withRig } from '../support/companion.ts';
import { until } from '../support/edge.ts';
import { callH2c } from '../support/h2c-call.ts';
import { suite } from '../support/suite.ts';

type Headers = Record<string, string>;

const kubelet = { 'user-agent': 'kube-probe/1.33' };
const meshed = { 'k-kubelet-probe': 'queue' };
const activator = { 'user-agent': 'Knative-Activator-Probe' };
const autoscaler = { 'user-agent': 'Knative-Autoscaling-Probe' };
const queue = { 'k-network-probe': 'queue' };

/** The same request over HTTP/1.1 and over h2c: both must get the same. */
async function ask(rig: Rig, headers: Headers, path = '/healthz') {
  const one = await rig.call(path, undefined, headers);
  const two = await callH2c(rig.port, path, headers);
  assert.is(two.status, one.status, JSON.stringify(headers));
  assert.is(two.text, one.text, JSON.stringify(headers));
  assert.is(two.headers['k-network-hash'], one.headers['k-network-hash']);
  return one;
}

suite('companion: probes on the data port', (test) => {
  test('a health check that asks for something else is refused, and reaches no model', () =>
    withRig({ 'readiness-probe': '' }, async (rig) => {
      for (const who of [kubelet, meshed, activator, autoscaler]) {
        for (const what of ['activator', 'probe', 'Queue', 'nothing']) {
          const answer = await ask(rig, { ...who, 'k-network-probe': what });
          assert.is(answer.status, 400, `${JSON.stringify(who)} ${what}`);
          assert.is(answer.text, `unexpected probe header value: ${what}\n`);
        }
      }
      assert.is((await ask(rig, activator)).status, 400);
      const hashless = await ask(rig, { 'k-network-probe': 'probe' });
      assert.is(hashless.status, 400);
      assert.match(hashless.text, /non-empty "K-Network-Hash" header/);
      assert.is((await ask(rig, { 'k-network-probe': 'probe', 'k-network-hash': '' })).status, 400);
    }));

  test('kubelet, queue-proxy, activator and autoscaler hear of readiness on any path', () =>
    withRig({ 'readiness-probe': '' }, async (rig) => {
      for (const who of [kubelet, meshed, activator, autoscaler]) {
        for (const path of ['/', '/healthz', '/v1/models/m:predict', '/v2/health/ready?x=1']) {
          const answer = await ask(rig, { ...who, ...queue }, path);
          assert.is(answer.status, 200);
          assert.is(answer.text, 'queue');
        }
      }
      assert.equal(rig.model.calls, []);
      const signals = (await rig.admin('/signals')).json as { lanes: unknown[]; arrivals: number[] };
      assert.equal(signals.lanes, []);
    }));

  test('the ingress gets its hash back, whatever the model does', () =>
    withRig({ 'readiness-probe': '{"tcpSocket":{"port":9},"periodSeconds":10}' }, async (rig) => {
      const answer = await ask(rig, { 'k-network-probe': 'probe', 'k-network-hash': 'abc123' });
      assert.is(answer.status, 200);
      assert.is(answer.text, '');
      assert.is(answer.headers['k-network-hash'], 'abc123');
    }));

  test('what is no health check is forwarded, with its headers', () =>
    withRig({ 'readiness-probe': '' }, async (rig) => {
      assert.is((await ask(rig, queue, '/a')).text, 'echo /a', 'queue-proxy forwards this too');
      assert.is((await ask(rig, { 'user-agent': 'kube-probe' }, '/b')).text, 'echo /b');
      assert.is((await ask(rig, { 'user-agent': 'curl/8 kube-probe/1' }, '/c')).text, 'echo /c');
      assert.is((await ask(rig, { 'k-kubelet-probe': '' }, '/d')).text, 'echo /d');
      assert.is((await ask(rig, { 'k-network-probe': 'activator' }, '/e')).text, 'echo /e');
      assert.is((await ask(rig, kubelet, '/v2/health/ready')).text, 'echo /v2/health/ready', 'a probe of the model');
      const answer = await rig.predict(1, { 'user-agent': 'Mozilla', 'k-network-probe': 'x' });
      assert.equal(answer.json, { predictions: [{ echo: 1 }] });
    }));

  test('while it drains every probe fails and every request is served, and probes prolong nothing', async () => {
    await withRig({ 'readiness-probe': '', 'drain-quiet': '400ms' }, async (rig) => {
      assert.is((await rig.admin('/readyz')).status, 200);
      const drained = rig.companion.drain();
      const from = performance.now();
      for (const who of [kubelet, meshed, activator]) {
        for (const what of [queue, {}]) assert.is((await ask(rig, { ...who, ...what })).status, 503);
      }
      const hash = await ask(rig, { 'k-network-probe': 'probe', 'k-network-hash': 'h' });
      assert.is(hash.status, 503);
      assert.is(hash.text, 'shutting down\n');
      assert.is((await rig.admin('/readyz')).status, 503);
      assert.equal((await rig.predict(7)).json, { predictions: [{ echo: 7 }] });
      const served = performance.now();
      const probing = setInterval(() => void rig.call('/', undefined, { ...kubelet, ...queue }).catch(() => {}), 50);
      assert.is(await drained, true);
      clearInterval(probing);
      const took = performance.now() - served;
      assert.ok(took >= 380, `quiet for ${took} ms after the last request`);
      assert.ok(performance.now() - from < 10_000);
    });
  });

  test('inference goes over h2c as over HTTP/1.1, and shares batches with it', () =>
    withRig({ patience: '1', slo: '400ms' }, async (rig) => {
      for (let i = 0; i < 12; i++) await rig.predict('warm');
      const body = (i: number) => JSON.stringify({ instances: [i] });
      const json = { 'content-type': 'application/json' };
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          i % 2 === 0
            ? rig.call('/v1/models/m:predict', body(i), json)
            : callH2c(rig.port, '/v1/models/m:predict', json, body(i)),
        ),
      );
      for (const [i, { status, text }] of answers.entries()) {
        assert.is(status, 200);
        assert.equal(JSON.parse(text), { predictions: [{ echo: i }] });
      }
      await until(() => rig.model.calls.length > 12);
      const mixed = rig.model.calls.slice(12).some(({ items }) => new Set(items.map((i) => Number(i) % 2)).size === 2);
      assert.ok(mixed, 'some batch has both');
    }));
});
