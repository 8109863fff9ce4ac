import { randomBytes } from 'node:crypto';
import { type ClientHttp2Stream, connect, constants, type ServerHttp2Stream } from 'node:http2';
import * as assert from 'uvu/assert';
import { http2Fields } from '../../src/companion/http/headers.ts';
import { withRig } from '../support/companion.ts';
import { until, withEdge } from '../support/edge.ts';
import { answerOf, framed, withHttp2Edge } from '../support/http2-edge.ts';
import { suite } from '../support/suite.ts';

const begin = { ':status': 200, 'content-type': 'application/grpc' };

/** Answers as a gRPC server does: with each piece that comes, then the status. */
function serve(stream: ServerHttp2Stream): void {
  stream.respond(begin, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.on('data', (chunk: Buffer) => stream.write(chunk));
  stream.on('end', () => stream.end());
}

function collect(stream: ServerHttp2Stream, done: (all: Buffer) => void): void {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => done(Buffer.concat(chunks)));
}

/** The next piece that comes on a stream. */
function piece(stream: ClientHttp2Stream): Promise<string> {
  return new Promise((resolve) => stream.once('data', (chunk: Buffer) => resolve(chunk.toString())));
}

suite('gRPC: what cannot be served', (test) => {
  test('a model that is down: status 14 at once, then again when it is back', () =>
    withHttp2Edge(serve, async (edge) => {
      await edge.stopModel();
      const refused = edge.call();
      refused.write(framed('half'));
      const { headers, trailersOnly, body } = await answerOf(refused);
      assert.is(headers[':status'], 200);
      assert.is(headers['grpc-status'], '14');
      assert.match(String(headers['grpc-message']), /does not accept connections \(PL_UPSTREAM_UNREACHABLE\)/);
      assert.ok(trailersOnly, 'these headers are trailers too');
      assert.is(body.length, 0);
      await edge.startModel();
      const call = edge.call();
      call.end(framed('x'));
      assert.is((await answerOf(call)).trailers['grpc-status'], '0');
      await until(() => edge.pass.active === 0);
      assert.equal(edge.results, ['PL_UPSTREAM_UNREACHABLE', 'grpc-0']);
    }));

  test('a model that speaks HTTP/1.1 only: status 12, which nobody tries again', () =>
    withEdge(
      (_request, response) => response.end(),
      async ({ port, results, pass }) => {
        const session = connect(`http://127.0.0.1:${port}`);
        const call = session.request({
          ':method': 'POST',
          ':path': '/m.M/I',
          'content-type': 'application/grpc+proto',
        });
        call.end(framed('x'));
        const { headers } = await answerOf(call);
        session.destroy();
        assert.is(headers['grpc-status'], '12');
        assert.match(String(headers['grpc-message']), /does not speak gRPC .*PL_UPSTREAM_PROTOCOL/);
        await until(() => pass.active === 0);
        assert.equal(results, ['PL_UPSTREAM_PROTOCOL']);
      },
    ));

  test('more calls than may pass: status 14, and room again when one has ended', () =>
    withHttp2Edge(
      serve,
      async (edge) => {
        const held = [edge.call(), edge.call()];
        for (const each of held) each.write('a');
        await Promise.all(held.map(piece));
        const { headers } = await answerOf(edge.call());
        assert.is(headers['grpc-status'], '14');
        assert.match(String(headers['grpc-message']), /PL_PASS_FULL/);
        for (const each of held) each.end();
        await Promise.all(held.map(answerOf));
        await until(() => edge.pass.active === 0);
        const call = edge.call();
        call.end('x');
        assert.is((await answerOf(call)).trailers['grpc-status'], '0');
        assert.equal(edge.results, ['PL_PASS_FULL', 'grpc-0', 'grpc-0', 'grpc-0']);
      },
      4,
    ));

  test('a model that dies in the middle of an answer: status 14 behind what had come', () =>
    withHttp2Edge(serve, async (edge) => {
      const call = edge.call();
      call.write('first');
      const answer = answerOf(call);
      await piece(call);
      await edge.stopModel();
      const { body, trailers } = await answer;
      assert.is(body.toString(), 'first');
      assert.is(trailers['grpc-status'], '14');
      assert.match(String(trailers['grpc-message']), /PL_UPSTREAM_RESET/);
      assert.equal(edge.results, ['PL_UPSTREAM_RESET']);
      await edge.startModel();
    }));

  test('one that dies before it has answered: status 14', () =>
    withHttp2Edge(
      (stream) => stream.session?.destroy(),
      async (edge) => {
        const call = edge.call();
        call.end(framed('x'));
        const { headers } = await answerOf(call);
        assert.is(headers['grpc-status'], '14');
        assert.match(String(headers['grpc-message']), /PL_UPSTREAM_RESET/);
      },
    ));

  test('a reset of the model reaches the caller as the same reset, before an answer and in it', () =>
    withHttp2Edge(
      (stream, headers) => {
        if (headers['x-late'] !== undefined) {
          stream.respond(begin);
          stream.write('some');
        }
        stream.on('data', () => stream.close(Number(headers['x-code'])));
      },
      async (edge) => {
        for (const code of [constants.NGHTTP2_REFUSED_STREAM, constants.NGHTTP2_ENHANCE_YOUR_CALM]) {
          for (const late of [{}, { 'x-late': '1' }]) {
            const call = edge.call({ 'x-code': String(code), ...late });
            call.write('x');
            assert.is((await answerOf(call)).rstCode, code);
          }
        }
        await until(() => edge.pass.active === 0);
        assert.equal(edge.results, Array(4).fill('reset'));
      },
    ));
});

suite('gRPC: what passes', (test) => {
  test('headers and trailers travel byte for byte, both ways', () => {
    let seen: string[] = [];
    const sentTrailers: string[] = [];
    return withHttp2Edge(
      (stream, _headers, raw) => {
        seen = raw;
        stream.on('trailers', (_trailers, _flags, more?: string[]) => sentTrailers.push(...(more ?? [])));
        stream.respond(
          { ...begin, 'x-bin': ['AAE=', 'AgM='], 'x-latin': 'caf\u00e9', server: 'm', date: 'today' },
          { waitForTrailers: true },
        );
        stream.on('wantTrailers', () =>
          stream.sendTrailers({ 'grpc-status': '5', 'grpc-message': '%E2%82%AC', 'x-bin': ['AA==', 'AQ=='] }),
        );
        collect(stream, () => stream.end(framed('reply')));
      },
      async (edge) => {
        const call = edge.caller.request(
          {
            ':method': 'POST',
            ':path': '/a.B/C?x=%2F',
            ':authority': 'model.example:443',
            'content-type': 'application/grpc+proto',
            te: 'trailers',
            'grpc-timeout': '99999999u',
            'grpc-encoding': 'gzip',
            'x-bin': ['AAE=', 'AgM='],
            authorization: 'Bearer t',
            'k-proxy-request': 'activator',
          },
          { waitForTrailers: true },
        );
        call.on('wantTrailers', () => call.sendTrailers({ 'x-sum': 'abc' }));
        call.end(framed('ask'));
        const { rawHeaders, rawTrailers, body } = await answerOf(call);
        assert.equal(seen, [
          ...[':method', 'POST', ':path', '/a.B/C?x=%2F', ':authority', 'model.example:443', ':scheme', 'http'],
          ...['content-type', 'application/grpc+proto', 'te', 'trailers', 'grpc-timeout', '99999999u'],
          ...['grpc-encoding', 'gzip', 'x-bin', 'AAE=', 'x-bin', 'AgM=', 'authorization', 'Bearer t'],
          ...['k-proxy-request', 'activator'],
        ]);
        assert.equal(sentTrailers, ['x-sum', 'abc']);
        assert.equal(rawHeaders, [
          ...[':status', '200', 'content-type', 'application/grpc', 'x-bin', 'AAE=', 'x-bin', 'AgM='],
          ...['x-latin', 'caf\u00e9', 'server', 'm', 'date', 'today'],
        ]);
        assert.equal(rawTrailers, ['grpc-status', '5', 'grpc-message', '%E2%82%AC', 'x-bin', 'AA==', 'x-bin', 'AQ==']);
        assert.equal(body, framed('reply'));
        await until(() => edge.pass.active === 0);
        assert.equal(edge.results, ['grpc-5']);
      },
    );
  });

  test('a header that HTTP/2 has once is joined where it came twice, as Node would refuse it', () => {
    const fields = http2Fields([
      'user-agent',
      'a',
      'user-agent',
      'b',
      'te',
      'trailers',
      'te',
      'trailers',
      'x',
      '1',
      'x',
      '2',
    ]);
    assert.equal({ ...fields }, { 'user-agent': 'a, b', te: 'trailers', x: ['1', '2'] });
    assert.equal(
      { ...http2Fields(['te', 'gzip', 'connection', 'x', '__proto__', 'y']) },
      JSON.parse('{"__proto__":"y"}'),
    );
  });

  test('a status without a message: headers that end the stream stay one frame', () =>
    withHttp2Edge(
      (stream) => stream.respond({ ...begin, 'grpc-status': '16' }, { endStream: true }),
      async (edge) => {
        const call = edge.call();
        call.end(framed('x'));
        const { headers, trailersOnly } = await answerOf(call);
        assert.is(headers['grpc-status'], '16');
        assert.ok(trailersOnly);
        assert.equal(edge.results, ['grpc-16']);
      },
    ));

  test('both sides stream, each message at once, and each may end first', () =>
    withHttp2Edge(serve, async (edge) => {
      const call = edge.call();
      const answer = answerOf(call);
      for (const each of ['a', 'b', 'c']) {
        const next = piece(call);
        call.write(each);
        assert.is(await next, each);
      }
      assert.is(edge.pass.active, 1);
      call.end();
      const { trailers, body } = await answer;
      assert.is(trailers['grpc-status'], '0');
      assert.is(body.toString(), 'abc');
    }));

  test('a model that has said everything ends the call though the caller could still send', () =>
    withHttp2Edge(
      (stream) => {
        stream.respond(begin, { waitForTrailers: true });
        stream.on('wantTrailers', () => {
          stream.sendTrailers({ 'grpc-status': '3' });
          setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
        });
        stream.end('enough');
      },
      async (edge) => {
        const call = edge.call();
        call.write('and so on');
        const { trailers, body } = await answerOf(call);
        assert.is(body.toString(), 'enough');
        assert.is(trailers['grpc-status'], '3');
        await until(() => edge.pass.active === 0);
        assert.equal(edge.results, ['grpc-3']);
      },
    ));

  test('many calls share one connection to the model', () =>
    withHttp2Edge(
      serve,
      async (edge) => {
        const answers = await Promise.all(
          Array.from({ length: 40 }, (_, i) => {
            const call = edge.call();
            call.end(framed(`call ${i}`));
            return answerOf(call);
          }),
        );
        for (const [i, { body, trailers }] of answers.entries()) {
          assert.equal(body, framed(`call ${i}`));
          assert.is(trailers['grpc-status'], '0');
        }
        assert.is(edge.sessions.length, 1);
      },
      128,
    ));

  test('messages of 8 MiB, several at once, both ways', () =>
    withHttp2Edge(serve, async (edge) => {
      const message = framed(randomBytes(8 * 1024 * 1024));
      const calls = Array.from({ length: 3 }, () => edge.call());
      const answers = calls.map(answerOf);
      for (const call of calls) call.end(message);
      for (const { body, trailers } of await Promise.all(answers)) {
        assert.ok(body.equals(message));
        assert.is(trailers['grpc-status'], '0');
      }
    }));

  test('a caller who does not read stops the model, and nobody else', () => {
    let written = 0;
    let stopped = false;
    return withHttp2Edge(
      (stream, headers) => {
        if (headers['x-endless'] === undefined) return serve(stream);
        stream.respond(begin);
        const more = () => {
          while (!stream.destroyed && stream.write(Buffer.alloc(16_384))) written += 16_384;
        };
        stream.on('drain', more);
        more();
      },
      async (edge) => {
        const endless = edge.call({ 'x-endless': '1' });
        endless.on('error', () => {});
        endless.on('response', () => {});
        let last = -1;
        while (!stopped) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          stopped = written === last;
          last = written;
        }
        assert.ok(written < 2_000_000, `${written} bytes are held`);
        const call = edge.call();
        call.end(framed('x'));
        assert.is((await answerOf(call)).trailers['grpc-status'], '0');
        endless.close(constants.NGHTTP2_CANCEL);
        await until(() => edge.pass.active === 0);
      },
    );
  });

  test('a model that does not read stops the caller', () =>
    withHttp2Edge(
      () => {},
      async (edge) => {
        const call = edge.call();
        call.on('error', () => {});
        let sent = 0;
        while (sent < 100 && (call.write(Buffer.alloc(65_536)) || (await drained(call)))) sent++;
        assert.ok(sent < 20, `${sent} pieces of 64 KB are held`);
        call.close(constants.NGHTTP2_CANCEL);
        await until(() => edge.pass.active === 0);
      },
    ));
});

suite('gRPC: ends', (test) => {
  test('a caller who gives up, or whose connection breaks, ends the call at the model', () => {
    const ends: [number | undefined, boolean][] = [];
    return withHttp2Edge(
      (stream) => {
        stream.respond(begin);
        stream.write('begun');
        let finished = false;
        stream.on('data', () => {});
        stream.on('end', () => {
          finished = stream.rstCode === constants.NGHTTP2_NO_ERROR && !stream.aborted;
        });
        stream.on('close', () => ends.push([stream.rstCode, finished]));
      },
      async (edge) => {
        const call = edge.call();
        call.on('error', () => {});
        call.write('half');
        await piece(call);
        call.close(constants.NGHTTP2_CANCEL);
        await until(() => ends.length === 1);
        const other = edge.call();
        other.on('error', () => {});
        other.write('half');
        await piece(other);
        edge.caller.destroy();
        await until(() => ends.length === 2);
        await until(() => edge.pass.active === 0);
        assert.equal(ends, Array(2).fill([constants.NGHTTP2_CANCEL, false]));
        assert.equal(edge.results, ['left', 'left']);
      },
    );
  });

  test('GOAWAY: calls on the connection end there, new ones take another', () =>
    withHttp2Edge(serve, async (edge) => {
      const old = edge.call();
      const answer = answerOf(old);
      old.write('a');
      await piece(old);
      edge.sessions[0]?.close();
      for (let i = 0; i < 200 && edge.sessions.length < 2; i++) {
        const call = edge.call();
        call.end(framed('x'));
        const { trailers, rstCode } = await answerOf(call);
        // What crosses the GOAWAY was never begun, and gRPC clients send it again by themselves.
        if (rstCode !== constants.NGHTTP2_REFUSED_STREAM) assert.is(trailers['grpc-status'], '0');
      }
      assert.is(edge.sessions.length, 2);
      old.end('b');
      const { body, trailers } = await answer;
      assert.is(body.toString(), 'ab');
      assert.is(trailers['grpc-status'], '0');
    }));

  test('a companion drains: calls in flight end by themselves, or are told at its timeout', () =>
    withHttp2Edge(serve, async (edge) => {
      for (const patient of [true, false]) {
        const upstream = `http://127.0.0.1:${(edge.sessions[0]?.socket.localPort ?? (await portOf(edge))) as number}`;
        await withRig({ upstream, 'drain-timeout': patient ? '20s' : '300ms' }, async (rig) => {
          const session = connect(`http://127.0.0.1:${rig.port}`);
          session.on('error', () => {});
          const call = session.request({ ':method': 'POST', ':path': '/m.M/I', 'content-type': 'application/grpc' });
          const answer = answerOf(call);
          call.write('a');
          await piece(call);
          const drained = rig.companion.drain();
          if (patient) {
            await new Promise((resolve) => setTimeout(resolve, 100));
            call.end('b');
          }
          const { trailers } = await answer;
          assert.is(trailers['grpc-status'], patient ? '0' : '14');
          if (!patient) assert.match(String(trailers['grpc-message']), /PL_DRAIN_TIMEOUT/);
          assert.is(await drained, patient);
          session.destroy();
        });
      }
    }));

  test('another protocol than gRPC passes over HTTP/2 where it asks for trailers and the model is known to speak it', () => {
    const versions: string[] = [];
    return withHttp2Edge(
      (stream, headers) => {
        versions.push(String(headers['content-type']));
        serve(stream);
      },
      async (edge) => {
        const first = edge.call();
        first.end('x');
        await answerOf(first);
        const connectCall = edge.call({ 'content-type': 'application/connect+proto' });
        connectCall.end('y');
        const { body, trailers } = await answerOf(connectCall);
        assert.is(body.toString(), 'y');
        assert.is(trailers['grpc-status'], '0');
        assert.equal(versions, ['application/grpc', 'application/connect+proto']);
      },
    );
  });
});

/** Whether room came within a moment. */
function drained(stream: ClientHttp2Stream): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), 300);
    stream.once('drain', () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

/** The model's port, once it has a connection. */
async function portOf(edge: { call(): ClientHttp2Stream; sessions: { socket: { localPort?: number | undefined } }[] }) {
  const call = edge.call();
  call.end('x');
  await answerOf(call);
  return edge.sessions[0]?.socket.localPort;
}
