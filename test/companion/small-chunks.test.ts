import { connect, type Socket } from 'node:net';
import * as assert from 'uvu/assert';
import { CollectedBytes } from '../../src/companion/http/collected-bytes.ts';
import { CompanionProcess } from '../support/companion-process.ts';
import { fields, frame, preface, type, u32 } from '../support/http2-frames.ts';
import { ModelServer } from '../support/model-server.ts';
import { suite } from '../support/suite.ts';

const megabyte = 1024 * 1024;
const chunks = 1_000_000;
const text = 'x'.repeat(chunks - '{"instances":[""]}'.length);
const body = Buffer.from(`{"instances":["${text}"]}`);
const answer = `{"predictions":[{"echo":"${text}"}]}`;
/** Nobody is waited for longer, however slow the machine is. */
const longMs = 120_000;
const windowMax = 0x7fffffff;

/** A caller that sends a body byte by byte. */
interface ByteCaller {
  readonly socket: Socket;
  /** Sends bytes of the body, each as a chunk of its own. */
  send(from: number, to: number): Promise<void>;
  /** Ends the body. Returns the answer's. */
  end(): Promise<string>;
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + longMs;
  while (!(await what())) {
    assert.ok(performance.now() < end, 'it does not come');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Sends pieces of the body, each made by `make`, no faster than they are taken. */
async function sendEach(socket: Socket, from: number, to: number, make: (byte: Buffer) => Buffer): Promise<void> {
  const some = Buffer.concat(Array.from(body.subarray(from, to), (byte) => make(Buffer.of(byte))));
  if (!socket.write(some)) await new Promise((resolve) => socket.once('drain', resolve));
}

function overHttp1(port: number): ByteCaller {
  const socket = connect(port, '127.0.0.1');
  const seen: string[] = [];
  socket.on('data', (chunk) => seen.push(chunk.toString('latin1')));
  socket.write('POST /v1/models/m:predict HTTP/1.1\r\nhost: m\r\ncontent-type: application/json\r\n');
  socket.write('transfer-encoding: chunked\r\nconnection: close\r\n\r\n');
  return {
    socket,
    send: async (from, to) => {
      for (let i = from; i < to; i += 10_000) {
        const make = (byte: Buffer) => Buffer.concat([Buffer.from('1\r\n'), byte, Buffer.from('\r\n')]);
        await sendEach(socket, i, Math.min(to, i + 10_000), make);
      }
    },
    end: async () => {
      socket.write('0\r\n\r\n');
      await until(() => socket.closed);
      return seen.join('').split('\r\n\r\n')[1] ?? '';
    },
  };
}

function overHttp2(port: number): ByteCaller {
  const socket = connect(port, '127.0.0.1');
  const seen: Buffer[] = [];
  /** Bytes that may be sent, on the connection and on the stream. */
  const windows = [65_535, 65_535];
  let over = false;
  let unread: Buffer = Buffer.alloc(0);
  const hear = (kind: number, flags: number, stream: number, payload: Buffer) => {
    if (kind === type.data) seen.push(payload);
    if (kind === type.data && flags & 1) over = true;
    if (kind === type.windowUpdate) windows[stream] = (windows[stream] ?? 0) + payload.readUInt32BE();
    if (kind !== type.settings || flags & 1) return;
    socket.write(frame(type.settings, 1, 0));
    for (let i = 0; i < payload.length; i += 6) {
      if (payload.readUInt16BE(i) === 4) windows[1] = (windows[1] ?? 0) + payload.readUInt32BE(i + 2) - 65_535;
    }
  };
  socket.on('data', (chunk) => {
    unread = Buffer.concat([unread, chunk]);
    while (unread.length >= 9 && unread.length >= 9 + unread.readUIntBE(0, 3)) {
      const length = 9 + unread.readUIntBE(0, 3);
      hear(unread.readUInt8(3), unread.readUInt8(4), unread.readUInt32BE(5), unread.subarray(9, length));
      unread = unread.subarray(length);
    }
  });
  const head: [string, string][] = [
    [':method', 'POST'],
    [':path', '/v1/models/m:predict'],
    [':scheme', 'http'],
    [':authority', 'm'],
    ['content-type', 'application/json'],
  ];
  const windowOfStreams = Buffer.concat([Buffer.of(0, 4), u32(windowMax)]);
  socket.write(Buffer.concat([preface, frame(type.settings, 0, 0, windowOfStreams)]));
  socket.write(frame(type.windowUpdate, 0, 0, u32(windowMax - 65_535)));
  socket.write(frame(type.headers, 4, 1, fields(...head)));
  return {
    socket,
    send: async (from, to) => {
      for (let i = from; i < to; ) {
        await until(() => Math.min(...windows) > 0);
        const next = Math.min(to, i + 10_000, i + Math.min(...windows));
        for (const side of [0, 1]) windows[side] = (windows[side] ?? 0) - (next - i);
        await sendEach(socket, i, next, (byte) => frame(type.data, 0, 1, byte));
        i = next;
      }
    },
    end: async () => {
      socket.write(frame(type.data, 1, 1));
      await until(() => over || socket.closed);
      return Buffer.concat(seen).toString('latin1');
    },
  };
}

/** A companion in a process of its own and what a million chunks of a byte cost it, before the last of them. */
async function heldBy(call: (port: number) => ByteCaller): Promise<void> {
  const model = new ModelServer();
  model.keepCalls = false;
  const upstream = `http://127.0.0.1:${await model.start()}`;
  const times = ['--slo', '60s', '--late-timeout', '5m', '--body-timeout', '5m'];
  // Payloads that are logged are collected too; this sink takes none.
  const logging = ['--log-url', 'http://127.0.0.1:1'];
  const companion = await CompanionProcess.start(['--upstream', upstream, ...times, ...logging]);
  try {
    const headers = { 'content-type': 'application/json' };
    const url = `http://127.0.0.1:${companion.port}/v1/models/m:predict`;
    const warm = await fetch(url, { method: 'POST', headers, body: '{"instances":[1]}' });
    assert.is(await warm.text(), '{"predictions":[{"echo":1}]}');
    const before = await companion.state();
    const caller = call(companion.port);
    await caller.send(0, chunks - 1);
    await until(async () => {
      const [, held] = /^paceline_waiting_bytes (\d+)/m.exec(await companion.page('/metrics')) ?? [];
      return Number(held) === chunks - 1;
    });
    const { heapUsed, external } = await companion.state();
    const grown = heapUsed + external - before.heapUsed - before.external;
    assert.ok(grown < 16 * megabyte, `${Math.round(grown / megabyte)} MB for ${chunks} bytes`);
    await caller.send(chunks - 1, chunks);
    assert.ok((await caller.end()) === answer, 'the answer is right');
    caller.socket.destroy();
  } finally {
    companion.stop();
    await model.stop();
  }
}

suite('companion: bodies in small chunks', (test) => {
  test('a million chunks of a byte hold little more than a million bytes', () => heldBy(overHttp1));

  test('and so do a million frames of HTTP/2', () => heldBy(overHttp2));

  test('whatever the sizes of chunks are, all comes out in its order, and a chunk that came alone as it is', () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 31 + (i >> 8)) & 255));
    for (const sizes of [[1], [4095], [4096], [1, 5000], [3, 1023, 9000, 4095, 1, 1], [65_537, 2], [0, 700, 0]]) {
      const collected = new CollectedBytes();
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const end = Math.min(bytes.length, at + (sizes[i % sizes.length] ?? 0));
        collected.add(bytes.subarray(at, end));
        at = end;
      }
      assert.is(collected.length, bytes.length);
      assert.ok(collected.copy().equals(bytes), `copied, of ${sizes}`);
      assert.ok(collected.whole().equals(bytes), `whole, of ${sizes}`);
    }
    const alone = new CollectedBytes();
    alone.add(bytes);
    assert.is(alone.whole(), bytes);
    assert.is.not(alone.copy(), bytes);
    assert.is(new CollectedBytes().whole().length, 0);
  });
});
