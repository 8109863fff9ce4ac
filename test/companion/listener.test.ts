import type { ServerResponse } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import * as assert from 'uvu/assert';
import { startRig, withRig } from '../support/companion.ts';
import { until, Wire, withEdge } from '../support/edge.ts';
import { suite } from '../support/suite.ts';

const never = () => {};

suite('listener', (test) => {
  test('headers that do not end get 408, at the start of a connection and later', () =>
    withEdge(
      (_request, response) => response.end('ok'),
      async ({ port }) => {
        const first = new Wire(port, 'GET /x HTTP/1.1\r\nhost: m\r\nx-half: ');
        const later = new Wire(port, 'GET /x HTTP/1.1\r\nhost: m\r\n\r\n');
        await later.sees('ok');
        later.write('GET /y HTTP/1.1\r\nhos');
        const preface = new Wire(port, 'PR');
        assert.match(await first.closes(), /^HTTP\/1\.1 408 Request Timeout\r\n.*"code":"PL_BODY_TIMEOUT"\}$/s);
        assert.match(await later.closes(), /^HTTP\/1\.1 200 .*okHTTP\/1\.1 408 /s);
        assert.is(await preface.closes(), '');
      },
      { headersTimeoutMs: 200 },
    ));

  test('an upload that takes longer than headers may is not cut', () =>
    withEdge(
      (request, response) => request.pipe(response),
      async ({ port }) => {
        const upload = new Wire(port, 'PUT /x HTTP/1.1\r\nhost: m\r\ntransfer-encoding: chunked\r\n\r\n');
        for (let i = 0; i < 6; i++) {
          upload.write('3\r\nabc\r\n');
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        upload.write('3\r\nend\r\n0\r\n\r\n');
        await upload.sees('end');
      },
      { headersTimeoutMs: 150 },
    ));

  test('who waits to be told to go on is told between two answers, never within one', () => {
    let first = never;
    return withEdge(
      (request, response) => {
        const answer = () => {
          response.writeHead(200, { 'content-length': 2 });
          response.end(Buffer.from('ok'));
        };
        request.resume();
        request.on('end', () => {
          if (request.url === '/x') first = answer;
          else {
            answer();
            first();
          }
        });
      },
      async ({ port }) => {
        const expecting = 'POST /y HTTP/1.1\r\nhost: m\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n';
        const alone = new Wire(port, expecting);
        await alone.sees('HTTP/1.1 100 Continue\r\n\r\n');
        alone.write('hi');
        await alone.sees('\r\n\r\nok');
        const two = new Wire(port, `POST /x HTTP/1.1\r\nhost: m\r\ncontent-length: 2\r\n\r\nhi${expecting}hi`);
        await until(() => two.seen.split('\r\n\r\nok').length === 3, two.seen);
        // Whoever has sent its body already need not be told.
        const answer = 'HTTP/1\\.1 200 OK\\r\\n(?:[^\\r]+\\r\\n)+\\r\\nok';
        assert.match(two.seen, new RegExp(`^${answer}(?:HTTP/1\\.1 100 Continue\\r\\n\\r\\n)?${answer}$`));
      },
    );
  });

  test('a caller who leaves is heard of by every answer that it was to have', () => {
    const left: string[] = [];
    const open: string[] = [];
    return withEdge(
      (request, response) => {
        open.push(request.url ?? '');
        response.on('close', () => left.push(request.url ?? ''));
      },
      async ({ port }) => {
        const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: m\r\n\r\n`;
        const wire = new Wire(port, get('/1') + get('/2') + get('/3'));
        await until(() => open.length === 3);
        wire.socket.destroy();
        await until(() => left.length >= 3, `three of ${left}`);
        assert.equal(left.sort(), ['/1', '/2', '/3']);
      },
    );
  });

  test('so is one behind an answer that was written at once and ended the connection', () => {
    const left: string[] = [];
    return withEdge(
      never,
      async ({ port, pass }) => {
        // No path, and a body that is not looked at: refused at its head.
        const refused = 'POST * HTTP/1.1\r\nhost: m\r\ncontent-length: 2\r\n\r\nhi';
        const wire = new Wire(port, `${refused}GET /2 HTTP/1.1\r\nhost: m\r\n\r\n`);
        await wire.closes();
        assert.match(wire.seen, /^HTTP\/1\.1 400 .*PL_HTTP_TARGET"\}$/s);
        await until(() => left.length === 2, `two of ${left}`);
        assert.equal(left, ['*', '/2']);
        assert.is(pass.active, 0);
      },
      { before: (request, response) => response.on('close', () => left.push(request.url ?? '')) },
    );
  });

  test('drain closes idle connections, also those that never spoke, and lets answers end', () => {
    let finish = never;
    return withEdge(
      (request, response) => {
        if (request.url === '/slow') finish = () => response.end('slow');
        else response.end('quick');
      },
      async ({ port, listener }) => {
        const silent = new Wire(port);
        const idle = new Wire(port, 'GET /quick HTTP/1.1\r\nhost: m\r\n\r\n');
        await idle.sees('quick');
        const busy = new Wire(port, 'GET /slow HTTP/1.1\r\nhost: m\r\n\r\n');
        await until(() => finish !== never);
        listener.drain();
        await Promise.all([silent.closes(), idle.closes()]);
        assert.not(busy.closed);
        finish();
        await busy.sees('slow');
      },
    );
  });

  test('garbage after a request never lands in its answer', () => {
    let events: ServerResponse | undefined;
    return withEdge(
      (_request, response) => {
        events = response;
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: 1\n\n');
      },
      async ({ port }) => {
        const streaming = new Wire(port, 'GET /events HTTP/1.1\r\nhost: m\r\n\r\n');
        await streaming.sees('data: 1');
        streaming.write('GARBAGE\r\n\r\n');
        assert.not.match(await streaming.closes(), /400|PL_HTTP_SYNTAX/);
        assert.ok(events);
      },
    );
  });

  test('a broken request that waits for its turn is not answered in the place of the one before it', () =>
    withEdge(never, async ({ port }) => {
      const head = 'POST /x HTTP/1.1\r\nhost: m\r\ntransfer-encoding: chunked\r\n\r\n';
      const pipelined = new Wire(port, `GET /never HTTP/1.1\r\nhost: m\r\n\r\n${head}zz\r\n`);
      assert.is(await pipelined.closes(), '');
      const alone = new Wire(port, `${head}zz\r\n`);
      assert.match(await alone.closes(), /^HTTP\/1\.1 400 Bad Request\r\n.*PL_HTTP_SYNTAX/s);
    }));

  test('an offer of h2c is ignored: every request of the connection is served by the companion', async () => {
    const rig = await startRig();
    try {
      const body = '{"instances":[7]}';
      const offer = 'connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n';
      const predict = (extra: string) =>
        `POST /v1/models/m:predict HTTP/1.1\r\nhost: m\r\n${extra}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
      const wire = new Wire(rig.port, predict(offer));
      await wire.sees('[{"echo":7}]');
      wire.write(predict(''));
      await until(() => wire.seen.split('"echo":7').length === 3);
      wire.write(predict(offer.replace('Upgrade,', 'close, Upgrade,')));
      const seen = await wire.closes();
      assert.is(seen.match(/server-timing: /g)?.length, 3, 'the companion batched each of them');
      assert.is(rig.model.calls.length, 3);
      for (const { headers } of rig.model.calls) {
        assert.is(headers.upgrade, undefined);
        assert.is(headers['http2-settings'], undefined);
      }
    } finally {
      await rig.stop();
    }
  });

  test('an upload with an offer arrives whole, however it is cut', () =>
    withEdge(
      (request, response) => request.pipe(response),
      async ({ port }) => {
        const head = 'PUT /x HTTP/1.1\r\nhost: m\r\nconnection: upgrade\r\ncontent-length: 20\r\n';
        for (const protocol of ['h2c', 'other/1']) {
          const wire = new Wire(port, `${head}upgrade: ${protocol}\r\n\r\n0123456789`);
          await new Promise((resolve) => setTimeout(resolve, 30));
          wire.write('abcdefghij');
          await wire.sees('0123456789abcdefghij');
          wire.write('GET /y HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n');
          assert.is((await wire.closes()).match(/HTTP\/1\.1 200 /g)?.length, 2);
        }
      },
    ));

  test('CONNECT gets 405 in both versions', () =>
    withRig({}, async (rig) => {
      const reply = await rig.raw('CONNECT elsewhere:443 HTTP/1.1\r\nhost: elsewhere:443\r\n\r\n');
      assert.match(reply, /^HTTP\/1\.1 405 Method Not Allowed\r\n.*"code":"PL_HTTP_METHOD"\}$/s);
      const session = connectHttp2(`http://127.0.0.1:${rig.port}`);
      const stream = session.request({ ':method': 'CONNECT', ':authority': 'elsewhere:443' });
      const status = await new Promise((resolve) => stream.on('response', (headers) => resolve(headers[':status'])));
      assert.is(status, 405);
      session.destroy();
    }));

  test('both lengths, or two of them, get 400 and reach no model', () => {
    let served = 0;
    return withEdge(
      (_request, response) => {
        served++;
        response.end();
      },
      async ({ port }) => {
        for (const framing of [
          'content-length: 3\r\ntransfer-encoding: chunked',
          'transfer-encoding: chunked\r\ncontent-length: 3',
          'content-length: 3\r\ncontent-length: 3',
          'content-length: 3\r\ncontent-length: 4',
        ]) {
          const wire = new Wire(port, `POST /x HTTP/1.1\r\nhost: m\r\n${framing}\r\n\r\nabc`);
          assert.match(await wire.closes(), /^HTTP\/1\.1 400 .*"code":"PL_HTTP_SYNTAX"/s, framing);
        }
        assert.is(served, 0);
      },
    );
  });

  test('100-continue is answered before the body comes', () =>
    withEdge(
      (request, response) => {
        assert.is(request.headers.expect, undefined);
        request.pipe(response);
      },
      async ({ port }) => {
        const wire = new Wire(port, 'PUT /x HTTP/1.1\r\nhost: m\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n');
        await wire.sees('HTTP/1.1 100 Continue\r\n\r\n');
        wire.write('body');
        await wire.sees('\r\nbody\r\n');
      },
    ));
});
