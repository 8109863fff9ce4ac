import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import * as assert from 'uvu/assert';
import { batchHeaders, forHttp2, forwardHeaders, headersKey } from '../../src/companion/http/headers.ts';
import { withRig } from '../support/companion.ts';
import { until, Wire, withEdge } from '../support/edge.ts';
import { suite } from '../support/suite.ts';

const never = () => {};
const none = new Set<string>();
const echo = (request: IncomingMessage, response: ServerResponse) => void request.pipe(response);
const websocket = 'connection: upgrade\r\nupgrade: websocket\r\n';

suite('pass-through: uploads', (test) => {
  test('one that stalls gets 408 and frees its slot, small or large, over both versions', () => {
    let broken = 0;
    return withEdge(
      (request) => request.on('error', () => broken++).resume(),
      async ({ port, pass, results }) => {
        const head = 'POST /x:explain HTTP/1.1\r\nhost: m\r\n';
        const stalled = [
          new Wire(port, `${head}content-length: 100\r\n\r\nhalf`),
          new Wire(port, `${head}content-length: 100000\r\n\r\nhalf`),
          new Wire(port, `${head}transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n`),
        ];
        for (const wire of stalled)
          assert.match(await wire.closes(), /^HTTP\/1\.1 408 Request Timeout\r\n.*"code":"PL_BODY_TIMEOUT"/s);
        const session = connectHttp2(`http://127.0.0.1:${port}`);
        const stream = session.request({ ':method': 'POST', ':path': '/x:explain' });
        stream.write('half');
        const { status, text } = await replyOf(stream);
        assert.is(status, 408);
        assert.match(text, /PL_BODY_TIMEOUT/);
        session.destroy();
        assert.is(pass.active, 0);
        assert.equal(results, Array(4).fill('PL_BODY_TIMEOUT'));
        await until(() => broken === 3, 'the calls at the model to break off');
      },
      { bodies: { idleMs: 300 } },
    );
  });

  test('one that moves is not stalled, nor is one that waits for the model', () => {
    let hold: IncomingMessage | undefined;
    return withEdge(
      (request, response) => {
        if (request.url === '/slow-model') hold = request;
        request.on('end', () => response.end('all of it'));
        if (request.url !== '/slow-model') request.resume();
      },
      async ({ port }) => {
        const moving = new Wire(port, 'PUT /x HTTP/1.1\r\nhost: m\r\ntransfer-encoding: chunked\r\n\r\n');
        const size = 8_000_000;
        const waiting = new Wire(port, `PUT /slow-model HTTP/1.1\r\nhost: m\r\ncontent-length: ${size}\r\n\r\n`);
        waiting.write('x'.repeat(size));
        for (let i = 0; i < 8; i++) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          moving.write('1\r\na\r\n');
        }
        moving.write('0\r\n\r\n');
        await moving.sees('all of it');
        assert.is(waiting.seen, '');
        hold?.resume();
        await waiting.sees('all of it');
      },
      { bodies: { idleMs: 300 } },
    );
  });

  test('however many there are, requests without a body pass', () =>
    withEdge(
      (request, response) => {
        if (request.method === 'GET') response.end('ready');
      },
      async ({ port, pass }) => {
        const half = 'POST /x:explain HTTP/1.1\r\nhost: m\r\ncontent-length: 100\r\n\r\nhalf';
        const uploads = Array.from({ length: 20 }, () => new Wire(port, half));
        await until(() => pass.active === 12);
        const refused = uploads.filter((wire) => wire.seen.includes('PL_PASS_FULL'));
        await until(() => uploads.filter((wire) => wire.seen.includes('PL_PASS_FULL')).length === 8);
        assert.ok(refused.length <= 8);
        for (let i = 0; i < 4; i++) {
          const health = new Wire(port, 'GET /v2/health/ready HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n');
          assert.match(await health.closes(), /^HTTP\/1\.1 200 .*ready/s);
        }
        for (const wire of uploads) wire.socket.destroy();
        await until(() => pass.active === 0);
      },
      { max: 16, bodies: { slotsWithout: 4 } },
    ));

  test('the first chunk is at the model before the last is sent', () => {
    let arrived = '';
    return withEdge(
      (request, response) => {
        request.on('data', (chunk) => {
          arrived += chunk;
        });
        request.on('end', () => response.end('done'));
      },
      async ({ port }) => {
        const wire = new Wire(port, 'PUT /x HTTP/1.1\r\nhost: m\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n');
        await until(() => arrived === 'first');
        wire.write('4\r\nlast\r\n0\r\n\r\n');
        await wire.sees('done');
        assert.is(arrived, 'firstlast');
      },
    );
  });

  test('one that the model refuses early, or cannot take, still gets its answer', () =>
    withEdge(
      (_request, response) => response.writeHead(413, { connection: 'close' }).end('too large'),
      async ({ port, model }) => {
        const head = 'PUT /x HTTP/1.1\r\nhost: m\r\ncontent-length: 100000\r\n\r\nhalf';
        const refused = new Wire(port, head);
        await refused.sees('HTTP/1.1 413 ');
        await refused.sees('too large');
        refused.socket.destroy();
        model.close();
        model.closeAllConnections();
        const down = new Wire(port, head);
        await down.sees('HTTP/1.1 503 ');
        await down.sees('PL_UPSTREAM_UNREACHABLE');
        down.socket.destroy();
      },
    ));
});

suite('pass-through: replies', (test) => {
  test('server-sent events: headers before any event, and each event as it comes', () => {
    let events: ServerResponse | undefined;
    return withEdge(
      (_request, response) => {
        events = response;
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.flushHeaders();
      },
      async ({ port }) => {
        const wire = new Wire(port, 'GET /events HTTP/1.1\r\nhost: m\r\n\r\n');
        await wire.sees('content-type: text/event-stream\r\n');
        await wire.sees('\r\n\r\n');
        assert.not.match(wire.seen, /data:/);
        for (const each of ['data: 1\n\n', 'data: 2\n\n']) {
          events?.write(each);
          await wire.sees(each);
        }
        events?.end();
        await wire.sees('0\r\n\r\n');
      },
    );
  });

  test('HEAD and OPTIONS: the length of a body that does not come, and what is allowed', () =>
    withEdge(
      (request, response) => {
        if (request.method === 'HEAD') response.writeHead(200, { 'content-length': '1234' });
        else response.writeHead(204, { allow: 'GET, HEAD, OPTIONS' });
        response.end();
      },
      async ({ port }) => {
        const wire = new Wire(port, 'HEAD /x HTTP/1.1\r\nhost: m\r\n\r\n');
        await wire.sees('\r\n\r\n');
        assert.match(wire.seen, /^HTTP\/1\.1 200 .*content-length: 1234\r\n/s);
        wire.seen = '';
        wire.write('OPTIONS /x HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n');
        assert.match(await wire.closes(), /^HTTP\/1\.1 204 .*allow: GET, HEAD, OPTIONS\r\n/s);
      },
    ));

  test('escapes and odd bytes of a target arrive as they were sent', () => {
    const seen: string[] = [];
    return withEdge(
      (request, response) => {
        seen.push(request.url ?? '');
        response.end();
      },
      async ({ port }) => {
        const targets = ['/a%2Fb%2fc%00%0d%0a?q=%E2%82%ac&&r=+%20', '/%', '/a//b/./../c;d=1?', '/x|y"{}'];
        for (const target of targets) {
          await new Wire(port, `GET ${target} HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n`).closes();
        }
        assert.equal(seen, targets);
      },
    );
  });

  test('trailers keep their names in both versions', () =>
    withEdge(
      (_request, response) => {
        response.writeHead(200, { trailer: 'x-sum, x-count' });
        response.write('body');
        response.addTrailers({ 'x-sum': 'abc', 'x-count': '2' });
        response.end();
      },
      async ({ port }) => {
        const wire = new Wire(port, 'GET /x HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n');
        assert.match(await wire.closes(), /\r\n0\r\nx-sum: abc\r\nx-count: 2\r\n\r\n$/);
        const session = connectHttp2(`http://127.0.0.1:${port}`);
        const { trailers, text } = await replyOf(session.request({ ':path': '/x' }));
        session.destroy();
        assert.is(text, 'body');
        assert.equal({ ...trailers }, { 'x-sum': 'abc', 'x-count': '2' });
      },
    ));

  test('a header that comes twice reaches HTTP/2 callers as one, also in a batch', async () => {
    await withEdge(
      (_request, response) => {
        response.writeHead(200, ['etag', 'a', 'etag', 'b', 'set-cookie', 'x', 'set-cookie', 'y']);
        response.end('body');
      },
      async ({ port }) => {
        const session = connectHttp2(`http://127.0.0.1:${port}`);
        const { status, text } = await replyOf(session.request({ ':path': '/x' }));
        session.destroy();
        assert.is(status, 200);
        assert.is(text, 'body');
      },
    );
    assert.equal(forHttp2(['ETag', 'a', 'Connection', 'close', 'etag', 'b', 'Set-Cookie', 'x', 'set-cookie', 'y']), [
      'etag',
      'a, b',
      'set-cookie',
      'x',
      'set-cookie',
      'y',
    ]);
  });
});

suite('pass-through: upgrades', (test) => {
  test('with the model down, full, or for a target that is no path: a whole answer, and it is counted', () =>
    withEdge(
      never,
      async ({ port, model, results, pass }) => {
        const elsewhere = new Wire(port, `GET http://elsewhere/ws HTTP/1.1\r\nhost: m\r\n${websocket}\r\n`);
        assert.match(await elsewhere.closes(), /^HTTP\/1\.1 400 .*"code":"PL_HTTP_TARGET"\}$/s);
        const held = new Wire(port, `GET /ws HTTP/1.1\r\nhost: m\r\n${websocket}\r\n`);
        await until(() => pass.active === 1);
        const full = new Wire(port, `GET /ws HTTP/1.1\r\nhost: m\r\n${websocket}\r\n`);
        assert.match(await full.closes(), /^HTTP\/1\.1 503 .*retry-after: 1\r\n.*"code":"PL_PASS_FULL"\}$/s);
        held.socket.end();
        await until(() => pass.active === 0, 'a caller that leaves during the handshake');
        model.close();
        model.closeAllConnections();
        const down = new Wire(port, `GET /ws HTTP/1.1\r\nhost: m\r\n${websocket}\r\n`);
        assert.match(await down.closes(), /^HTTP\/1\.1 503 .*retry-after: 1\r\n.*"code":"PL_UPSTREAM_UNREACHABLE"\}$/s);
        assert.equal(results, ['PL_HTTP_TARGET', 'PL_PASS_FULL', 'left', 'unreachable']);
      },
      { max: 1 },
    ));

  test('one that the model declines ends with its answer, so that nothing follows unseen', () => {
    const seen: string[] = [];
    return withEdge(
      (request, response) => {
        seen.push(request.url ?? '');
        response.writeHead(404, { 'x-model': 'yes' });
        response.end('no such thing');
      },
      async ({ port, results }) => {
        const predict = 'POST /v1/models/m:predict HTTP/1.1\r\nhost: m\r\ncontent-length: 2\r\n\r\n{}';
        const wire = new Wire(port, `GET /ws HTTP/1.1\r\nhost: m\r\n${websocket}\r\n${predict}`);
        const text = await wire.closes();
        assert.match(text, /^HTTP\/1\.1 404 Not Found\r\nx-model: yes\r\n.*connection: close\r\n\r\nno such thing$/s);
        assert.equal(seen, ['/ws']);
        await until(() => results[0] === '4xx');
      },
    );
  });

  test('bytes sent before the model has agreed arrive after it, in order, and both ends close together', () =>
    withEdge(never, async ({ port, model, results, pass }) => {
      model.on('upgrade', (request, socket, head) => {
        assert.is(request.headers['sec-websocket-key'], 'k');
        socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello ');
        socket.write(head);
        socket.pipe(socket);
      });
      const wire = new Wire(port, `GET /ws HTTP/1.1\r\nhost: m\r\nsec-websocket-key: k\r\n${websocket}\r\none `);
      wire.write('two ');
      await wire.sees('hello one two ');
      wire.write('three');
      await wire.sees('one two three');
      assert.is(pass.active, 1);
      wire.socket.end();
      await wire.closes();
      await until(() => pass.active === 0);
      assert.equal(results, ['upgrade']);
    }));
});

suite('headers', (test) => {
  test('names listed in any Connection line travel neither alone nor in a batch', () => {
    const raw = [
      'Host',
      'm',
      'Connection',
      'keep-alive',
      'X-Secret',
      '1',
      'connection',
      'close, x-SECRET ,x-b',
      'X-B',
      '2',
    ];
    const rest = ['Host', 'm'];
    assert.equal(forwardHeaders(raw, true), rest);
    assert.equal(batchHeaders(raw, none), ['accept-encoding', 'identity', ...rest]);
    assert.is(headersKey(raw, none), 'host: m');
  });

  test('`:authority` is the host, and keeps requests apart as `host` does', () => {
    const from = (authority: string) => [':method', 'POST', ':authority', authority, 'x-a', '1', 'host', 'ignored'];
    assert.is(headersKey(from('one'), none), headersKey(['X-A', '1', 'Host', 'one'], none));
    assert.is.not(headersKey(from('one'), none), headersKey(from('two'), none));
    assert.equal(forwardHeaders(from('one'), true), ['host', 'one', 'x-a', '1']);
    assert.equal(batchHeaders(from('one'), none), ['accept-encoding', 'identity', 'host', 'one', 'x-a', '1']);
  });

  test('crumbs of a cookie are one line', () => {
    const crumbs = ['host', 'm', 'cookie', 'a=1', 'x-a', '1', 'cookie', 'b=2'];
    assert.equal(forwardHeaders(crumbs, true), ['host', 'm', 'x-a', '1', 'cookie', 'a=1; b=2']);
    assert.is(headersKey(crumbs, none), headersKey(['host', 'm', 'Cookie', 'a=1; b=2', 'x-a', '1'], none));
  });

  test('callers of two authorities on h2c never share a batch', () =>
    withRig({ 'max-in-flight': '1' }, async (rig) => {
      const session = connectHttp2(`http://127.0.0.1:${rig.port}`);
      const release = rig.model.hold();
      const replies = Array.from({ length: 20 }, (_, i) => {
        const stream = session.request({
          ':method': 'POST',
          ':path': '/v1/models/m:predict',
          ':authority': i % 2 === 0 ? 'even' : 'odd',
          'content-type': 'application/json',
        });
        stream.end(`{"instances":[${i}]}`);
        return replyOf(stream);
      });
      await until(() => rig.model.calls.length > 0);
      await new Promise((resolve) => setTimeout(resolve, 50));
      release();
      for (const reply of await Promise.all(replies)) assert.is(reply.status, 200);
      session.destroy();
      assert.ok(rig.model.calls.length < 20, 'they were batched');
      for (const { headers, items } of rig.model.calls) {
        for (const item of items) assert.is(headers.host, (item as number) % 2 === 0 ? 'even' : 'odd');
      }
    }));

  test('an h2 request reaches the model with one host and one cookie', () => {
    let seen: string[] = [];
    return withEdge(
      (request, response) => {
        seen = request.rawHeaders;
        echo(request, response);
      },
      async ({ port }) => {
        const session = connectHttp2(`http://127.0.0.1:${port}`);
        const stream = session.request({ ':path': '/x', ':authority': 'model.example', cookie: ['a=1', 'b=2'] });
        assert.is((await replyOf(stream)).status, 200);
        session.destroy();
        assert.equal(
          seen.filter((_, i) => /^(host|cookie)$/i.test(seen[i - (i % 2)] as string)),
          ['host', 'model.example', 'cookie', 'a=1; b=2'],
        );
      },
    );
  });
});

/** The whole reply on a stream. */
function replyOf(
  stream: ClientHttp2Stream,
): Promise<{ status: number | undefined; text: string; trailers: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    let status: number | undefined;
    let text = '';
    let trailers: Record<string, unknown> = {};
    stream.on('response', (headers) => {
      status = headers[':status'];
    });
    stream.on('trailers', (headers) => {
      trailers = headers;
      for (const symbol of Object.getOwnPropertySymbols(headers)) delete trailers[symbol as never];
    });
    stream.on('data', (chunk) => {
      text += chunk;
    });
    stream.on('close', () => resolve({ status, text, trailers }));
    stream.on('error', reject);
  });
}
