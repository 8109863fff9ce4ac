import { connect as connectHttp2, createServer, type ServerHttp2Session } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import * as assert from 'uvu/assert';
import { watchSession } from '../../src/companion/listening/session-watch.ts';
import { suite } from '../support/suite.ts';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const settings = Buffer.from('000000040000000000', 'hex');
/** DATA on no stream: an error of the whole connection. */
const wrong = Buffer.from('000000000100000000', 'hex');

/** A server whose sessions are watched, and its one session. */
async function withSession(
  everyMs: number,
  run: (port: number, session: Promise<ServerHttp2Session>) => Promise<void>,
) {
  const server = createServer();
  server.on('stream', (stream) => stream.on('error', () => {}));
  const session = new Promise<ServerHttp2Session>((resolve) =>
    server.on('session', (each) => {
      each.on('error', () => {});
      watchSession(each, everyMs);
      resolve(each);
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await run((server.address() as AddressInfo).port, session);
  } finally {
    (await session).destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

const closed = (session: ServerHttp2Session) =>
  session.destroyed ? Promise.resolve() : new Promise<void>((resolve) => session.once('close', () => resolve()));

suite('the watch on HTTP/2 sessions', (test) => {
  test('a caller who broke the protocol and left is let go, which Node by itself never does', () =>
    withSession(20, async (port, session) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.concat([preface, settings, wrong])));
      socket.on('error', () => {});
      socket.resume();
      await session;
      socket.end();
      await closed(await session);
    }));

  test('a caller who is there and does not even answer when asked is let go', () =>
    withSession(20, async (port, session) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.concat([preface, settings])));
      socket.on('error', () => {});
      socket.resume();
      await closed(await session);
      socket.destroy();
    }));

  test('a caller who is silent and answers stays', () =>
    withSession(20, async (port, session) => {
      const caller = connectHttp2(`http://127.0.0.1:${port}`);
      let asked = 0;
      await new Promise<void>((resolve) => {
        caller.on('ping', () => {
          if (++asked === 3) resolve();
        });
      });
      assert.is((await session).destroyed, false);
      caller.destroy();
      await closed(await session);
    }));
});
