import { type ClientHttp2Session, connect, createServer, type OutgoingHttpHeaders } from 'node:http2';
import type { AddressInfo } from 'node:net';
import * as assert from 'uvu/assert';
import { plain, type Written } from '../contract/asked.ts';
import { grpcDriver } from '../contract/grpc-driver.ts';
import { type Rig, withRig } from '../support/companion.ts';
import { answerOf, framed, type StreamAnswer } from '../support/http2-edge.ts';
import { readMetricsPage } from '../support/metrics-page.ts';
import { suite } from '../support/suite.ts';

const page = 'upstream connect error: caller 3 said secret';

/** A port that speaks HTTP/2 and answers every call with this head and a page, as a proxy in front of a model does. */
async function withWebServer(
  head: OutgoingHttpHeaders,
  body: (edge: { rig: Rig; callers: ClientHttp2Session; release: () => void; calls: () => number }) => Promise<void>,
): Promise<void> {
  const held: (() => void)[] = [];
  let [isHolding, calls] = [true, 0];
  const server = createServer();
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    stream.resume();
    stream.on('end', () => {
      calls++;
      const say = () => {
        if (stream.destroyed) return;
        stream.respond(head);
        stream.end(page);
      };
      if (isHolding) held.push(say);
      else say();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const upstream = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const release = () => {
    isHolding = false;
    for (const say of held.splice(0)) say();
  };
  await withRig({ upstream, slo: '20s', patience: '0' }, async (rig) => {
    const callers = connect(`http://127.0.0.1:${rig.port}`);
    callers.on('error', () => {});
    try {
      await body({ rig, callers, release, calls: () => calls });
    } finally {
      callers.destroy();
    }
  });
  await new Promise((resolve) => server.close(resolve));
}

function call(callers: ClientHttp2Session, value: number): Promise<StreamAnswer> {
  const path = '/inference.GRPCInferenceService/ModelInfer';
  const stream = callers.request({
    ...{ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' },
  });
  const { body } = grpcDriver.write({ ...plain, id: `i${value}`, rows: [[value, -value]] }) as Written;
  stream.end(framed(body));
  return answerOf(stream);
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; !(await condition()); i++) {
    if (i === 5000) throw new Error(`in vain: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

suite('gRPC: what answers is no server of gRPC', (test) => {
  for (const [http, grpc] of [
    ['503', '14'],
    ['429', '14'],
    ['403', '7'],
    ['404', '12'],
  ]) {
    test(`status ${http} of HTTP to a batch: each caller gets status ${grpc} of gRPC, and no message`, () =>
      withWebServer(
        { ':status': http, 'content-type': 'text/plain', 'retry-after': '7' },
        async ({ rig, callers, release, calls }) => {
          const first = call(callers, 0);
          await until(() => calls() === 1);
          const others = Array.from({ length: 12 }, (_, i) => call(callers, i + 1));
          await until(() => rig.companion.scheduler.waiting >= 8);
          release();
          const answers = await Promise.all(others);
          assert.ok(calls() < 1 + others.length, `${calls()} calls`);
          const shared = answers.filter(({ headers }) => String(headers[':status']) === '200');
          assert.ok(shared.length > 1, 'some shared a call');
          for (const { headers, trailersOnly, body } of shared) {
            assert.is(headers['content-type'], 'application/grpc');
            assert.is(headers['grpc-status'], grpc);
            assert.match(String(headers['grpc-message']), new RegExp(`status ${http} of HTTP`));
            assert.is(headers['retry-after'], '7');
            assert.ok(trailersOnly);
            assert.is(body.length, 0);
          }
          // Who was alone at the model gets what it said.
          const alone = await first;
          assert.is(String(alone.headers[':status']), http);
          assert.is(alone.body.toString(), page);
        },
      ));
  }

  test('a page with status 200: UNIMPLEMENTED with the code that says so, and no absence of the model', () =>
    withWebServer({ ':status': '200', 'content-type': 'text/html' }, async ({ rig, callers, release }) => {
      release();
      // A circuit opens after five absences over 200 ms.
      const began = performance.now();
      for (let i = 0; i < 12 || performance.now() - began < 400; i++) {
        const { headers } = await call(callers, i);
        assert.is(headers['grpc-status'], '12');
        assert.match(String(headers['grpc-message']), /\(PL_UPSTREAM_PROTOCOL\)$/);
      }
      const metrics = readMetricsPage((await rig.admin('/metrics')).text, false);
      const openings = 'paceline_circuit_openings_total';
      assert.is(metrics.get(openings)?.samples.get(openings), 0);
    }));
});
