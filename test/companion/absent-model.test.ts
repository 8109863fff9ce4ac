import { createServer } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import * as assert from 'uvu/assert';
import { type Answer, type Rig, withRig } from '../support/companion.ts';
import { until, Wire } from '../support/edge.ts';
import { readMetricsPage } from '../support/metrics-page.ts';
import { suite } from '../support/suite.ts';

/** Calls until one is refused at once, or ten seconds are over. Returns the codes of those before. */
async function untilOpen(call: () => Promise<Answer>): Promise<unknown[]> {
  const codes: unknown[] = [];
  for (const end = performance.now() + 10_000; performance.now() < end; ) {
    const answer = await call();
    if (answer.json.code === 'PL_CIRCUIT_OPEN') {
      assert.is(answer.status, 503);
      assert.is(answer.headers['retry-after'], '1');
      return codes;
    }
    codes.push(answer.json.code ?? answer.status);
  }
  throw new Error(`the circuit did not open after ${codes.length} calls`);
}

/** Calls until the model answers. */
async function untilClosed(call: () => Promise<Answer>): Promise<void> {
  for (const end = performance.now() + 15_000; performance.now() < end; ) {
    if ((await call()).status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('the circuit did not close');
}

async function metric(rig: Rig, name: string, labels = ''): Promise<number> {
  return (
    readMetricsPage((await rig.admin('/metrics')).text, false)
      .get(name)
      ?.samples.get(name + labels) ?? 0
  );
}

async function circuitOf(rig: Rig): Promise<{ state: string; triesInMs: number }> {
  return (await rig.admin('/signals')).json.circuit as { state: string; triesInMs: number };
}

/** The status of gRPC of one call, and what is said with it. */
async function grpcCall(port: number): Promise<{ status: unknown; message: unknown }> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/inference.GRPCInferenceService/ServerLive',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => {});
  stream.end(Buffer.alloc(5));
  const headers = await new Promise<Record<string, unknown>>((resolve) => stream.on('response', resolve));
  stream.resume();
  session.close();
  return { status: headers['grpc-status'], message: headers['grpc-message'] };
}

suite('companion: a model that is not there', (test) => {
  test('what a model answers never opens the circuit', () =>
    withRig({ slo: '2s' }, async (rig) => {
      for (const status of [400, 500, 503, 429, 404]) {
        rig.model.behave = () => status;
        for (let i = 0; i < 12; i++) {
          assert.is((await rig.predict(i)).status, status);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
      assert.is((await circuitOf(rig)).state, 'closed');
      assert.is(await metric(rig, 'paceline_circuit_openings_total'), 0);
    }));

  test('callers with little time do not open it for others', () =>
    withRig({ slo: '2s' }, async (rig) => {
      rig.model.timeMs = () => 100;
      const tensor = { name: 'x', shape: [1, 1], datatype: 'INT64', data: [1] };
      const hurried = JSON.stringify({ inputs: [tensor], parameters: { timeout: 40_000 } });
      for (let i = 0; i < 8; i++) assert.is((await rig.call('/v2/models/m/infer', hurried)).status, 504);
      assert.equal((await rig.predict('patient')).json, { predictions: [{ echo: 'patient' }] });
      assert.is((await circuitOf(rig)).state, 'closed');
    }));

  test('a model that is gone: batches, what passes, gRPC and upgrades are refused at once, and served again', () =>
    withRig({}, async (rig) => {
      assert.is((await rig.predict('warm')).status, 200);
      await rig.model.stop();
      const codes = await untilOpen(() => rig.predict(1));
      assert.ok(codes.length >= 5, codes.join(' '));
      assert.ok(codes.every((code) => code === 'PL_UPSTREAM_UNREACHABLE' || code === 'PL_UPSTREAM_RESET'));
      // Until the next try everything hears the same.
      const refused = async (make: () => Promise<string>, wanted: RegExp) => {
        let said = '';
        for (const end = performance.now() + 10_000; performance.now() < end && !wanted.test(said); )
          said = await make();
        assert.match(said, wanted);
      };
      await refused(async () => (await rig.call('/v2')).text, /PL_CIRCUIT_OPEN/);
      await refused(async () => String((await grpcCall(rig.port)).message), /PL_CIRCUIT_OPEN/);
      const upgrade = 'GET /ws HTTP/1.1\r\nhost: m\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n';
      await refused(() => new Wire(rig.port, upgrade).closes(), /^HTTP\/1\.1 503 .*PL_CIRCUIT_OPEN/s);
      assert.ok((await metric(rig, 'paceline_circuit_openings_total')) >= 1);
      assert.ok((await metric(rig, 'paceline_requests_total', '{outcome="refused",reason="PL_CIRCUIT_OPEN"}')) >= 1);
      const { state } = await circuitOf(rig);
      assert.ok(state === 'open' || state === 'half-open', state);
      await rig.model.start(rig.modelPort);
      await untilClosed(() => rig.predict(2));
      assert.is((await circuitOf(rig)).state, 'closed');
      assert.is(await metric(rig, 'paceline_circuit_state'), 0);
      assert.is((await rig.call('/v2')).status, 200);
    }));

  test('a model that accepts and never answers: few wait for their timeout, the others hear at once', () =>
    withRig({ slo: '50ms', 'late-timeout': '300ms' }, async (rig) => {
      for (let i = 0; i < 5; i++) await rig.predict('warm');
      rig.model.behave = () => 'hang';
      await untilOpen(() => rig.predict(1));
      const waits: number[] = [];
      for (let i = 0; i < 100; i++) {
        const from = performance.now();
        await rig.predict(i);
        waits.push(performance.now() - from);
      }
      const waited = waits.filter((each) => each > 250).length;
      assert.ok(waited <= 20, `${waited} of 100 waited`);
      const calls = rig.model.calls.length;
      rig.model.behave = () => 'ok';
      await untilClosed(() => rig.predict('back'));
      assert.ok(rig.model.calls.length > calls);
    }));

  test('a try is one request, and others that were to share its call are refused', () =>
    withRig({ slo: '50ms', 'late-timeout': '400ms' }, async (rig) => {
      for (let i = 0; i < 5; i++) await rig.predict('warm');
      rig.model.behave = () => 'hang';
      await untilOpen(() => rig.predict(1));
      rig.model.calls.length = 0;
      for (const end = performance.now() + 10_000; performance.now() < end && rig.model.calls.length < 3; )
        await Promise.all(Array.from({ length: 16 }, (_, i) => rig.predict(i)));
      assert.ok(rig.model.calls.length >= 3, 'it was tried');
      assert.ok(rig.model.calls.every((call) => call.items.length === 1));
    }));

  test('a model that starts later than the companion is found as soon as it is ready', () =>
    withRig({}, async (rig) => {
      await rig.model.stop();
      await untilOpen(() => rig.predict(1));
      for (let i = 0; i < 50; i++) await rig.predict(1);
      assert.ok((await circuitOf(rig)).triesInMs <= 100, 'no pause has grown');
      assert.is((await rig.admin('/readyz')).status, 503);
      await rig.model.start(rig.modelPort);
      // As queue-proxy does: requests come once the companion is ready.
      await new Promise<void>((resolve, reject) => {
        const ask = () =>
          rig.admin('/readyz').then(({ status }) => (status === 200 ? resolve() : setTimeout(ask, 5)), reject);
        ask();
      });
      assert.is((await rig.predict('first')).status, 200);
    }));

  test('readiness follows the model, not the circuit', () =>
    withRig({}, async (rig) => {
      await rig.predict('warm');
      await rig.model.stop();
      await untilOpen(() => rig.predict(1));
      assert.is((await rig.admin('/readyz')).status, 503);
      await rig.model.start(rig.modelPort);
      assert.is((await rig.admin('/readyz')).status, 200, 'whatever the circuit says');
      assert.is((await rig.predict('next')).status, 200, 'and the next request tries');
    }));

  test('kubelet’s own checks reach the model while the circuit is open, and close it', async () => {
    await withRig({}, async (rig) => {
      await rig.predict('warm');
      await rig.model.stop();
      await untilOpen(() => rig.predict(1));
      const kubelet = { 'user-agent': 'kube-probe/1.33' };
      assert.is((await rig.call('/healthz', undefined, kubelet)).json.code, 'PL_UPSTREAM_UNREACHABLE');
      await rig.model.start(rig.modelPort);
      assert.is((await rig.call('/healthz', undefined, kubelet)).status, 200);
      assert.is((await rig.predict(2)).status, 200);
    });
  });

  test('a kept connection that was dead costs an idempotent request nothing', async () => {
    let answered = 0;
    const model = createServer((request, response) => {
      request.resume();
      answered++;
      response.end(request.method);
    });
    await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
    const { port } = model.address() as { port: number };
    await withRig({ upstream: `http://127.0.0.1:${port}` }, async (rig) => {
      for (let i = 0; i < 60; i++) {
        const method = ['GET', 'PUT', 'DELETE'][i % 3] as string;
        const before = answered;
        const answer = rig.call('/thing', method === 'GET' ? undefined : 'body', {}, method);
        if (i % 4 === 3) setImmediate(() => model.closeIdleConnections());
        assert.is((await answer).text, method, `${i}`);
        assert.is(answered, before + 1);
      }
    });
    model.closeAllConnections();
    await new Promise((resolve) => model.close(resolve));
    await until(() => answered >= 60);
  });
});
