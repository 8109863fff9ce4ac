import { createServer, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import * as assert from 'uvu/assert';
import { AgeWatch } from '../../src/companion/answering/age-watch.ts';
import { UnreadReplies } from '../../src/companion/answering/unread-replies.ts';
import { Listener, type ListenerHandlers } from '../../src/companion/listening/listener.ts';
import { PassThrough } from '../../src/companion/passing/pass-through.ts';
import { Circuit } from '../../src/companion/upstream/circuit.ts';
import { callUnary } from '../../src/companion/upstream/grpc-call.ts';
import { type Http2Connection, Http2Upstream } from '../../src/companion/upstream/http2-upstream.ts';
import { Upstream, type UpstreamEnd } from '../../src/companion/upstream/upstream.ts';
import { until, Wire, withEdge } from '../support/edge.ts';
import { fullPort } from '../support/full-port.ts';
import { strictGuard } from '../support/strict-guard.ts';
import { suite } from '../support/suite.ts';

const megabyte = 1024 * 1024;
const websocket = 'connection: upgrade\r\nupgrade: websocket\r\n';
const switching = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';

suite('bounds: a model that takes no connection', (test) => {
  test('is given up after as long as one may take, whatever was to be sent', async () => {
    const full = await fullPort();
    const origin = new URL(`http://127.0.0.1:${full.port}`);
    const connectMs = 150;
    const upstream = new Upstream(origin, 4, () => true, connectMs);
    const http2 = new Http2Upstream(origin, 4, undefined, connectMs);
    const { guard, caught } = strictGuard();
    const terms = { circuit: new Circuit(), called: () => {}, mayResend: () => true, guard };
    const results: string[] = [];
    const pass = new PassThrough(origin, 16, (result) => results.push(result), { connectMs }, terms);
    const listener = new Listener({
      request: (request, response) => pass.forward(request, response),
      upgrade: (request, socket, head) => pass.upgrade(request, socket, head),
    });
    try {
      const port = await listener.listen(0, '127.0.0.1');
      const batch = new Promise<UpstreamEnd>((resolve) => upstream.send('/x', [], [Buffer.from('{}')], resolve));
      const call = new Promise<UpstreamEnd>((resolve) => {
        callUnary(http2, { ':method': 'POST', ':path': '/x' }, [Buffer.from('x')], () => true, resolve);
      });
      const passes = new Wire(port, 'GET /x HTTP/1.1\r\nhost: m\r\n\r\n');
      const tunnel = new Wire(port, `GET /ws HTTP/1.1\r\nhost: m\r\n${websocket}\r\n`);
      assert.equal(await batch, { failure: 'unreachable' });
      assert.equal(await call, { failure: 'unreachable' });
      for (const wire of [passes, tunnel]) {
        await wire.sees('PL_UPSTREAM_UNREACHABLE');
        wire.socket.destroy();
      }
      await until(() => pass.active === 0);
      assert.equal(results, ['unreachable', 'unreachable']);
      assert.equal(caught, []);
    } finally {
      listener.destroy();
      http2.close();
      await Promise.all([upstream.close(), pass.close()]);
      full.stop();
    }
  });
});

suite('bounds: a connection over HTTP/2 that has said that it goes', (test) => {
  test('is closed after its last call, though the model does not close its end', async () => {
    const sockets = new Set<Socket>();
    const http2 = createHttp2Server();
    http2.on('stream', (stream) => {
      stream.on('error', () => {});
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' }, { endStream: true });
      stream.session?.goaway();
    });
    const model = createTcpServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      http2.emit('connection', socket);
    });
    await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
    const upstream = new Http2Upstream(new URL(`http://127.0.0.1:${(model.address() as AddressInfo).port}`), 4);
    const sessions = new Set<Http2Connection>();
    const closed = new Set<Http2Connection>();
    try {
      for (let calls = 0; sessions.size < 3 && calls < 1000; calls++) {
        const { stream, connection } = upstream.open({ ':method': 'POST', ':path': '/x' }, true);
        if (!sessions.has(connection)) connection.session.once('close', () => closed.add(connection));
        sessions.add(connection);
        stream.on('error', () => {}).resume();
        await new Promise((resolve) => stream.once('close', resolve));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      assert.is(sessions.size, 3);
      await until(() => closed.size >= 2);
    } finally {
      upstream.close();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => model.close(resolve));
    }
  });
});

suite('bounds: a caller over HTTP/2 who has said that it goes', (test) => {
  test('and keeps its end of the connection is let go', async () => {
    const handlers = { request: () => {}, upgrade: (_: unknown, socket: Socket) => socket.destroy() };
    const listener = new Listener(handlers as ListenerHandlers, { lingerMs: 50 });
    const port = await listener.listen(0, '127.0.0.1');
    const settings = Buffer.from('000000040000000000', 'hex');
    const goAway = Buffer.from('0000080700000000000000000000000000', 'hex');
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    try {
      let ended = false;
      socket.on('error', () => {});
      socket.on('end', () => {
        ended = true;
      });
      socket.resume().write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), settings, goAway]));
      await until(() => ended, 'the end of the session');
      // What comes to a closed connection is refused; one that is half open takes it for good.
      await until(() => {
        if (!socket.destroyed) socket.write(settings);
        return socket.destroyed;
      }, 'the end of the connection');
    } finally {
      socket.destroy();
      listener.destroy();
    }
  });
});

suite('bounds: a connection over HTTP/2 that is dead', (test) => {
  test('a call that met it is sent again, once, where the budget allows, and never one that came to a live one', async () => {
    let seen = 0;
    let dies = (_call: number) => false;
    const model = createHttp2Server();
    model.on('session', (session) => session.on('error', () => {}));
    model.on('stream', (stream) => {
      stream.on('error', () => {});
      if (dies(++seen)) return stream.session?.destroy();
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' }, { endStream: true });
    });
    await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
    const upstream = new Http2Upstream(new URL(`http://127.0.0.1:${(model.address() as AddressInfo).port}`), 4);
    let asked = 0;
    const call = (mayRetry: boolean) =>
      new Promise<UpstreamEnd>((resolve) => {
        const allowed = () => {
          asked++;
          return mayRetry;
        };
        callUnary(upstream, { ':method': 'POST', ':path': '/x' }, [Buffer.from('x')], allowed, resolve);
      });
    const isAnswer = (end: UpstreamEnd) => !('failure' in end);
    /** The call after the next one dies with its connection, which has answered by then. On a slow machine it may take too long to be told. */
    const metDead = async (mayRetry: boolean, deaths: number): Promise<UpstreamEnd> => {
      for (let tries = 0; tries < 50; tries++) {
        dies = () => false;
        assert.ok(isAnswer(await call(true)), 'a live one');
        const first = seen + 1;
        dies = (number) => number >= first && number < first + deaths;
        asked = 0;
        const end = await call(mayRetry);
        if (asked > 0) return end;
      }
      throw new Error('no connection died soon enough');
    };
    assert.ok(isAnswer(await metDead(true, 1)));
    assert.is(asked, 1);
    assert.equal(await metDead(false, 1), { failure: 'reset' });
    assert.equal(await metDead(true, 2), { failure: 'reset' }, 'once');
    assert.is(asked, 1);
    // The first call of a connection may have been read.
    dies = () => true;
    asked = 0;
    assert.equal(await call(true), { failure: 'reset' });
    assert.is(asked, 0);
    upstream.close();
    await new Promise((resolve) => model.close(resolve));
  });
});

suite('bounds: tunnels', (test) => {
  test('one in which nobody says anything ends on both sides, and gives its place back', () =>
    withEdge(
      () => {},
      async ({ port, model, pass, results }) => {
        let modelHeard = false;
        model.on('upgrade', (_request, socket) => {
          socket.on('end', () => {
            modelHeard = true;
            socket.end();
          });
          socket.resume();
          socket.write(switching);
        });
        const wire = new Wire(port, `GET /ws HTTP/1.1\r\nhost: m\r\n${websocket}\r\n`);
        await wire.closes();
        await until(() => modelHeard && pass.active === 0);
        assert.match(wire.seen, /^HTTP\/1\.1 101 /);
        assert.equal(results, ['upgrade']);
      },
      { bodies: { tunnelIdleMs: 200 } },
    ));
});

suite('bounds: replies that nobody reads', (test) => {
  test('beyond the bytes that they may hold the oldest one is broken off, never the newest', async () => {
    const unread = new UnreadReplies({ bytes: 20 * megabyte, ms: 600_000 });
    const responses: ServerResponse[] = [];
    const server = createServer((_request, response) => {
      response.on('error', () => {});
      responses.push(response);
      const bytes = 16 * megabyte;
      response.end(Buffer.alloc(bytes));
      unread.wrote(response, bytes);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const ask = async (count: number) => {
      const wire = new Wire(port, 'GET / HTTP/1.1\r\nhost: m\r\n\r\n');
      wire.socket.pause();
      await until(() => responses.length === count);
      return wire;
    };
    const wires = [await ask(1)];
    assert.not(responses[0]?.destroyed);
    assert.is(unread.bytes, 16 * megabyte);
    wires.push(await ask(2));
    assert.ok(responses[0]?.destroyed);
    assert.not(responses[1]?.destroyed);
    assert.is(unread.bytes, 16 * megabyte);
    wires[1]?.socket.destroy();
    await until(() => unread.bytes === 0, 'what a caller who left held');
    wires[0]?.socket.destroy();
    unread.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test('what is too old is ended, the oldest first; what began anew or ended by itself is not', async () => {
    const ended: string[] = [];
    const watch = new AgeWatch<string>(100, (each) => ended.push(each));
    for (const each of ['first', 'second', 'gone']) watch.add(each);
    watch.delete('gone');
    await until(() => ended.length === 2);
    assert.equal(ended, ['first', 'second']);
    assert.is(watch.size, 0);
    watch.stop();
  });
});
