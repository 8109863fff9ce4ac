import { connect as connectHttp2, createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import * as assert from 'uvu/assert';
import { plain, type Written } from '../contract/asked.ts';
import { grpcDriver } from '../contract/grpc-driver.ts';
import { withGrpcEdges } from '../contract/grpc-edges.ts';
import { type Rig, withRig } from '../support/companion.ts';
import { answerOf, framed } from '../support/http2-edge.ts';
import { suite } from '../support/suite.ts';

const flags = { 'variant-of': 'resnet', 'model-name': 'm', slo: '10s' };
const large = 5 * 1024 * 1024;

function message(model: string): Buffer {
  return (grpcDriver.write({ ...plain, id: 'i', rows: [[1, 2]], model }) as Written).body;
}

/** A message that ends in a field that nobody knows, of so many bytes. */
function padded(model: string, bytes: number): Buffer {
  const head = Buffer.of(0xfa, 0x07, 0, 0, 0, 0);
  for (let left = bytes, i = 2; i < 6; i++, left >>>= 7) head[i] = (left & 0x7f) | (i < 5 ? 0x80 : 0);
  return Buffer.concat([message(model), head, Buffer.alloc(bytes)]);
}

async function call(port: number, body: Buffer, headers: Record<string, string> = {}) {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  const stream = session.request({
    ':method': 'POST',
    ':path': '/inference.GRPCInferenceService/ModelInfer',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.end(framed(body));
  const answer = await answerOf(stream);
  session.destroy();
  const { headers: begin, trailers } = answer;
  const said = begin['grpc-status'] === undefined ? trailers : begin;
  return { status: Number(said['grpc-status']), message: String(said['grpc-message']) };
}

/** Runs a body with a model over HTTP/2 that is written by the test. */
async function withHttp2Model(
  serve: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void,
  body: (upstream: string) => Promise<void>,
): Promise<void> {
  const model = createServer();
  model.on('stream', serve);
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
  try {
    await body(`http://127.0.0.1:${(model.address() as AddressInfo).port}`);
  } finally {
    model.close();
  }
}

async function totals(rig: Rig) {
  const { totals, attainment } = (await rig.admin('/signals')).json as {
    totals: { requests: number; failed: number; batches: number; items: number; calls: { calls: number } };
    attainment: { requests: number };
  };
  return { ...totals, seen: attainment.requests };
}

suite('gRPC variants', (test) => {
  for (const mode of ['act', 'advise', 'off']) {
    test(`a message above 4 MB that asks for the group is refused, mode ${mode}; under the own name it passes`, () =>
      withGrpcEdges(
        grpcDriver,
        { ...flags, mode },
        async ({ rig, calls }) => {
          const body = padded('resnet', large);
          for (const headers of [{}, { 'content-length': String(body.length + 5) }] as Record<string, string>[]) {
            const refused = await call(rig.port, body, headers);
            assert.is(refused.status, 8, refused.message);
            assert.match(refused.message, /PL_MESSAGE_TOO_LARGE/);
          }
          assert.is(calls.length, 0);
          await call(rig.port, padded('m', large));
          assert.is(calls.length, 1, 'it is the model that says what it thinks of it');
        },
        'm',
      ));
  }

  for (const mode of ['act', 'advise', 'off']) {
    test(`a model is not told that a caller of the group takes compressed replies (${mode})`, async () => {
      const asked: unknown[] = [];
      await withHttp2Model(
        (stream, headers) => {
          asked.push(headers['grpc-accept-encoding']);
          stream.respond(
            { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' },
            { endStream: true },
          );
        },
        async (upstream) =>
          withRig({ ...flags, mode, upstream }, async (rig) => {
            const takesGzip = { 'grpc-accept-encoding': 'identity, deflate, gzip' };
            await call(rig.port, message('resnet'), takesGzip);
            await call(rig.port, message('m'), takesGzip);
          }),
      );
      assert.equal(asked, [undefined, 'identity, deflate, gzip']);
    });
  }

  test('in mode advise each call counts once, and by its own status', () =>
    withGrpcEdges(
      grpcDriver,
      { ...flags, mode: 'advise' },
      async ({ rig }) => {
        for (let i = 0; i < 3; i++) assert.is((await call(rig.port, message('resnet'))).status, 0);
        for (let i = 0; i < 2; i++) assert.is((await call(rig.port, message('m'))).status, 0);
        const after = await totals(rig);
        assert.is(after.requests, 5);
        assert.is(after.seen, 5);
        assert.is(after.failed, 0);
      },
      'm',
    ));

  test('a call that passes without having been counted out lowers no mean', () =>
    withGrpcEdges(
      grpcDriver,
      { ...flags, mode: 'off' },
      async ({ rig }) => {
        for (let i = 0; i < 3; i++) assert.is((await call(rig.port, message('resnet'))).status, 0);
        const { batches, items, calls } = await totals(rig);
        assert.equal([batches, items, calls.calls], [0, 0, 0]);
      },
      'm',
    ));
});
