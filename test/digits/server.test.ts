import * as assert from 'uvu/assert';
import { readSamples } from '../../src/digits/samples.ts';
import { DigitsServer } from '../../src/digits/server.ts';
import { DigitModel, variantNames } from '../../src/digits/variants.ts';
import { digitPixels, Variant } from '../../src/kernels/digits.ts';
import { suite } from '../support/suite.ts';

const batchMax = 8;
const server = new DigitsServer(batchMax);
const url = `http://127.0.0.1:${await server.listen(0, '127.0.0.1')}`;
const samples = readSamples().slice(0, 10);
const rows = samples.map(({ pixels }) => [...pixels]);
const [one, two, three] = rows as [number[], number[], number[]];
const expected = new DigitModel().classify(
  Variant.Conv,
  Float32Array.from(rows.flat(), (value) => value / 255),
);

interface Answer {
  status: number;
  json: Record<string, unknown> & { outputs?: { name: string; shape: number[]; datatype: string; data: number[] }[] };
}

async function call(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const answer = await fetch(url + path, body === undefined ? {} : { method: 'POST', body: text, headers });
  return { status: answer.status, json: (await answer.json()) as Answer['json'] };
}

async function refuses(status: number, message: RegExp, path: string, body?: unknown): Promise<void> {
  const answer = await call(path, body);
  assert.is(answer.status, status, `${path}: ${JSON.stringify(answer.json)}`);
  assert.equal(Object.keys(answer.json), ['error']);
  assert.match(String(answer.json.error), message);
}

function tensor(images: number[][], changes: object = {}): object {
  return { name: 'image', datatype: 'UINT8', shape: [images.length, digitPixels], data: images.flat(), ...changes };
}

suite('digits: server', (test) => {
  const v1 = '/v1/models/digits-conv:predict';
  const v2 = '/v2/models/digits-conv/infer';
  test.after(() => server.close());

  test('V1 refuses what is not a request for this model', async () => {
    await refuses(400, /Unrecognized request format/, v1, '{"instances": [');
    await refuses(400, /JSON object/, v1, '[1, 2]');
    await refuses(400, /JSON object/, v1, 'null');
    await refuses(400, /"instances" to be a list/, v1, {});
    await refuses(400, /"instances" to be a list/, v1, { instances: one[0] });
    await refuses(400, /"inputs" to be a list/, v1, { inputs: { image: one } });
    for (const image of [3, 'x', null, [], one.slice(1), [...one, 0], one.with(5, -1), one.with(5, 256)]) {
      await refuses(400, /784 numbers from 0 to 255/, v1, { instances: [one, image] });
    }
    await refuses(400, /784 numbers/, v1, { instances: [(one as unknown[]).with(5, '7')] });
  });

  test('V2 refuses what is not a request for this model', async () => {
    await refuses(400, /Unrecognized request format/, v2, '{');
    await refuses(400, /one tensor/, v2, {});
    await refuses(400, /one tensor/, v2, { inputs: [] });
    await refuses(400, /one tensor/, v2, { inputs: [tensor([one]), tensor([two])] });
    await refuses(400, /datatype/, v2, { inputs: [null] });
    await refuses(400, /datatype UINT8 or FP32, not "BYTES"/, v2, { inputs: [tensor([one], { datatype: 'BYTES' })] });
    for (const shape of [undefined, [], [784], [0, 784], [1.5, 784], ['1', 784], [1, 783], [1, 2, 392], '1,784']) {
      await refuses(400, /Expected shape/, v2, { inputs: [tensor([one], { shape })] });
    }
    await refuses(400, /1568 values/, v2, { inputs: [tensor([one], { shape: [2, 784] })] });
    await refuses(400, /784 values/, v2, { inputs: [tensor([one], { data: 7 })] });
    await refuses(400, /from 0 to 255/, v2, { inputs: [tensor([one.with(0, 256)])] });
    await refuses(400, /"id" to be a string/, v2, { id: 7, inputs: [tensor([one])] });
    await refuses(400, /"outputs" to be a list/, v2, { inputs: [tensor([one])], outputs: {} });
    await refuses(400, /no output "digits"/, v2, { inputs: [tensor([one])], outputs: [{ name: 'digits' }] });
    const binary = await call(v2, { inputs: [tensor([one])] }, { 'inference-header-content-length': '10' });
    assert.is(binary.status, 400);
  });

  test('unknown models, paths and methods are refused', async () => {
    for (const name of ['digits-huge', 'constructor', '__proto__', '', 'digits%2Dconv']) {
      if (name) await refuses(404, /does not exist/, `/v1/models/${name}:predict`, { instances: [one] });
      if (name) await refuses(404, /does not exist/, `/v2/models/${name}`);
    }
    for (const path of [
      '/v3',
      '/v1',
      '/v1/models/digits:explain',
      '/v2/health',
      '/v2/health/x',
      '/v2/models/digits/x',
    ]) {
      await refuses(404, /Not Found/, path);
    }
    await refuses(405, /Method Not Allowed/, v1);
    await refuses(405, /Method Not Allowed/, v2);
    await refuses(405, /Method Not Allowed/, '/v2/models/digits', {});
    await refuses(501, /versioning/, '/v2/models/digits/versions/1/infer', { inputs: [tensor([one])] });
  });

  test('more images than a call holds, and more bytes, are refused with 413', async () => {
    await refuses(413, /at most 8 images, this one has 10/, v1, { instances: rows });
    await refuses(413, /at most 8 images/, v2, { inputs: [tensor(rows)] });
    await refuses(413, /16 MB/, v1, `{"instances": [${' '.repeat(17 * 1024 * 1024)}]}`);
  });

  test('health and metadata are as the protocols have them', async () => {
    assert.equal((await call('/')).json, { status: 'alive' });
    assert.equal((await call('/v2')).json, { name: 'digits', version: '1', extensions: [] });
    assert.equal((await call('/v2/health/live')).json, { live: true });
    assert.equal((await call('/v2/health/ready')).json, { ready: true });
    assert.equal((await call('/v1/models')).json, { models: Object.keys(variantNames) });
    assert.equal((await call('/v1/models/digits-conv')).json, { name: 'digits-conv', ready: true });
    assert.equal((await call('/v2/models/digits-conv/ready')).json, { name: 'digits-conv', ready: true });
    const { json } = await call('/v2/models/digits-conv');
    assert.is(json.name, 'digits-conv');
    assert.equal(json.inputs, [{ name: 'image', datatype: 'UINT8', shape: [-1, 784] }]);
    assert.equal(json.outputs, [
      { name: 'digit', datatype: 'INT64', shape: [-1] },
      { name: 'scores', datatype: 'FP32', shape: [-1, 10] },
    ]);
  });

  test('V1 reads digits, flat or in rows, as instances or as inputs', async () => {
    const images = rows.slice(0, batchMax);
    const digits = expected.slice(0, batchMax);
    const asRows = images.map((image) => Array.from({ length: 28 }, (_, y) => image.slice(y * 28, (y + 1) * 28)));
    assert.equal((await call(v1, { instances: images })).json, { predictions: digits });
    assert.equal((await call(v1, { inputs: images })).json, { predictions: digits });
    assert.equal((await call(`${v1}?a=b`, { instances: asRows })).json, { predictions: digits });
    assert.equal((await call(v1, { instances: [] })).json, { predictions: [] });
    const right = digits.filter((digit, i) => digit === samples[i]?.label).length;
    assert.ok(right >= 7, `${right} of 8`);
  });

  test('V2 reads digits in both datatypes, flat and nested', async () => {
    const images = [one, two, three];
    for (const changes of [{}, { datatype: 'FP32' }, { shape: [3, 28, 28] }, { data: images }]) {
      const { status, json } = await call(v2, { id: 'a-7', inputs: [tensor(images, changes)] });
      assert.is(status, 200);
      assert.is(json.id, 'a-7');
      assert.is(json.model_name, 'digits-conv');
      const [digit, scores] = json.outputs ?? [];
      assert.equal(digit, { name: 'digit', shape: [3], datatype: 'INT64', data: expected.slice(0, 3) });
      assert.equal(scores?.shape, [3, 10]);
      assert.is(scores?.data.length, 30);
      const top = [0, 1, 2].map((i) => {
        const own = scores?.data.slice(i * 10, (i + 1) * 10) as number[];
        return own.indexOf(Math.max(...own));
      });
      assert.equal(top, expected.slice(0, 3));
    }
  });

  test('V2 makes an id where there is none, and gives the outputs that were asked for in their order', async () => {
    const inputs = [tensor([one])];
    const first = await call(v2, { inputs });
    const second = await call(v2, { inputs });
    assert.match(String(first.json.id), /^[0-9a-f-]{36}$/);
    assert.is.not(first.json.id, second.json.id);
    const named = async (...names: string[]) =>
      (await call(v2, { inputs, outputs: names.map((name) => ({ name })) })).json.outputs?.map(({ name }) => name);
    assert.equal(await named('scores'), ['scores']);
    assert.equal(await named('scores', 'digit'), ['scores', 'digit']);
    assert.equal(await named(), ['digit', 'scores']);
  });

  test('counts calls, images and busy time; what was refused is not counted', async () => {
    const before = (await call('/stats')).json as unknown as { calls: number; items: number; busyMs: number };
    await call(v1, { instances: [one, two] });
    await call(v1, { instances: rows });
    const after = (await call('/stats')).json as unknown as typeof before;
    assert.is(after.calls - before.calls, 1);
    assert.is(after.items - before.items, 2);
    assert.ok(after.busyMs > before.busyMs);
  });
});
