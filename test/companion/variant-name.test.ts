import * as assert from 'uvu/assert';
import { Renaming, VariantName } from '../../src/companion/http/variant-name.ts';
import { plain, type Written } from '../contract/asked.ts';
import { binaryDriver } from '../contract/binary-driver.ts';
import { jsonBytesOf, withHttpEdges } from '../contract/edges.ts';
import { type Rig, together, withRig } from '../support/companion.ts';
import { suite } from '../support/suite.ts';

const flags = { 'variant-of': 'resnet', 'model-name': 'resnet-small.v2', 'late-timeout': '60s' };

/** What comes out when a body comes in pieces of this many bytes. */
function renamed(text: string, size = text.length || 1, keys = ['model_name']): string {
  const renaming = new Renaming(keys, 'own', 'group');
  const bytes = Buffer.from(text);
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) out.push(...renaming.push(bytes.subarray(at, at + size)));
  return Buffer.concat([...out, ...renaming.end()]).toString();
}

const infer = (rig: Rig, value: number, model = 'resnet') =>
  rig.call(
    `/v2/models/${model}/infer`,
    JSON.stringify({ id: `i${value}`, inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', data: [value, 0.5] }] }),
  );

suite('variants under one name', (test) => {
  test('whatever is no member of the outermost object stays as it is, however it is cut', () => {
    for (const text of [
      '',
      '"model_name"',
      '["model_name","own"]',
      '[{"model_name":"own"}]',
      '{"a":{"model_name":"own"}}',
      '{"a":[{"model_name":"own"}]}',
      '{"x":"model_name","y":"own"}',
      '{"x":"\\"model_name\\":\\"own\\""}',
      '{"model_name":"owner"}',
      '{"model_name":"ow"}',
      '{"model_name":"ow',
      '{"model_name":["own"]}',
      '{"model_name":null,"own":"own"}',
      '{"model_names":"own"}',
      'no JSON {"model_name":"own"}',
      '{} {"model_name":"own"}',
      '{"a":"\\\\","b":"own"}',
    ]) {
      for (const size of [1, 2, 3, 7, 1000]) assert.is(renamed(text, size), text, `${text} in pieces of ${size}`);
    }
  });

  test('the name is replaced once, wherever it is cut', () => {
    for (const [text, expected] of [
      ['{"model_name":"own"}', '{"model_name":"group"}'],
      [
        ' {\n "outputs" : [{"model_name":"own"}], "model_name" : "own" , "b":1}',
        ' {\n "outputs" : [{"model_name":"own"}], "model_name" : "group" , "b":1}',
      ],
      [
        '{"s":"a\\"b{[","model_name":"own","model_name":"own"}',
        '{"s":"a\\"b{[","model_name":"group","model_name":"own"}',
      ],
      ['{"model_name":"owx","n":{},"model_name":"own"}', '{"model_name":"owx","n":{},"model_name":"group"}'],
    ] as const) {
      for (const size of [1, 2, 3, 5, 8, 1000]) assert.is(renamed(text, size), expected, `pieces of ${size}`);
    }
    assert.is(
      renamed('{"name":"own","versions":["1"]}', 4, ['name', 'model_name']),
      '{"name":"group","versions":["1"]}',
    );
  });

  test('paths are those of the model alone', () => {
    const name = new VariantName('a.b', 'own');
    for (const path of [
      '/v1/models/axb',
      '/v1/models/a.bc',
      '/v1/models/a.b-c',
      '/v3/models/a.b',
      '/models/a.b',
      '/v1/models',
    ])
      assert.is(name.ownTarget(path), undefined, path);
    assert.is(name.ownTarget('/v1/models/a.b:predict?x=a.b'), '/v1/models/own:predict?x=a.b');
    assert.is(name.ownTarget('/v2/models/a.b'), '/v2/models/own');
    assert.is(name.ownTarget('/v2/models/a.b/versions/1/infer'), '/v2/models/own/versions/1/infer');
    assert.is(name.ownTarget('/v2/models/a.b?x'), '/v2/models/own?x');
    assert.is(name.ownTarget('/v2/repository/models/a.b/load'), '/v2/repository/models/own/load');
  });

  test('batches go to the own name and come back under the one that was asked for, each to its caller', () =>
    withRig(flags, async (rig) => {
      rig.model.name = 'resnet-small.v2';
      const answers = await together(rig, () =>
        Array.from({ length: 24 }, (_, i) => infer(rig, i, i % 3 === 0 ? 'resnet-small.v2' : 'resnet')),
      );
      for (const [i, { status, json }] of answers.entries()) {
        assert.is(status, 200);
        assert.is(json.model_name, i % 3 === 0 ? 'resnet-small.v2' : 'resnet');
        assert.is(json.id, `i${i}`);
        assert.equal((json.outputs as { data: number[] }[])[0]?.data, [i, 0.5]);
      }
      const calls = rig.model.calls.filter(({ path }) => path.endsWith('/infer'));
      assert.ok(calls.length < 24, `${calls.length} calls`);
      assert.ok(calls.every(({ path }) => path === '/v2/models/resnet-small.v2/infer'));
      await rig.call('/v1/models/resnet:predict', '{"instances":[1]}');
      assert.is(rig.model.calls.at(-1)?.path, '/v1/models/resnet-small.v2:predict');
    }));

  for (const mode of ['act', 'advise', 'off']) {
    test(`a model that compresses is not asked to where its reply bears its name (${mode})`, () =>
      withRig({ ...flags, mode }, async (rig) => {
        rig.model.name = 'resnet-small.v2';
        rig.model.compresses = true;
        const body = '{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}]}';
        const takesGzip = { 'accept-encoding': 'gzip, br' };
        const { headers, json } = await rig.call('/v2/models/resnet/infer', body, takesGzip);
        assert.is(headers['content-encoding'], undefined);
        assert.is(json.model_name, 'resnet');
        assert.is(rig.model.calls.at(-1)?.headers['accept-encoding'], 'identity');
        // Nothing is changed in a reply to who asks for the model itself, nor in one of V1, which names no model.
        const own = await rig.call('/v2/models/resnet-small.v2/infer', body, takesGzip);
        assert.is(own.headers['content-encoding'], 'gzip');
        const v1 = await rig.call('/v1/models/resnet:predict', '{"instances":[1]}', takesGzip);
        assert.is(v1.headers['content-encoding'], 'gzip');
      }));
  }

  test('what passes through is renamed both ways, over the same connection as everything else', () =>
    withRig({ ...flags, mode: 'off' }, async (rig) => {
      rig.model.name = 'resnet-small.v2';
      const answer = await infer(rig, 1);
      assert.is(answer.json.model_name, 'resnet');
      assert.is((await infer(rig, 1, 'resnet-small.v2')).json.model_name, 'resnet-small.v2');
      assert.is((await rig.call('/v2/models/other/ready')).text, 'echo /v2/models/other/ready');
      assert.is((await rig.call('/v2/models/resnet/ready')).text, 'echo /v2/models/resnet-small.v2/ready');
    }));

  for (const mode of ['act', 'advise', 'off']) {
    test(`a model_name in a request is renamed too (${mode})`, () =>
      withRig({ ...flags, mode }, async (rig) => {
        rig.model.name = 'resnet-small.v2';
        const body = '{"model_name":"resnet","inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}]}';
        const answer = await rig.call('/v2/models/resnet/infer', body);
        assert.is(answer.status, 200);
        assert.is(answer.json.model_name, 'resnet');
        assert.is(rig.model.calls.at(-1)?.body, body.replace('resnet', 'resnet-small.v2'));
      }));
  }

  test('V2 binary: the name in the JSON changes both ways, and where the JSON ends is said anew', () =>
    withHttpEdges(
      binaryDriver,
      flags,
      async (edges) => {
        const written = binaryDriver.write({ ...plain, model: 'resnet', id: 'one' }) as Written;
        const json = Buffer.from(
          written.body.toString('utf8', 0, written.jsonBytes).replace('{', '{"model_name":"resnet",'),
        );
        const body = Buffer.concat([json, written.body.subarray(written.jsonBytes)]);
        const answer = await edges.call({ ...written, body, jsonBytes: json.length });
        assert.is(answer.status, 200, answer.message);
        assert.is(edges.calls[0]?.url, '/v2/models/resnet-small.v2/infer');
        assert.match(String(edges.calls[0]?.body), /^\{"model_name":"resnet-small\.v2",/);
        assert.is(jsonBytesOf(edges.calls[0]?.headers ?? {}), json.length + 'resnet-small.v2'.length - 'resnet'.length);
        const reply = JSON.parse(answer.body.toString('utf8', 0, jsonBytesOf(answer.headers)));
        assert.is(reply.model_name, 'resnet');
        assert.is(reply.id, 'one');
        assert.is(answer.body.length, (jsonBytesOf(answer.headers) as number) + 8);
      },
      'resnet-small.v2',
    ));
});
