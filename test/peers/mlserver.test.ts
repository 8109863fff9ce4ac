// needs: mlserver
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import { answered, ofCrowd, ofMixedCrowd, refused, x } from './cases/inferences.ts';
import { named, statusCalls } from './cases/status-calls.ts';
import { binaryCase, grpcRequest, type Inference, jsonCase } from './cases/tensors.ts';
import { GrpcRig, inferCase } from './support/grpc-rig.ts';
import type { HttpCase } from './support/http-call.ts';
import { RestRig } from './support/rest-rig.ts';
import { type PeerServer, startMlserver } from './support/servers.ts';

let server: PeerServer;
let rest: RestRig;
let grpc: GrpcRig;
const json = { 'content-type': 'application/json' };

/** A table: one input a column, as MLServer's `pd` has it. */
function table(caller: number): Inference {
  const rows = 1 + (caller % 3);
  return {
    model: 'peer',
    id: `table ${caller}`,
    parameters: { content_type: 'pd' },
    tensors: [
      { ...x('FP32', [rows, 1], (i) => caller + i / 2), name: 'a' },
      { ...x('INT64', [rows, 1], (i) => BigInt(i) - 7n), name: 'b' },
      { ...x('BYTES', [rows, 1], (i) => `row ${i} of ${caller}`), name: 'c', parameters: { content_type: 'str' } },
    ],
  };
}

function post(name: string, path: string, body: string, headers: Record<string, string> = json): HttpCase {
  return { name, path, headers, body: Buffer.from(body) };
}

suite('MLServer over REST', (test) => {
  test.before(async () => {
    server = await startMlserver();
    rest = await RestRig.start(server.rest);
    grpc = await GrpcRig.start(server.grpc);
  });
  test.after(async () => {
    await rest?.stop();
    await grpc?.stop();
    await server?.stop();
  });

  test('what the model refuses is refused in its own words', async () => {
    const answers = await rest.agree([
      ...refused.map(([name, inference]) => jsonCase(name, inference)),
      // MLServer has no binary tensors over REST.
      binaryCase('raw tensors', ofCrowd(1)),
      post('a tensor without data', '/v2/models/peer/infer', '{"inputs":[{"name":"x","shape":[1],"datatype":"FP32"}]}'),
    ]);
    assert.ok(answers.every(({ status }) => status >= 400));
  });

  test('every datatype, shape, output, version and id, one by one', async () => {
    await rest.agree([
      ...answered.map(([name, inference]) => jsonCase(name, inference)),
      jsonCase('a version', { ...ofCrowd(1), version: 'v1' }),
      jsonCase('nested in another way', { ...ofCrowd(1), parameters: { content_type: 'np' } }),
      post(
        'nested data',
        '/v2/models/peer/infer',
        '{"id":"n","inputs":[{"name":"x","shape":[2,2],"datatype":"INT64","data":[[1,2],[3,4]]}]}',
      ),
      ...[0, 1, 2].map((i) => jsonCase(`a table ${i}`, table(i))),
      post('generate', '/v2/models/peer/generate', String(jsonCase('', ofCrowd(4)).body)),
    ]);
  });

  test('everything that is no inference', async () => {
    const paths = ['/v2', '/v2/models/peer', '/v2/models/peer/versions/v1', '/v2/models/nobody', '/v2/health/live'];
    await rest.agree([
      ...[...paths, '/v2/health/ready', '/v2/models/peer/ready', '/v2/models/nobody/ready', '/v2/docs', '/no'].map(
        (path) => ({ name: path, path }),
      ),
      post('the repository', '/v2/repository/index', '{}'),
      post('unload', '/v2/repository/models/nobody/unload', ''),
    ]);
  });

  test('a stream of events comes as the model sends it, piece by piece', async () => {
    const body = String(jsonCase('', { ...ofCrowd(2), id: 'stream' }).body);
    const [answer] = await rest.agree([post('a stream', '/v2/models/peer/generate_stream', body)]);
    assert.is(`${answer?.body}`.match(/"step \d"/g)?.length, 5);
    const reply = await fetch(`http://127.0.0.1:${rest.companion.port}/v2/models/peer/generate_stream`, {
      method: 'POST',
      headers: json,
      body,
    });
    const pieces: string[] = [];
    for await (const piece of reply.body ?? []) pieces.push(Buffer.from(piece).toString());
    assert.ok(pieces.length > 1, 'pieces come while the model goes on');
  });

  test('many callers at once get their own answers', async () => {
    await rest.agreeAtOnce(Array.from({ length: 96 }, (_, i) => jsonCase(`JSON ${i}`, ofCrowd(i))));
  });

  test('tables of many callers at once', async () => {
    await rest.agreeAtOnce(Array.from({ length: 48 }, (_, i) => jsonCase(`tables ${i}`, table(i))));
  });

  test("those that the model refuses spoil nobody else's batch", async () => {
    const answers = await rest.agreeAtOnce(
      Array.from({ length: 48 }, (_, i) => jsonCase(`one in eight refused, ${i}`, ofMixedCrowd(i))),
    );
    assert.is(answers.filter(({ status }) => status === 400).length, 6);
    assert.is(answers.filter(({ status }) => status === 200).length, 42);
  });

  for (const [way, raw] of [
    ['raw', true],
    ['typed', false],
  ] as const) {
    const writable = ({ tensors }: Inference) => raw || tensors.every(({ datatype }) => datatype !== 'FP16');

    test(`gRPC ${way}: what the model refuses is refused with its status and its words`, async () => {
      const answers = await grpc.agree(
        refused.map(([name, inference]) => inferCase(`${way}, ${name}`, grpcRequest(inference, raw))),
      );
      assert.ok(answers.every(({ code }) => code !== 0));
    });

    test(`gRPC ${way}: every datatype, shape, output, version and id, one by one`, async () => {
      const cases = [
        ...answered,
        ['a version', { ...ofCrowd(1), version: 'v1' }] as const,
        ['a table', table(1)] as const,
      ];
      await grpc.agree(
        cases
          .filter(([, inference]) => writable(inference))
          .map(([name, inference]) => inferCase(`${way}, ${name}`, grpcRequest(inference, raw))),
      );
    });

    test(`gRPC ${way}: many callers at once get their own answers`, async () => {
      await grpc.agreeAtOnce(
        Array.from({ length: 96 }, (_, i) => inferCase(`gRPC ${way} ${i}`, grpcRequest(ofCrowd(i), raw))),
      );
    });

    test(`gRPC ${way}: those that the model refuses spoil nobody else's batch`, async () => {
      const answers = await grpc.agreeAtOnce(
        Array.from({ length: 48 }, (_, i) =>
          inferCase(`gRPC ${way}, one in eight refused, ${i}`, grpcRequest(ofMixedCrowd(i), raw)),
        ),
      );
      assert.is(answers.filter(({ code }) => code === 3).length, 6);
    });
  }

  test('gRPC: everything that is no inference, and a stream', async () => {
    const empty = Buffer.alloc(0);
    await grpc.agree([
      ...statusCalls,
      { name: 'an unknown model', method: 'ModelMetadata', body: named('nobody') },
      { name: 'the repository', method: 'RepositoryIndex', body: empty },
    ]);
    const stream = { ...inferCase('', grpcRequest({ ...ofCrowd(2), id: 'stream' }, true)), method: 'ModelStreamInfer' };
    const direct = await grpc.direct.stream(stream);
    assert.is(direct.messages.length, 5);
    assert.equal(await grpc.through.stream(stream), direct);
  });
});
