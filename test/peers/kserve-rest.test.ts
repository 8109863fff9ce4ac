// needs: kserve
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import { answered, ofCrowd, ofMixedCrowd, refused } from './cases/inferences.ts';
import { binaryCase, jsonCase, v1Case } from './cases/tensors.ts';
import type { HttpCase } from './support/http-call.ts';
import { RestRig } from './support/rest-rig.ts';
import { type PeerServer, startKServe } from './support/servers.ts';

let server: PeerServer;
let rig: RestRig;
const json = { 'content-type': 'application/json' };

function post(name: string, path: string, body: string, headers: Record<string, string> = json): HttpCase {
  return { name, path, headers, body: Buffer.from(body) };
}

suite("KServe's server over REST", (test) => {
  test.before(async () => {
    server = await startKServe();
    rig = await RestRig.start(server.rest);
  });
  test.after(async () => {
    await rig?.stop();
    await server?.stop();
  });

  test('what the model refuses is refused in its own words', async () => {
    const answers = await rig.agree([
      v1Case('V1, an unknown model', 'nobody', '[[1,2]]'),
      v1Case('V1, a row that the model refuses', 'strict', '[[1,-2]]'),
      v1Case('V1, rows of two widths', 'strict', '[[1,2],["a"]]'),
      post('V1, no rows at all', '/v1/models/peer:predict', '{"signature_name":"x"}'),
      ...refused.map(([name, inference]) => jsonCase(`JSON, ${name}`, inference)),
      ...refused.map(([name, inference]) => binaryCase(`binary, ${name}`, inference)),
    ]);
    const failures = answers.filter(({ status }) => status < 400).length;
    assert.is(failures, 0, 'the cases are of what is refused');
  });

  test('V1: rows of numbers, texts and objects, one by one', async () => {
    await rig.agree([
      v1Case('one row', 'peer', '[[1,2.5]]'),
      v1Case('several rows', 'peer', '[[1,2.50],[3,4e2],[-0.0,9007199254740993]]'),
      v1Case('inputs', 'peer', '[[1,2]]', 'inputs'),
      v1Case('a space where none is needed', 'peer', ' [ [1 , 2] ]'),
      post('one more field', '/v1/models/peer:predict', '{"signature_name":"s","instances":[[1,2]]}'),
      post('a query', '/v1/models/peer:predict?a=b%20c', '{"instances":[[1,2]]}'),
      post('a charset that KServe leaves undecoded', '/v1/models/peer:predict', '{"instances":[[1,2]]}', {
        'content-type': 'application/json; charset=utf-8',
      }),
      post('no content type', '/v1/models/peer:predict', '{"instances":[[1,2]]}', {}),
    ]);
  });

  test('V2 JSON and binary: every datatype, shape, output and id, one by one', async () => {
    await rig.agree([
      ...answered.map(([name, inference]) => jsonCase(`JSON, ${name}`, inference)),
      ...answered.map(([name, inference]) => binaryCase(`binary, ${name}`, inference)),
      ...answered.map(([name, inference]) =>
        binaryCase(`binary, all outputs raw, ${name}`, { ...inference, parameters: { binary_data_output: true } }),
      ),
    ]);
  });

  test('V2 binary: mixed with JSON, and outputs raw one by one', async () => {
    const two = {
      model: 'peer',
      id: 'mixed',
      tensors: [
        { name: 'a', datatype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4] },
        { name: 'b', datatype: 'BYTES', shape: [2, 1], data: ['é', ''] },
      ],
    } as const;
    const outputs = [{ name: 'a_out', raw: true }, { name: 'b_out', raw: false }, { name: 'sums' }];
    await rig.agree([
      binaryCase('the first raw', two, (i) => i === 0),
      binaryCase('the second raw', two, (i) => i === 1),
      binaryCase('outputs in their own ways', { ...two, outputs }),
      jsonCase('raw outputs for JSON inputs', { ...two, outputs }),
      jsonCase('all outputs raw for JSON inputs', { ...two, parameters: { binary_data_output: true } }),
    ]);
  });

  test('everything that is no inference', async () => {
    await rig.agree([
      ...['/', '/v1/models', '/v1/models/peer', '/v1/models/nobody', '/v2', '/v2/models', '/v2/models/peer'].map(
        (path) => ({ name: path, path }),
      ),
      ...['/v2/health/live', '/v2/health/ready', '/v2/models/peer/ready', '/v2/models/nobody/ready', '/nowhere'].map(
        (path) => ({ name: path, path }),
      ),
      post('explain', '/v1/models/peer:explain', '{"instances":[[1,2]]}'),
      post('a name that is escaped', '/v1/models/pe%65r:predict', '{"instances":[[1,2]]}'),
      { name: 'GET of an inference path', path: '/v1/models/peer:predict' },
    ]);
  });

  for (const [protocol, write] of [
    ['V2 JSON', jsonCase],
    ['V2 binary', binaryCase],
    [
      'V2 binary, outputs raw',
      (name: string, inference: Parameters<typeof binaryCase>[1]) =>
        binaryCase(name, { ...inference, parameters: { binary_data_output: true } }),
    ],
  ] as const) {
    test(`${protocol}: many callers at once get their own answers`, async () => {
      await rig.agreeAtOnce(Array.from({ length: 96 }, (_, i) => write(`${protocol} ${i}`, ofCrowd(i))));
    });

    test(`${protocol}: those that the model refuses spoil nobody else's batch`, async () => {
      const cases = Array.from({ length: 48 }, (_, i) =>
        write(`${protocol}, one in eight refused, ${i}`, ofMixedCrowd(i)),
      );
      const answers = await rig.agreeAtOnce(cases);
      assert.is(answers.filter(({ status }) => status === 400).length, 6);
      assert.is(answers.filter(({ status }) => status === 200).length, 42);
    });
  }

  test('V1: many callers at once get their own answers, and only bad rows are refused', async () => {
    const rows = (i: number) => `[[${i}.50,1e${i % 9}]${i % 2 === 0 ? `,[${i},0]` : ''}]`;
    await rig.agreeAtOnce(Array.from({ length: 96 }, (_, i) => v1Case(`V1 ${i}`, 'peer', rows(i))));
    const mixed = (i: number) =>
      v1Case(`V1, one in eight refused, ${i}`, 'strict', i % 8 === 3 ? `[[-${i}]]` : `[[${i}]]`);
    const answers = await rig.agreeAtOnce(Array.from({ length: 48 }, (_, i) => mixed(i)));
    assert.is(answers.filter(({ status }) => status === 400).length, 6);
  });
});

suite('what changes at KServe', (test) => {
  test('a model whose replies cannot be split is served one by one, and unloading it reaches the server', async () => {
    const own = await startKServe();
    const total = await RestRig.start(own.rest);
    try {
      const cases = Array.from({ length: 24 }, (_, i) => v1Case(`total ${i}`, 'total', `[[${i},1]]`));
      const direct: string[] = [];
      for (const one of cases) direct.push(`${(await total.direct.call(one)).body}`);
      const through = await Promise.all(cases.map((one) => total.through.call(one)));
      assert.equal(
        through.map(({ body }) => `${body}`),
        direct,
      );
      assert.ok((await total.companion.metric('paceline_unsplittable_replies_total')) > 0, 'a batch was tried');
      assert.equal(`${(await total.through.call(cases[3] as HttpCase)).body}`, direct[3]);

      const unloaded = await total.through.call(post('unload', '/v2/repository/models/total/unload', ''));
      assert.is(`${unloaded.status} ${unloaded.body}`, '200 {"name":"total","unload":true}');
      const [gone] = await total.agree([cases[0] as HttpCase]);
      assert.is(gone?.status, 404);
    } finally {
      await total.stop();
      await own.stop();
    }
  });
});
