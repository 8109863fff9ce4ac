import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import * as assert from 'uvu/assert';
import { type Rig, withRig } from '../support/companion.ts';
import { until, Wire, withEdge } from '../support/edge.ts';
import { fields, frame, preface, type, u32 } from '../support/http2-frames.ts';
import { suite } from '../support/suite.ts';

const megabyte = 1024 * 1024;

const get = fields([':method', 'GET'], [':path', '/flood'], [':scheme', 'http'], [':authority', 'm']);
/**
 * Sends frames as fast as they are taken until the connection is given up (GOAWAY, after which nothing is read any more) or
 * closed, or `frames` are sent. Returns whether it was.
 */
async function flood(
  port: number,
  frames: number,
  make: (i: number) => Buffer,
  first: Buffer = Buffer.alloc(0),
  waitMs = 1000,
): Promise<boolean> {
  const socket: Socket = connect(port, '127.0.0.1');
  let over = false;
  let unread: Buffer = Buffer.alloc(0);
  const ended = new Promise<void>((resolve) => {
    const end = () => {
      over = true;
      resolve();
    };
    socket.on('error', () => {});
    socket.on('close', end);
    socket.on('data', (chunk) => {
      unread = Buffer.concat([unread, chunk]);
      while (unread.length >= 9 && unread.length >= 9 + unread.readUIntBE(0, 3)) {
        if (unread[3] === type.goAway) end();
        unread = unread.subarray(9 + unread.readUIntBE(0, 3));
      }
    });
  });
  socket.write(Buffer.concat([preface, frame(type.settings, 0, 0), first]));
  for (let i = 0; i < frames && !over; i += 100) {
    const some = Buffer.concat(Array.from({ length: 100 }, (_, j) => make(i + j)));
    if (!socket.write(some)) await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), ended]);
    else await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, waitMs))]);
  socket.destroy();
  return over;
}

/** Others ask while something happens; each must get its own answer. Memory must not grow by more than so much. */
async function beside(rig: Rig, what: () => Promise<void>, bytes = 256 * megabyte): Promise<void> {
  for (let i = 0; i < 20; i++) await rig.predict('warm');
  const before = process.memoryUsage.rss();
  let over = false;
  let served = 0;
  const others = (async () => {
    while (!over || served < 5) {
      assert.equal((await rig.predict(served)).json, { predictions: [{ echo: served }] });
      served++;
    }
  })();
  try {
    await what();
  } finally {
    over = true;
    await others;
  }
  const grown = process.memoryUsage.rss() - before;
  assert.ok(grown < bytes, `${Math.round(grown / megabyte)} MB more`);
}

suite('companion: floods', (test) => {
  const floods: Record<string, { frames: number; make: (i: number) => Buffer; first?: Buffer; stays?: boolean }> = {
    'calls that are given up at once': {
      frames: 20_000,
      make: (i) => Buffer.concat([frame(type.headers, 5, 2 * i + 1, get), frame(type.reset, 0, 2 * i + 1, u32(8))]),
    },
    'headers that never end': {
      frames: 20_000,
      first: frame(type.headers, 0, 1, get),
      make: () => frame(type.continuation, 0, 1, fields(['x-more', 'y'.repeat(100)])),
    },
    pings: { frames: 20_000, make: () => frame(type.ping, 0, 0, Buffer.alloc(8)), stays: true },
    settings: { frames: 20_000, make: () => frame(type.settings, 0, 0), stays: true },
    priorities: {
      frames: 20_000,
      make: (i) => frame(type.priority, 0, 2 * (i % 1_000_000) + 1, Buffer.concat([u32(0), Buffer.of(1)])),
      stays: true,
    },
    'empty data': {
      frames: 20_000,
      first: frame(type.headers, 4, 1, get),
      make: () => frame(type.data, 0, 1),
      stays: true,
    },
    'streams without an end': { frames: 20_000, make: (i) => frame(type.headers, 4, 2 * i + 1, get) },
    'a header that expands': {
      frames: 3000,
      // One large entry of the table of headers, and then thousands of references to it.
      first: frame(
        type.headers,
        5,
        1,
        Buffer.concat([get, Buffer.of(0x40, 1, 0x78, 0x7f, 0x81, 0x1e), Buffer.alloc(3968 + 127, 0x61)]),
      ),
      make: (i) => frame(type.headers, 5, 2 * i + 3, Buffer.concat([get, Buffer.alloc(2000, 0xbe)])),
    },
  };
  for (const [name, { frames, make, first, stays }] of Object.entries(floods)) {
    test(`${name}: an end, or nothing but work; others are served meanwhile`, () =>
      withRig({ slo: '2s', 'late-timeout': '30s' }, (rig) =>
        beside(rig, async () => {
          const closed = await flood(rig.port, frames, make, first, stays ? 300 : 10_000);
          if (!stays) assert.ok(closed, 'the connection was closed');
        }),
      ));
  }

  test('callers may give up by the hundred on one connection, and not without end', () =>
    withRig({ slo: '2s', 'late-timeout': '30s' }, async (rig) => {
      const givenUp = (i: number) =>
        Buffer.concat([frame(type.headers, 5, 2 * i + 1, get), frame(type.reset, 0, 2 * i + 1, u32(8))]);
      assert.not(await flood(rig.port, 900, givenUp, undefined, 300), '900 at once are nothing odd');
      // Node 20 and 22 have a bound of their own, which nothing moves: 1,000 at once, and 33 a second.
      const own = Number(process.versions.node.split('.')[0]) < 24;
      assert.is(await flood(rig.port, 2000, givenUp, undefined, own ? 10_000 : 300), own);
    }));

  test('callers that leave no window: their answers are broken off, others are served', () =>
    withEdge(
      (_request, response) => {
        const chunk = Buffer.alloc(megabyte);
        const more = () => {
          while (!response.destroyed && response.write(chunk));
        };
        response.on('drain', more);
        more();
      },
      async ({ port, results }) => {
        const session = connectHttp2(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } });
        session.on('error', () => {});
        const streams = Array.from({ length: 8 }, () => session.request({ ':path': '/large' }));
        for (const stream of streams) stream.on('error', () => {});
        // And over HTTP/1.1 by reading nothing.
        const idle = new Wire(port, 'GET /large HTTP/1.1\r\nhost: m\r\n\r\n');
        idle.socket.pause();
        await until(() => results.length === 9, 'the end of all');
        session.destroy();
        idle.socket.destroy();
      },
      { max: 16, bodies: { callerStallsMs: 300 }, limits: { unreadMs: 300 } },
    ));

  test('headers and bodies that come byte by byte are given up, on however many connections', () =>
    withRig({ 'body-timeout': '400ms', slo: '2s', 'late-timeout': '30s' }, (rig) =>
      beside(rig, async () => {
        const head = 'POST /v1/models/m:predict HTTP/1.1\r\nhost: m\r\ncontent-length: 1000\r\n\r\n';
        const wires = Array.from({ length: 200 }, () => new Wire(rig.port, head));
        const dripping = setInterval(() => {
          for (const wire of wires) if (!wire.closed && wire.socket.writable) wire.write('[');
        }, 20);
        await until(() => wires.every((wire) => wire.closed), 'the end of all').finally(() => clearInterval(dripping));
        for (const { seen } of wires) assert.match(seen, /^HTTP\/1\.1 408 .*PL_BODY_TIMEOUT/s);
      }),
    ));

  test('beyond the connections that may be, one that never spoke makes room', () =>
    withEdge(
      (_request, response) => response.end('served'),
      async ({ port }) => {
        const silent = Array.from({ length: 8 }, () => new Wire(port));
        await until(() => silent.every(({ socket }) => !socket.connecting));
        const talker = new Wire(port, 'GET /x HTTP/1.1\r\nhost: m\r\n\r\n');
        await talker.sees('served');
        await until(() => silent.filter(({ closed }) => closed).length === 1);
      },
      { limits: { connections: 8 } },
    ));

  test('a connection over HTTP/2 that asks for nothing is closed, also with half a request', () =>
    withEdge(
      (_request, response) => response.end(),
      async ({ port }) => {
        const empty = new Wire(port);
        empty.socket.write(Buffer.concat([preface, frame(type.settings, 0, 0)]));
        const half = new Wire(port);
        half.socket.write(Buffer.concat([preface, frame(type.settings, 0, 0), frame(type.headers, 0, 1, get)]));
        await Promise.all([empty.closes(), half.closes()]);
      },
      { limits: { idleMs: 200 } },
    ));

  test('a model that falls silent within an answer is given up, and its caller sees that it broke off', () =>
    withEdge(
      (_request, response) => {
        response.writeHead(200, { 'content-length': 10 });
        response.write('half');
      },
      async ({ port, results }) => {
        const wire = new Wire(port, 'GET /x HTTP/1.1\r\nhost: m\r\n\r\n');
        await wire.closes();
        assert.match(wire.seen, /half$/);
        assert.equal(results, ['timeout']);
      },
      { bodies: { modelSilentMs: 300 } },
    ));

  test('a model that does not begin an answer is given up with 504', () =>
    withEdge(
      () => {},
      async ({ port }) => {
        const wire = new Wire(port, 'GET /x HTTP/1.1\r\nhost: m\r\n\r\n');
        await wire.sees('PL_UPSTREAM_TIMEOUT');
        assert.match(wire.seen, /^HTTP\/1\.1 504 /);
      },
      { bodies: { modelSilentMs: 300 } },
    ));
});
