import type { IncomingMessage } from 'node:http';
import * as assert from 'uvu/assert';
import { type Edge, Wire, withEdge } from '../support/edge.ts';
import { suite } from '../support/suite.ts';

/** A request as the model saw it. */
interface Seen {
  readonly line: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** Runs a body with a model that notes what it sees. */
function withWitness(body: (edge: Edge, seen: Seen[]) => Promise<void>): Promise<void> {
  const seen: Seen[] = [];
  return withEdge(
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const text = Buffer.concat(chunks).toString('latin1');
        seen.push({ line: `${request.method} ${request.url}`, headers: request.headers, body: text });
        response.end('seen');
      });
    },
    (edge) => body(edge, seen),
    { limits: { headersTimeoutMs: 300, idleMs: 300 } },
  );
}

/** What an attacker would have served as a request of somebody else. */
const hidden = 'GET /smuggled HTTP/1.1\r\nhost: m\r\n\r\n';
const post = 'POST /x HTTP/1.1\r\nhost: m\r\n';
const chunkedHidden = `0\r\n\r\n${hidden}`;

/** Framing that two servers might read in two ways: refused, and nothing of it reaches the model. */
const refused: Record<string, string> = {
  'length and chunks': `${post}content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n${chunkedHidden}`,
  'chunks and length': `${post}transfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n${chunkedHidden}`,
  'two lengths': `${post}content-length: 0\r\ncontent-length: ${hidden.length}\r\n\r\n${hidden}`,
  'two equal lengths': `${post}content-length: 5\r\ncontent-length: 5\r\n\r\nabcde${hidden}`,
  'a list of lengths': `${post}content-length: 0, ${hidden.length}\r\n\r\n${hidden}`,
  'a length with a sign': `${post}content-length: +5\r\n\r\nabcde${hidden}`,
  'a negative length': `${post}content-length: -1\r\n\r\n${hidden}`,
  'a length with a space in it': `${post}content-length: 1 0\r\n\r\n${hidden}`,
  'a hexadecimal length': `${post}content-length: 0x5\r\n\r\nabcde${hidden}`,
  'a length beyond 64 bits': `${post}content-length: 18446744073709551621\r\n\r\nabcde${hidden}`,
  'chunks that are not last': `${post}transfer-encoding: chunked, identity\r\n\r\n${chunkedHidden}`,
  'an unknown encoding': `${post}transfer-encoding: xchunked\r\n\r\n${chunkedHidden}`,
  'the identity encoding': `${post}transfer-encoding: identity\r\n\r\n${hidden}`,
  'an empty encoding': `${post}transfer-encoding: \r\ncontent-length: 5\r\n\r\nabcde${hidden}`,
  'an encoding in quotes': `${post}transfer-encoding: "chunked"\r\n\r\n${chunkedHidden}`,
  'a vertical tab before the encoding': `${post}transfer-encoding: \x0bchunked\r\n\r\n${chunkedHidden}`,
  'an encoding behind a second line': `${post}transfer-encoding: chunked\r\ntransfer-encoding: x\r\n\r\n${chunkedHidden}`,
  'a space before the colon': `${post}transfer-encoding : chunked\r\n\r\n${chunkedHidden}`,
  'a tab before the colon': `${post}content-length\t: 5\r\n\r\nabcde${hidden}`,
  'a folded line': `${post}x-a: b\r\n c: d\r\ncontent-length: 0\r\n\r\n${hidden}`,
  'a folded encoding': `${post}transfer-encoding:\r\n chunked\r\n\r\n${chunkedHidden}`,
  'a header before the line of the request': ` ${post}content-length: 0\r\n\r\n${hidden}`,
  'NUL in a name': `${post}x\0y: z\r\ncontent-length: 0\r\n\r\n${hidden}`,
  'NUL in a value': `${post}x-a: b\0c\r\ncontent-length: 0\r\n\r\n${hidden}`,
  'CR in a value': `${post}x-a: b\rcontent-length: 0\r\n\r\n${hidden}`,
  'a header without a name': `${post}: x\r\n\r\n${hidden}`,
  'chunks in HTTP/1.0': `POST /x HTTP/1.0\r\nhost: m\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n${chunkedHidden}`,
  'HTTP/0.9': `GET /smuggled\r\n\r\n${hidden}`,
  'HTTP/1.2 with a tail': `GET /x HTTP/1.1x\r\nhost: m\r\n\r\n${hidden}`,
  'another host in the target': `GET http://elsewhere/smuggled HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n`,
  'no host': `GET /smuggled HTTP/1.1\r\n\r\n${hidden}`,
  'two hosts': `GET /smuggled HTTP/1.1\r\nhost: m\r\nhost: n\r\n\r\n${hidden}`,
};

/** Chunks that are none: the request breaks off, and what is behind it is no request. */
const broken: Record<string, string> = {
  'a size that overflows': `ffffffffffffffff1\r\nabc\r\n${chunkedHidden}`,
  'a size with a sign': `+3\r\nabc\r\n${chunkedHidden}`,
  'a negative size': `-3\r\nabc\r\n${chunkedHidden}`,
  'a hexadecimal prefix': `0x3\r\nabc\r\n${chunkedHidden}`,
  'a space before the size': ` 3\r\nabc\r\n${chunkedHidden}`,
  'a bare LF behind the size': `3\nabc\r\n${chunkedHidden}`,
  'a bare LF behind the chunk': `3\r\nabc\n${chunkedHidden}`,
  'no end of the chunk': `3\r\nabcd\r\n${chunkedHidden}`,
  'extensions without an end': `3;${'a'.repeat(40_000)}`,
  'a bare CR in an extension': `3;a\rb\r\nabc\r\n${chunkedHidden}`,
};

suite('listener: one request is never two', (test) => {
  test('framing that can be read in two ways is refused, and nothing reaches the model', () =>
    withWitness(async ({ port }, seen) => {
      for (const [name, bytes] of Object.entries(refused)) {
        const reply = await new Wire(port, bytes).closes();
        assert.match(reply, /^HTTP\/1\.1 (400|505) |^$/, `${name}: ${JSON.stringify(reply)}`);
        assert.is(reply.match(/HTTP\/1\.1 /g)?.length ?? 0, reply === '' ? 0 : 1, `${name}: one answer`);
        assert.equal(seen, [], name);
      }
      const sound = new Wire(port, `${post}content-length: 2\r\n\r\nok`);
      await sound.sees('seen');
    }));

  test('chunks that are none end the request: the model never sees it whole, nor what is behind', () =>
    withWitness(async ({ port }, seen) => {
      for (const [name, chunks] of Object.entries(broken)) {
        const reply = await new Wire(port, `${post}transfer-encoding: chunked\r\n\r\n${chunks}`).closes();
        assert.not.match(reply, / 200 /, `${name}: ${reply}`);
        assert.equal(seen, [], name);
      }
    }));

  test('a body is framed anew: its length, and nothing that was hidden in it, reaches the model', () =>
    withWitness(async ({ port }, seen) => {
      const sound: [string, string][] = [
        [`content-length: ${hidden.length}\r\n\r\n${hidden}`, hidden],
        [`transfer-encoding: chunked\r\n\r\n${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`, hidden],
        ['transfer-encoding:  chunked \r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n', 'abc'],
        ['transfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\nx-late: 1\r\n\r\n', 'abc'],
        ['content-length: 3\r\nconnection: content-length\r\n\r\nabc', 'abc'],
        ['content-length: 3\r\nconnection: close, transfer-encoding\r\n\r\nabc', 'abc'],
      ];
      for (const [rest, body] of sound) {
        seen.length = 0;
        const wire = new Wire(port, post + rest);
        await wire.sees('seen');
        await new Promise((resolve) => setTimeout(resolve, 20));
        assert.is(seen.length, 1, rest);
        assert.is(seen[0]?.line, 'POST /x');
        assert.is(seen[0]?.body, body);
        const { 'content-length': length, 'transfer-encoding': encoding } = seen[0]?.headers ?? {};
        assert.ok((length === undefined) !== (encoding === undefined), 'one framing');
        assert.is(seen[0]?.headers['x-late'], undefined, 'trailers are no headers');
        wire.socket.destroy();
      }
    }));

  test('a request behind one that is refused is not served', () =>
    withWitness(async ({ port }, seen) => {
      const good = 'GET /good HTTP/1.1\r\nhost: m\r\n\r\n';
      const wire = new Wire(port, `${good}GET /bad HTTP/1.1\r\nhost: m\r\nx y: z\r\n\r\n${hidden}`);
      await wire.closes();
      assert.not(seen.some(({ line }) => line.includes('smuggled')));
    }));

  test('an upgrade that the model does not take carries no second request', () =>
    withWitness(async ({ port }, seen) => {
      for (const extra of ['', 'content-length: 5\r\n', 'transfer-encoding: chunked\r\n']) {
        seen.length = 0;
        const head = `GET /ws HTTP/1.1\r\nhost: m\r\nconnection: upgrade\r\nupgrade: websocket\r\n${extra}\r\n`;
        await new Wire(port, head + hidden).closes();
        assert.not(seen.some(({ line }) => line === 'GET /smuggled') && extra === '', JSON.stringify(seen));
        assert.ok(seen.filter(({ line }) => line === 'GET /ws').length <= 1);
      }
    }));

  test('an upgrade with headers that cannot be sent on is refused, and ends nobody else', () =>
    withWitness(async ({ port }, seen) => {
      const upgrade = 'GET /ws HTTP/1.1\r\nhost: m\r\nconnection: upgrade\r\nupgrade: websocket\r\ntrailer: x\r\n\r\n';
      assert.match(await new Wire(port, upgrade).closes(), /^HTTP\/1\.1 400 .*PL_HTTP_SYNTAX/s);
      const sound = new Wire(port, `${post}content-length: 2\r\nconnection: close\r\n\r\nok`);
      assert.match(await sound.closes(), /seen/);
      assert.is(seen.length, 1);
    }));

  test('too many headers, or too long ones, get 431', () =>
    withWitness(async ({ port }, seen) => {
      const many = Array.from({ length: 300 }, (_, i) => `x-${i}: y\r\n`).join('');
      for (const headers of [many, `x: ${'a'.repeat(70_000)}\r\n`, `${'b'.repeat(70_000)}: c\r\n`]) {
        const reply = await new Wire(port, `GET /smuggled HTTP/1.1\r\nhost: m\r\n${headers}\r\n`).closes();
        assert.match(reply, /^HTTP\/1\.1 431 .*PL_HEADERS_TOO_LARGE/s);
      }
      const target = await new Wire(port, `GET /${'a'.repeat(70_000)} HTTP/1.1\r\nhost: m\r\n\r\n`).closes();
      assert.match(target, /^HTTP\/1\.1 431 /);
      assert.equal(seen, []);
    }));
});
