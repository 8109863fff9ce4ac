import type { ServerResponse } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import * as assert from 'uvu/assert';
import { Guard } from '../../src/companion/guard.ts';
import { Circuit } from '../../src/companion/upstream/circuit.ts';
import type { Log } from '../../src/telemetry/log.ts';
import { plain, type Written } from '../contract/asked.ts';
import { grpcDriver } from '../contract/grpc-driver.ts';
import { callInfer, withGrpcEdges } from '../contract/grpc-edges.ts';
import { type Rig, together, withRig } from '../support/companion.ts';
import { until, Wire, withEdge } from '../support/edge.ts';
import { callH2c } from '../support/h2c-call.ts';
import { readMetricsPage } from '../support/metrics-page.ts';
import { QuietLog } from '../support/quiet-log.ts';
import { suite } from '../support/suite.ts';

const upgrade = 'connection: upgrade\r\nupgrade: websocket\r\n';
const grpc = { 'content-type': 'application/grpc', te: 'trailers' };

async function metric(rig: Rig, name: string, labels = ''): Promise<number> {
  const page = readMetricsPage((await rig.admin('/metrics')).text, false);
  return page.get(name)?.samples.get(name + labels) ?? 0;
}

/** Lets a counter fail as often as it is told to, where it counts this. */
function failAt(rig: Rig, name: 'requests' | 'passedWhy' | 'upstreamCalls', label: string, times = 1): void {
  const counter = rig.companion.metrics[name];
  const add = counter.add.bind(counter);
  counter.add = (amount, ...labels) => {
    if (amount > 0 && labels.includes(label) && times-- > 0) throw new Error(`no counting of ${label}`);
    add(amount, ...labels);
  };
}

/** Somebody's request is at the model while something happens, and is answered then; afterwards nothing is left of anybody. */
async function beside(rig: Rig, what: () => Promise<void>): Promise<void> {
  await rig.predict('warm');
  const release = rig.model.hold();
  const other = rig.predict('other');
  await until(() => rig.model.heldItems === 1, 'a request at the model');
  await what();
  release();
  assert.equal((await other).json, { predictions: [{ echo: 'other' }] });
  assert.equal((await rig.predict('after')).json, { predictions: [{ echo: 'after' }] });
  assert.ok((await metric(rig, 'paceline_internal_errors_total')) > 0);
  for (const gauge of ['waiting_requests', 'waiting_bytes', 'in_flight_batches'])
    assert.is(await metric(rig, `paceline_${gauge}`), 0, gauge);
  assert.is(await rig.companion.drain(), true, 'nothing is open');
}

suite('guard', (test) => {
  test('what is thrown is counted and logged, and goes no further: nor do a failing end and a failing log', () => {
    const ended: string[] = [];
    let counted = 0;
    const log = new QuietLog();
    const lines: object[] = [];
    log.error = (fields) => lines.push(fields);
    const guard = new Guard(log, () => counted++);
    const fails = () => {
      throw new Error('ours');
    };
    guard.run((code) => ended.push(code), fails);
    guard.listener((code) => ended.push(code), fails)();
    assert.equal(ended, ['PL_INTERNAL', 'PL_INTERNAL']);
    assert.is(counted, 2);
    assert.match(JSON.stringify(lines[0]), /"code":"PL_INTERNAL".*Error: ours/);
    guard.run(fails, fails);
    assert.is(counted, 4, 'both are failures');
    const mute: Log = { info: fails, warn: fails, error: fails };
    new Guard(mute, () => {}).run((code) => ended.push(code), fails);
    assert.is(ended.length, 3);
  });

  test('what is not thrown is done as it is', () => {
    const guard = new Guard(new QuietLog(), () => assert.unreachable());
    let sum = 0;
    guard.run(assert.unreachable, () => sum++);
    guard.listener(assert.unreachable, (one: number, two: number) => {
      sum += one + two;
    })(2, 3);
    assert.is(sum, 6);
  });
});

suite('guard: where a request comes in', (test) => {
  const entries: Record<string, (rig: Rig) => Promise<void>> = {
    'HTTP/1.1': async ({ port }) => {
      const wire = new Wire(port, 'GET http://elsewhere/ HTTP/1.1\r\nhost: m\r\n\r\n');
      await wire.sees('"code":"PL_INTERNAL"}');
      assert.match(wire.seen, /^HTTP\/1\.1 500 /);
      wire.socket.destroy();
    },
    'HTTP/2': async ({ port }) => {
      const { status, text } = await callH2c(port, '*', { ':method': 'OPTIONS' });
      assert.is(status, 500);
      assert.match(text, /PL_INTERNAL/);
    },
    gRPC: async ({ port }) => {
      const { headers } = await callH2c(port, '*', { ':method': 'OPTIONS', ...grpc });
      assert.is(headers['grpc-status'], '13');
      assert.match(String(headers['grpc-message']), /\(PL_INTERNAL\)$/);
    },
    'an upgrade': async ({ port }) => {
      const wire = new Wire(port, `GET http://elsewhere/ HTTP/1.1\r\nhost: m\r\n${upgrade}\r\n`);
      assert.match(await wire.closes(), /^HTTP\/1\.1 500 .*"code":"PL_INTERNAL"\}$/s);
    },
  };
  for (const [name, ask] of Object.entries(entries)) {
    test(`${name}: its caller is told PL_INTERNAL, and nobody else`, () =>
      withRig({ slo: '5s', 'late-timeout': '60s' }, async (rig) => {
        failAt(rig, 'requests', 'PL_HTTP_TARGET');
        await beside(rig, () => ask(rig));
      }));
  }

  test('a page of the admin port that fails: 500, and the next one is there', () =>
    withRig({}, async (rig) => {
      const { metrics } = rig.companion;
      const { render } = metrics;
      metrics.render = () => {
        throw new Error('no page');
      };
      const failed = await rig.admin('/metrics');
      assert.is(failed.status, 500);
      assert.is(failed.json.code, 'PL_INTERNAL');
      metrics.render = render;
      assert.is(await metric(rig, 'paceline_internal_errors_total'), 1);
    }));
});

suite('guard: later on', (test) => {
  test('when a body has come: that request ends, and what it held is free', () =>
    withRig({ slo: '5s', 'late-timeout': '60s', 'max-batch-size': '2' }, async (rig) => {
      failAt(rig, 'passedWhy', 'many-items');
      await beside(rig, async () => {
        const answer = await rig.call('/v1/models/m:predict', '{"instances":[1,2,3]}');
        assert.is(answer.status, 500);
        assert.is(answer.json.code, 'PL_INTERNAL');
        const reason = '{outcome="failed",reason="PL_INTERNAL"}';
        assert.is(await metric(rig, 'paceline_requests_total', reason), 1);
      });
    }));

  test('when a batch has its reply: those of the batch end, the model’s slot is free, others are served', () =>
    withRig({ slo: '5s', 'late-timeout': '60s' }, async (rig) => {
      const answers = await together(rig, () => {
        failAt(rig, 'upstreamCalls', '2xx');
        return Array.from({ length: 12 }, (_, i) => rig.predict(i));
      });
      for (const [i, { status, json }] of answers.entries()) {
        if (status === 500) assert.is(json.code, 'PL_INTERNAL');
        else assert.equal(json, { predictions: [{ echo: i }] });
      }
      assert.is(await metric(rig, 'paceline_internal_errors_total'), 1);
      assert.equal((await rig.predict('after')).json, { predictions: [{ echo: 'after' }] });
      assert.is(await metric(rig, 'paceline_in_flight_batches'), 0);
      assert.is(await rig.companion.drain(), true, 'nothing is open');
    }));

  test('when a call of gRPC has its reply: that one ends with status 13', () =>
    withGrpcEdges(grpcDriver, {}, async ({ rig, client }) => {
      const message = (grpcDriver.write({ ...plain, id: 'a', rows: [[1, 2]] }) as Written).body;
      failAt(rig, 'upstreamCalls', 'grpc-0');
      const failed = await callInfer(client, message).answer;
      assert.is(failed.status, 13);
      assert.match(String(failed.message), /\(PL_INTERNAL\)$/);
      assert.is((await callInfer(client, message).answer).status, 0);
      assert.is(await metric(rig, 'paceline_in_flight_batches'), 0);
    }));

  test('when the circuit opens, by a log that fails: requests go on being refused, and the process lives', () => {
    const log = new QuietLog();
    log.warn = () => {
      throw new Error('no line');
    };
    return withRig(
      { 'late-timeout': '60s' },
      async (rig) => {
        await rig.predict('warm');
        await rig.model.stop();
        let last = await rig.predict('gone');
        for (const end = performance.now() + 5000; last.json.code !== 'PL_CIRCUIT_OPEN'; ) {
          assert.ok(performance.now() < end, `${last.json.code}`);
          last = await rig.predict('gone');
        }
        await rig.model.start(rig.modelPort);
        await until(() => rig.model.calls.length > 0);
        assert.is(await metric(rig, 'paceline_in_flight_batches'), 0);
      },
      { log },
    );
  });
});

suite('guard: what passes', (test) => {
  const failing = () =>
    new Circuit((state) => {
      if (state === 'closed') throw new Error('no word of it');
    });
  /** A circuit that fails as soon as the model answers. */
  function failsAtAnswer(): Circuit {
    const circuit = failing();
    for (let i = 0; i < 5; i++) circuit.absent(i * 100, 'goes', 'unreachable');
    assert.is(circuit.state, 'open');
    return circuit;
  }

  test('a reply that begins, HTTP/1.1 and HTTP/2: 500, and room again', async () => {
    for (const ask of [
      async (port: number) => {
        const wire = new Wire(port, 'GET /x HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n');
        assert.match(await wire.closes(), /^HTTP\/1\.1 500 .*"code":"PL_INTERNAL"\}$/s);
      },
      async (port: number) => {
        const { status, text } = await callH2c(port, '/x');
        assert.is(status, 500);
        assert.match(text, /PL_INTERNAL/);
      },
    ]) {
      await withEdge(
        (_request, response) => response.end('fine'),
        async ({ port, pass, results, caught }) => {
          await ask(port);
          await until(() => pass.active === 0);
          assert.equal(results, ['PL_INTERNAL']);
          assert.is(caught.length, 1);
          const next = new Wire(port, 'GET /x HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n');
          assert.match(await next.closes(), /^HTTP\/1\.1 200 .*fine/s);
        },
        { circuit: failsAtAnswer(), mayFail: true },
      );
    }
  });

  test('a tunnel that the model agrees to: it ends, and others go on', () =>
    withEdge(
      (_request, response) => response.end('fine'),
      async ({ port, model, pass, results, caught }) => {
        model.on('upgrade', (_request, socket) => {
          socket.on('error', () => {});
          socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
        });
        const wire = new Wire(port, `GET /ws HTTP/1.1\r\nhost: m\r\n${upgrade}\r\n`);
        await wire.closes();
        await until(() => pass.active === 0);
        assert.is(caught.length, 1);
        assert.is(results.length, 1);
        const next = new Wire(port, 'GET /x HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n');
        assert.match(await next.closes(), /^HTTP\/1\.1 200 .*fine/s);
      },
      { circuit: failsAtAnswer(), mayFail: true },
    ));

  test('an answer that has begun is broken off, so that nobody takes it for whole', () => {
    const spoil = (writable: { write: unknown }) => {
      writable.write = () => {
        throw new Error('no writing');
      };
    };
    return withEdge(
      (request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.flushHeaders();
        if (request.headers['x-go'] !== undefined) response.end('whole');
        else setImmediate(() => response.write('part'));
      },
      async ({ port, pass, caught }) => {
        const spoilt = new Wire(port, 'GET /x HTTP/1.1\r\nhost: m\r\nx-spoil: 1\r\n\r\n');
        await spoilt.closes();
        assert.not.match(spoilt.seen, /\r\n0\r\n\r\n$/);
        const session = connectHttp2(`http://127.0.0.1:${port}`);
        const stream = session.request({ ':path': '/x', 'x-spoil': '1' });
        stream.on('error', () => {});
        await new Promise((resolve) => stream.once('close', resolve));
        assert.is.not(stream.rstCode, 0);
        session.destroy();
        await until(() => pass.active === 0);
        assert.is(caught.length, 2);
        const next = new Wire(port, 'GET /x HTTP/1.1\r\nhost: m\r\nx-go: 1\r\nconnection: close\r\n\r\n');
        assert.match(await next.closes(), /whole/);
      },
      {
        mayFail: true,
        before: (request, response: ServerResponse) => {
          if (request.headers['x-spoil'] !== undefined) spoil(response);
        },
      },
    );
  });
});
