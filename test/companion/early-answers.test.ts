// Answers that come before their caller has said everything, and callers over HTTP/2 that give up in the midst.
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import * as assert from 'uvu/assert';
import { withRig } from '../support/companion.ts';
import { until, Wire, withEdge } from '../support/edge.ts';
import { fields, frame, preface, type, u32 } from '../support/http2-frames.ts';
import { suite } from '../support/suite.ts';

const endHeaders = 4;
const scheme: [string, string][] = [
  [':scheme', 'http'],
  [':authority', 'm'],
];
const explain = { ':method': 'POST', ':path': '/v1/models/m:explain' };

/** What came back on a stream that its caller leaves open. */
interface Seen {
  status: number;
  text: string;
  trailers: Record<string, unknown>;
  ended: boolean;
  closed: boolean;
  rstCode: number | undefined;
}

function watch(stream: ClientHttp2Stream): Seen {
  const seen: Seen = { status: 0, text: '', trailers: {}, ended: false, closed: false, rstCode: undefined };
  stream.on('error', () => {});
  stream.on('response', (headers) => {
    seen.status = Number(headers[':status']);
  });
  stream.on('trailers', (trailers) => {
    seen.trailers = trailers;
  });
  stream.on('data', (chunk: Buffer) => {
    seen.text += chunk.toString();
  });
  stream.on('end', () => {
    seen.ended = true;
  });
  stream.on('close', () => {
    seen.closed = true;
    seen.rstCode = stream.rstCode;
  });
  return seen;
}

async function withCaller(port: number, body: (caller: ClientHttp2Session) => Promise<void>): Promise<void> {
  const caller = connect(`http://127.0.0.1:${port}`);
  caller.on('error', () => {});
  try {
    await body(caller);
  } finally {
    caller.destroy();
  }
}

suite('early answers', (test) => {
  test('an upload over HTTP/2 that was answered in its midst frees its place, and its stream ends without an error', () =>
    withEdge(
      (request, response) => {
        if (request.method === 'GET') response.end('served');
        else response.writeHead(413, { 'content-type': 'text/plain' }).end('x'.repeat(100_000));
      },
      ({ port, pass, results }) =>
        withCaller(port, async (caller) => {
          // More than there are places, and never more at once.
          for (let round = 1; round <= 4; round++) {
            const all = Array.from({ length: 8 }, () => {
              const stream = caller.request(explain);
              stream.write('a'.repeat(100));
              return watch(stream);
            });
            await until(() => all.every(({ closed }) => closed), 'the end of all');
            for (const seen of all) assert.equal([seen.status, seen.text.length, seen.ended], [413, 100_000, true]);
            for (const { rstCode } of all) assert.is(rstCode, constants.NGHTTP2_NO_ERROR);
            await until(() => pass.active === 0);
            assert.equal(results, Array(8 * round).fill('4xx'));
          }
          const another = new Wire(port, 'GET /x HTTP/1.1\r\nhost: m\r\n\r\n');
          await another.sees('served');
          another.socket.destroy();
        }),
      { max: 16 },
    ));

  test('an answer that is larger than what the caller takes at once comes whole, and so do its trailers', () =>
    withEdge(
      (_request, response) => {
        response.writeHead(200, { trailer: 'x-sum' });
        response.write(Buffer.alloc(3_000_000, 97));
        response.addTrailers({ 'x-sum': '42' });
        response.end();
      },
      ({ port }) =>
        withCaller(port, async (caller) => {
          const stream = caller.request(explain);
          stream.write('a');
          stream.pause();
          const seen = watch(stream);
          stream.pause();
          await new Promise((resolve) => setTimeout(resolve, 100));
          stream.resume();
          await until(() => seen.closed, 'its end');
          assert.equal([seen.status, seen.text.length, seen.ended], [200, 3_000_000, true]);
          assert.is(seen.trailers['x-sum'], '42');
          assert.is(seen.rstCode, constants.NGHTTP2_NO_ERROR);
        }),
    ));

  test('nothing is kept of requests over HTTP/2 that were refused while their bodies were on the way', () =>
    withRig({ 'body-timeout': '200ms' }, ({ port }) =>
      withCaller(port, async (caller) => {
        const all = Array.from({ length: 50 }, () => {
          const stream = caller.request({ ':method': 'POST', ':path': '/v1/models/m:predict' });
          stream.write('{"ins');
          return watch(stream);
        });
        await until(() => all.every(({ closed }) => closed), 'the end of all');
        for (const { status, text, rstCode } of all) {
          assert.is(status, 408);
          assert.match(text, 'PL_BODY_TIMEOUT');
          assert.is(rstCode, constants.NGHTTP2_NO_ERROR);
        }
      }),
    ));

  test('probes over HTTP/2 whose bodies never end are answered and forgotten', () =>
    withRig({}, ({ port }) =>
      withCaller(port, async (caller) => {
        const stream = caller.request({
          ...explain,
          'user-agent': 'Knative-Activator-Probe',
          'k-network-probe': 'queue',
        });
        stream.write('x');
        const seen = watch(stream);
        await until(() => seen.closed, 'its end');
        assert.ok(seen.status > 0);
        assert.is(seen.rstCode, constants.NGHTTP2_NO_ERROR);
      }),
    ));

  for (const [how, code] of [
    ['cancelled', constants.NGHTTP2_CANCEL],
    ['reset without an error', constants.NGHTTP2_NO_ERROR],
  ] as const) {
    for (const [what, announced, bytes] of [
      ['of unknown length', undefined, 16_000],
      ['of a known length', '100000', 16_000],
      ['that is small', '1000', 500],
    ] as const) {
      // Node's own client ends a stream before it resets it, which says that all was said.
      test(`an upload over HTTP/2 ${what} that is ${how} never reaches the model as a whole request`, () => {
        const atModel: string[] = [];
        return withEdge(
          (request) => {
            request.resume();
            request.on('end', () => atModel.push('whole'));
            request.on('error', () => atModel.push('broken'));
          },
          async ({ port, pass, results }) => {
            const wire = new Wire(port);
            const length: [string, string][] = announced === undefined ? [] : [['content-length', announced]];
            const head = fields(...(Object.entries(explain) as [string, string][]), ...scheme, ...length);
            const body = Buffer.alloc(bytes, 97);
            const frames = [
              frame(type.settings, 0, 0),
              frame(type.headers, endHeaders, 1, head),
              frame(type.data, 0, 1, body),
            ];
            wire.socket.write(Buffer.concat([preface, ...frames]));
            await until(() => pass.active === 1, 'the call');
            await new Promise((resolve) => setTimeout(resolve, 100));
            wire.socket.write(frame(type.reset, 0, 1, u32(code)));
            await until(() => results.length === 1 && pass.active === 0, 'the end of it');
            await new Promise((resolve) => setTimeout(resolve, 50));
            assert.not.ok(atModel.includes('whole'), atModel.join());
            assert.equal(results, ['left']);
            wire.socket.destroy();
          },
        );
      });
    }
  }
});
