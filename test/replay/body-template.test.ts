import * as assert from 'uvu/assert';
import { createProtocols } from '../../src/protocol/protocols.ts';
import { BodyTemplate } from '../../src/replay/body-template.ts';
import { suite } from '../support/suite.ts';

const protocols = createProtocols();

function measured(protocol: 'v1' | 'v2', body: Buffer): { items: number; signature: string } {
  const found = protocols[protocol].measure(body);
  if (found === 'pass-through' || 'refused' in found) throw new Error(`not measured: ${body}`);
  return found;
}

suite('the template of a body', (test) => {
  test('what is no JSON object is refused', () => {
    assert.throws(() => new BodyTemplate('{"instances":'), /not JSON/);
    assert.throws(() => new BodyTemplate('[1]'), /not a JSON object/);
    assert.throws(() => new BodyTemplate('null'), /not a JSON object/);
  });

  test('bodies have the items and bytes that are asked for, and may share a batch', () => {
    const cases = [
      ['v1', '{"instances":[[1,2],[3,4]],"parameters":{"k":[1]}}'],
      ['v1', '{"signature_name":"s","inputs":[[1,2]]}'],
      [
        'v2',
        '{"id":"x","inputs":[{"name":"a","datatype":"FP32","data":[1,2,3,4],"shape":[2,2]}],"outputs":[{"name":"o"}]}',
      ],
      ['v2', '{"inputs":[{"name":"a","shape":[1,2],"datatype":"BYTES","data":[["]}]}","b"]]}]}'],
    ] as const;
    for (const [protocol, text] of cases) {
      const template = new BodyTemplate(text);
      assert.ok(template.hasItems);
      const signatures = new Set<string>();
      for (const items of [1, 2, 5, 32]) {
        for (const bytes of [0, 400, 5000]) {
          const body = template.body(items, bytes);
          if (bytes > 1000) assert.is(body.length, bytes, text);
          assert.not.throws(() => JSON.parse(body.toString()));
          const found = measured(protocol, body);
          assert.is(found.items, items, text);
          signatures.add(found.signature);
        }
      }
      assert.is(signatures.size, 1, text);
    }
  });

  test('rows are those of the template, over and over', () => {
    const body = new BodyTemplate('{"instances":[1,2]}').body(5, 0);
    assert.equal(JSON.parse(body.toString()), { instances: [1, 2, 1, 2, 1] });
    const tensor = new BodyTemplate('{"inputs":[{"name":"a","shape":[2,2],"datatype":"INT64","data":[1,2,3,4]}]}');
    const [input] = JSON.parse(tensor.body(3, 0).toString()).inputs;
    assert.equal(
      [input.shape, input.data],
      [
        [3, 2],
        [1, 2, 3, 4, 1, 2],
      ],
    );
  });

  test('any other object stays as it is, with blanks inside', () => {
    const template = new BodyTemplate('{"prompt":"x"}');
    assert.not(template.hasItems);
    assert.is(template.body(7, 20).toString(), '{"prompt":"x"      }');
  });
});
