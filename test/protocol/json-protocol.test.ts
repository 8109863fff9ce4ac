import fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { BatchProtocol, BodyRefusal, MergeInput, Spliced, SplitFailure } from '../../src/protocol/protocol.ts';
import { createProtocols } from '../../src/protocol/protocols.ts';
import { suite } from '../support/suite.ts';

for (const flavour of ['simd', 'scalar', 'debug'] as const) {
  const { v1, v2 } = createProtocols(flavour);

  suite(`V1 and V2 JSON (${flavour})`, (test) => {
    test('refuses what is not JSON, with a code and an offset', () => {
      for (const [text, code] of [
        ['', 'PL_BODY_SYNTAX'],
        ['{"instances":[1,2', 'PL_BODY_SYNTAX'],
        ['{"instances":[1,2]} x', 'PL_BODY_SYNTAX'],
        ['{"instances":[01]}', 'PL_BODY_SYNTAX'],
        ['{"instances":[1.2.3]}', 'PL_BODY_SYNTAX'],
        ['{"instances":[1,]}', 'PL_BODY_SYNTAX'],
        ['{"instances":["\\x"]}', 'PL_BODY_SYNTAX'],
        ['{"instances":["a\nb"]}', 'PL_BODY_SYNTAX'],
        ['\ufeff{"instances":[1]}', 'PL_BODY_SYNTAX'],
        [`{"instances":${'['.repeat(100)}`, 'PL_BODY_DEPTH'],
        ['{"instances":[1],"instances":[2]}', 'PL_BODY_DUPLICATE_KEY'],
        ['{"instances":5}', 'PL_BODY_TYPE'],
        ['{"instances":5,"x":}', 'PL_BODY_SYNTAX'],
      ] as const) {
        assert.is((v1.measure(Buffer.from(text)) as BodyRefusal).code, code, text.slice(0, 60));
      }
      const latin1 = Buffer.from('{"instances":["é"]}', 'latin1');
      assert.is((v1.measure(latin1) as BodyRefusal).code, 'PL_BODY_ENCODING');
      for (const [text, code] of [
        ['{"inputs":5}', 'PL_BODY_TYPE'],
        ['{"inputs":[{"name":"a","shape":[2],"datatype":"FP32","data":[1]}]}', 'PL_BODY_SHAPE'],
        ['{"inputs":[{"name":"a","shape":[2,2],"datatype":"FP32","data":[[1,2],[3]]}]}', 'PL_BODY_SHAPE'],
        ['{"inputs":[{"shape":[1],"datatype":"FP32","data":[1]}]}', 'PL_BODY_TYPE'],
      ] as const) {
        assert.is((v2.measure(Buffer.from(text)) as BodyRefusal).code, code, text);
      }
    });

    test('says which field is missing or has the wrong type', () => {
      const tensor = '"shape":[1],"datatype":"FP32","data":[1]';
      for (const [text, message] of [
        ['{"x":1}', '`inputs` is missing'],
        ['{"inputs":5}', '`inputs` is not a list'],
        ['{"inputs":[5]}', '`inputs[0]` is not an object'],
        [`{"inputs":[{"name":"a",${tensor}},{${tensor}}]}`, '`inputs[1].name` is missing'],
        [`{"inputs":[{"name":7,${tensor}}]}`, '`inputs[0].name` is not a string'],
        ['{"inputs":[{"name":"a","datatype":"FP32","shape":1,"data":[1]}]}', '`inputs[0].shape` is not a list'],
        [`{"id":5,"inputs":[{"name":"a",${tensor}}]}`, '`id` is not a string'],
        [`{"parameters":[],"inputs":[{"name":"a",${tensor}}]}`, '`parameters` is not an object'],
      ] as const) {
        const { code, message: said } = v2.measure(Buffer.from(text)) as BodyRefusal;
        assert.is(code, 'PL_BODY_TYPE', text);
        assert.is(said.replace(/ \(at byte \d+\)$/, ''), message);
      }
      const { message } = v1.measure(Buffer.from('{"instances":5}')) as BodyRefusal;
      assert.match(message, /^`instances` is not a list \(at byte \d+\)$/);
    });

    test('forwards what is valid but not ours to batch', () => {
      for (const text of [
        '[]',
        '{}',
        '{"instances":[]}',
        '{"inputs":{"a":[1]}}',
        '{"in\\u0073tances":[1]}',
        '{"x":1}',
      ]) {
        assert.is(v1.measure(Buffer.from(text)), 'pass-through', text);
      }
      const tensor = '{"name":"a","shape":[1],"datatype":"FP32","data":[1]}';
      for (const text of [
        `{"parameters":{"sequence_id":4},"inputs":[${tensor}]}`,
        '{"inputs":[{"name":"a","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}]}',
      ]) {
        assert.is(v2.measure(Buffer.from(text)), 'pass-through', text);
      }
    });

    test('keeps bodies apart that a model must not see together', () => {
      const one = signature(v1, '{"instances":[[1,2]]}');
      assert.is(signature(v1, '{"instances":[[3,4.5],[5,6]]}'), one);
      for (const other of [
        '{"instances":[[1,2,3]]}',
        '{"instances":[1,2]}',
        '{"inputs":[[1,2]]}',
        '{"instances":[[1,2]],"signature_name":"s"}',
      ]) {
        assert.is.not(signature(v1, other), one, other);
      }
    });

    test('keeps rows apart that are built in another way', () => {
      const one = signature(v1, '{"instances":[{"age":1,"city":"x","tags":[1,2]}]}');
      assert.is(signature(v1, '{"instances":[{"age":null,"city":"yy","tags":[3,4]}]}'), one, 'a null is of any kind');
      for (const row of [
        '{"age":1,"town":"x","tags":[1,2]}',
        '{"city":"x","age":1,"tags":[1,2]}',
        '{"age":1,"city":"x","tags":[1],"more":2}',
        '{"age":1,"city":"x","tags":{"a":1,"b":2}}',
        '{"age":true,"city":"x","tags":[1,2]}',
      ]) {
        assert.is.not(signature(v1, `{"instances":[${row}]}`), one, row);
      }
      const tensor = (data: string) =>
        signature(v2, `{"inputs":[{"name":"a","shape":[2,2,1],"datatype":"INT8","data":${data}}]}`);
      const forms = ['[1,2,3,4]', '[[1,2],[3,4]]', '[[[1],[2]],[[3],[4]]]', '["1","2","3","4"]', '[[[1,2]],[[3,4]]]'];
      assert.is(new Set(forms.map(tensor)).size, forms.length);
      const nested = '{"inputs":[{"name":"a","shape":[2,1],"datatype":"INT8","data":[[1],[2]]}]}';
      assert.is.not(signature(v2, nested), signature(v2, nested.replace('[[1],[2]]', '[1,2]')));
    });

    test('serves alone what nests in another way than its shape', () => {
      for (const data of ['[[1,2,3],[4]]', '[[1,2,3,4]]', '[1,[2],3,4]', '[[1],[2],[3],[4]]']) {
        const body = `{"inputs":[{"name":"a","shape":[2,2],"datatype":"INT8","data":${data}}]}`;
        assert.is(input(v2, body).measured.uniform, false, body);
        const fine = '{"name":"b","shape":[2],"datatype":"INT8","data":[1,2]}';
        assert.is(input(v2, body.replace(']}]}', `]},${fine}]}`)).measured.uniform, false);
        const requests = [1, 2].map(() =>
          input(v2, '{"inputs":[{"name":"a","shape":[1],"datatype":"INT8","data":[1]}]}'),
        );
        const reply = Buffer.from(body.replace('inputs', 'outputs'));
        assert.is((v2.split(reply, requests) as SplitFailure).failed, 'shape', body);
      }
    });

    test('takes null for a field that a writer spells but does not use', () => {
      const tensor = '{"name":"a","shape":[1],"datatype":"FP32","parameters":null,"data":[1]}';
      const body = `{"id":null,"parameters":null,"outputs":null,"inputs":[${tensor}]}`;
      assert.is(input(v2, body).measured.items, 1);
      const reply = `{"id":null,"parameters":null,"outputs":[{"name":"y","shape":[2],"datatype":"FP32","data":[5,6]}]}`;
      const parts = v2.split(Buffer.from(reply), [input(v2, body), input(v2, body)]) as Spliced[];
      assert.equal(JSON.parse(text(parts[1] as Spliced)).outputs[0].data, [6]);
    });

    test('compares only numbers as timeout and priority', () => {
      const body = (value: string) =>
        `{"parameters":{"timeout":${value}},"inputs":[{"name":"a","shape":[1],"datatype":"FP32","data":[1]}]}`;
      assert.is(signature(v2, body('5')), signature(v2, body('900')));
      assert.is.not(signature(v2, body('5')), signature(v2, body('"900"')));
      assert.is(text(v2.merge([input(v2, body('5')), input(v2, body('900'))])).includes('"timeout":900}'), true);
    });

    test('cuts a reply of numbers and strings between its elements, whatever commas they hold', () => {
      const ones = (count: number) => Array.from({ length: count }, () => '1');
      const request = input(v1, `{"instances":[${ones(70)}]}`);
      for (const odd of ['"a,b"', '[1,2]', '{"a":1,"b":2}', `"${ones(40)}"`]) {
        for (const at of [1, 10, 69, 71, 100, 138]) {
          const rows = ones(140).with(at, odd);
          const parts = v1.split(Buffer.from(`{"predictions":[${rows}]}`), [request, request]);
          assert.ok(Array.isArray(parts), `${odd} at ${at}: ${JSON.stringify(parts)}`);
          assert.is(text(parts[0] as Spliced), `{"predictions":[${rows.slice(0, 70)}]}`);
          assert.is(text(parts[1] as Spliced), `{"predictions":[${rows.slice(70)}]}`);
        }
      }
    });

    test('merges byte for byte and gives each caller its own part', () => {
      const numbers = ['9007199254740993', '1.0', '1e400', '-0', '0.1', '12345', '-2.5E-3'];
      const row = fc.array(fc.constantFrom(...numbers), { minLength: 3, maxLength: 3 });
      const request = fc.array(row, { minLength: 1, maxLength: 70 });
      fc.assert(
        fc.property(
          fc.array(request, { minLength: 2, maxLength: 6 }),
          fc.constantFrom(',', ', ', ' ,\n'),
          (bodies, separator) => {
            const rows = bodies.map((each) => each.map((values) => `[${values.join(separator)}]`));
            const inputs = rows.map((each) => input(v1, `{"instances": [${each.join(separator)}], "k": 1}`));
            const merged = text(v1.merge(inputs));
            assert.equal(
              JSON.parse(merged).instances,
              rows.flat().map((each) => JSON.parse(each)),
            );
            for (const each of rows.flat()) assert.ok(merged.includes(each));
            const reply = `{"predictions": [${rows.flat().join(separator)}], "model": "m"}`;
            const parts = v1.split(Buffer.from(reply), inputs);
            assert.ok(Array.isArray(parts), JSON.stringify(parts));
            for (const [i, part] of parts.entries()) {
              assert.is(
                text(part).replace(/\s/g, ''),
                `{"predictions":[${rows[i]?.join(',')}],"model":"m"}`.replace(/\s/g, ''),
              );
            }
          },
        ),
        { seed: 5, numRuns: 120 },
      );
    });

    test('merges V2 tensors, flat and nested, and splits every output', () => {
      const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 2, maxLength: 5 });
      fc.assert(
        fc.property(sizes, fc.boolean(), fc.boolean(), (counts, nested, withId) => {
          let next = 0;
          const bodies = counts.map((n, i) => {
            const values = Array.from({ length: n }, () => [next++, next++]);
            const data = nested ? values : values.flat();
            const tensor = { name: 'x', shape: [n, 2], datatype: 'INT64', data };
            return JSON.stringify({
              ...(withId ? { id: `caller-${i}` } : {}),
              inputs: [tensor],
              outputs: [{ name: 'y' }],
            });
          });
          const inputs = bodies.map((body) => input(v2, body));
          const merged = JSON.parse(text(v2.merge(inputs)));
          const total = counts.reduce((a, b) => a + b);
          assert.equal(merged.inputs[0].shape, [total, 2]);
          assert.equal(
            merged.inputs[0].data.flat(),
            Array.from({ length: 2 * total }, (_, i) => i),
          );
          const reply = {
            model_name: 'm',
            id: withId ? 'caller-0' : 'made-up',
            outputs: [
              { name: 'y', shape: [total, 2], datatype: 'INT64', data: merged.inputs[0].data },
              {
                name: 's',
                shape: [total],
                datatype: 'BYTES',
                data: Array.from({ length: total }, (_, i) => `item ${i}, [x]"`),
              },
            ],
          };
          const parts = v2.split(Buffer.from(JSON.stringify(reply)), inputs) as Spliced[];
          assert.ok(Array.isArray(parts), JSON.stringify(parts));
          let at = 0;
          for (const [i, part] of parts.entries()) {
            const own = JSON.parse(text(part));
            const count = counts[i] as number;
            assert.equal(own.outputs[0].shape, [count, 2]);
            assert.equal(own.outputs[0].data, JSON.parse(bodies[i] as string).inputs[0].data);
            assert.equal(own.outputs[1].data, reply.outputs[1]?.data.slice(at, at + count));
            assert.is(own.id, withId ? `caller-${i}` : i === 0 ? 'made-up' : `made-up-${i}`);
            at += count;
          }
        }),
        { seed: 6, numRuns: 120 },
      );
    });

    test('more templates than the table holds, and long ones, keep their signatures apart', () => {
      const bodies = Array.from({ length: 300 }, (_, i) => `{"instances":[[1,${i}]],"key-${i % 150}":"${i % 150}"}`);
      for (const extra of [1200, 900]) bodies.push(`{"instances":[[1,2]],"long":"${'x'.repeat(extra)}"}`);
      const seen = bodies.map((body) => signature(v1, body));
      assert.is(new Set(seen).size, 152);
      assert.equal(
        bodies.map((body) => signature(v1, body)),
        seen,
      );
      assert.is(seen[3], seen[153]);
    });

    test('large rows are merged and split as views of what they came in', () => {
      const rows = ['a', 'b', 'c'].map((letter) => `"${letter.repeat(40_000)}"`);
      const inputs = rows.map((row) => input(v1, `{"instances":[${row}]}`));
      const merged = v1.merge(inputs);
      assert.is(text(merged), `{"instances":[${rows.join(',')}]}`);
      assert.is(merged.slices.filter((slice) => inputs.some((each) => each.body.buffer === slice.buffer)).length, 3);
      const reply = Buffer.from(`{"predictions":[ ${rows.join(' , ')} ],"m":1}`);
      const parts = v1.split(reply, inputs) as Spliced[];
      for (const [i, part] of parts.entries()) {
        assert.equal(JSON.parse(text(part)), { predictions: [JSON.parse(rows[i] as string)], m: 1 });
        assert.ok(part.slices.some((slice) => slice.buffer === reply.buffer));
      }
    });

    test('parts of a reply with many outputs are each caller’s, with counts of any length', () => {
      for (const outputs of [1, 16, 17]) {
        const counts = [1, 9, 10, 99, 100, 1000, 3];
        const total = counts.reduce((a, b) => a + b);
        const inputs = counts.map((count, i) => {
          const tensor = { name: 'x', shape: [count], datatype: 'INT32', data: new Array(count).fill(i) };
          return input(v2, JSON.stringify({ ...(i % 2 ? { id: `é${i}` } : {}), inputs: [tensor] }));
        });
        const data = counts.flatMap((count, i) => new Array(count).fill(i));
        const output = (_: unknown, i: number) => ({ name: `o${i}`, shape: [total], datatype: 'INT32', data });
        const reply = { id: 'made', outputs: Array.from({ length: outputs }, output) };
        const parts = v2.split(Buffer.from(JSON.stringify(reply)), inputs) as Spliced[];
        for (const [i, part] of parts.entries()) {
          const own = JSON.parse(text(part));
          assert.is(own.id, i % 2 ? `é${i}` : i === 0 ? 'made' : `made-${i}`);
          for (const each of own.outputs) {
            assert.equal(each.shape, [counts[i]]);
            assert.equal(each.data, new Array(counts[i]).fill(i));
          }
        }
      }
    });

    test('never splits a reply that does not fit', () => {
      const inputs = [input(v1, '{"instances":[1,2]}'), input(v1, '{"instances":[3]}')];
      for (const [reply, failed] of [
        ['{"predictions":[1,2]}', 'count'],
        ['{"predictions":[1,2,3,4]}', 'count'],
        ['{"predictions":[1,2,3]', 'not-json'],
        ['<html>', 'not-json'],
        ['{"predictions":{"a":1}}', 'shape'],
        ['{"error":"x"}', 'shape'],
        ['{"predictions":[1,2,3],"predictions":[4,5,6]}', 'shape'],
      ] as const) {
        const result = v1.split(Buffer.from(reply), inputs);
        assert.is(Array.isArray(result) ? 'split' : result.failed, failed, reply);
      }
    });

    test('accepts exactly what JSON.parse accepts, over mutated bodies', () => {
      differential(v1, flavour === 'debug' ? 20_000 : 80_000, 42);
    });
  });
}

function differential(protocol: BatchProtocol, rounds: number, seed: number): void {
  let state = seed;
  const below = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  const numbers = ['0', '-0', '1', '1.5', '-3.25e+10', '1e5', '0.1', '123456789012345678901234567890', '1E-7', '10.0'];
  const strings = ['abc', 'é\n"\\', '😀', 'x'.repeat(40)];
  const value = (depth: number): string => {
    const kind = below(depth > 4 ? 4 : 7);
    const list = (length: number, each: (i: number) => string) => Array.from({ length }, (_, i) => each(i)).join(',');
    if (kind < 2) return numbers[below(numbers.length)] as string;
    if (kind === 2) return JSON.stringify(strings[below(strings.length)]);
    if (kind === 3) return ['true', 'false', 'null'][below(3)] as string;
    if (kind === 4) return `[${list(below(40), () => numbers[below(numbers.length)] as string)}]`;
    if (kind === 5) return `[${list(below(5), () => ` ${value(depth + 1)}\n`)}]`;
    return `{${list(below(5), (i) => `"k${i}" : ${value(depth + 1)}`)}}`;
  };
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const alphabet = Buffer.from('0123456789-+.eE,[]{}": \\u\t\u0000\u00ff', 'latin1');
  for (let round = 0; round < rounds; round++) {
    let body: Buffer = Buffer.from(`{"instances":[${value(1)},${value(1)}],"other":${value(1)}}`);
    for (let i = below(4); i > 0 && body.length > 0; i--) {
      const at = below(body.length);
      if (below(3) === 0) body = body.subarray(0, at);
      else if (below(2) === 0) body = Buffer.concat([body.subarray(0, at), body.subarray(at + 1)]);
      else body[at] = alphabet[below(alphabet.length)] as number;
    }
    let valid = true;
    try {
      JSON.parse(decoder.decode(body));
    } catch {
      valid = false;
    }
    const measured = protocol.measure(body);
    const code = typeof measured === 'object' && 'refused' in measured ? measured.code : 'accepted';
    const syntactic = ['PL_BODY_SYNTAX', 'PL_BODY_ENCODING'].includes(code);
    assert.is(
      !syntactic,
      valid,
      `seed ${seed}, round ${round}: ${code} for ${JSON.stringify(body.toString('latin1'))}`,
    );
  }
}

function input(protocol: BatchProtocol, body: string): MergeInput {
  const measured = protocol.measure(Buffer.from(body));
  assert.ok(
    typeof measured === 'object' && !('refused' in measured),
    `${JSON.stringify(measured)} for ${body.slice(0, 200)}`,
  );
  return { body: Buffer.from(body), measured };
}

function signature(protocol: BatchProtocol, body: string): string {
  return input(protocol, body).measured.signature;
}

function text({ slices }: Spliced): string {
  return Buffer.concat(slices).toString();
}
