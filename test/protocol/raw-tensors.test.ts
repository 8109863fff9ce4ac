import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { WireKernel, WireStatus } from '../../src/kernels/wire.ts';
import type { BodyRefusal, MergeInput, Spliced, SplitFailure } from '../../src/protocol/protocol.ts';
import { createProtocols } from '../../src/protocol/protocols.ts';
import { chance, mutateRaw } from '../support/mutations.ts';
import { propertyRuns } from '../support/property-runs.ts';
import {
  type RawRows,
  type RawWriter,
  rawClients,
  rawWidths,
  rawWriters,
  stringOf,
  writeRaw,
} from '../support/raw-bodies.ts';
import { referenceScan } from '../support/reference-bodies.ts';
import { suite } from '../support/suite.ts';

/** Rows of all requests, tensor by tensor. */
function joined(rows: readonly (readonly RawRows[])[]): RawRows[] {
  return (rows[0] as readonly RawRows[]).map((_, tensor) => rows.flatMap((own) => own[tensor] as RawRows));
}

const request = (parameters: string, raw: Buffer | string, more = '', type = 'FP32', shape = '[1,2]') => {
  const json = `{"inputs":[{"name":"x","shape":${shape},"datatype":"${type}"${parameters}}${more}]}`;
  return { body: Buffer.concat([Buffer.from(json), Buffer.from(raw)]), jsonBytes: Buffer.byteLength(json) };
};
const size = (bytes: number | string) => `,"parameters":{"binary_data_size":${bytes}}`;

for (const flavour of ['simd', 'scalar', 'debug'] as const) {
  const { v2 } = createProtocols(flavour);
  const kernel = new WireKernel(flavour);
  const effort = flavour === 'debug' ? 0.4 : 1;
  const whole = ({ slices }: Spliced) => Buffer.concat(slices);

  function input({ body, jsonBytes }: { body: Buffer; jsonBytes: number }): MergeInput {
    const measured = v2.measure(body, jsonBytes);
    assert.ok(typeof measured === 'object' && !('refused' in measured), JSON.stringify([measured, body.toString()]));
    return { body, measured };
  }

  suite(`V2 raw tensors (${flavour})`, (test) => {
    test('refuses sizes, shapes and bytes that do not agree, with one code and the place', () => {
      const eight = Buffer.alloc(8);
      const strings = (...hex: string[]) => Buffer.from(hex.join(''), 'hex');
      const twoStrings = (raw: Buffer) => request(size(raw.length), raw, '', 'BYTES');
      for (const [what, { body, jsonBytes }] of Object.entries({
        'too few bytes': request(size(8), eight.subarray(1)),
        'too many bytes': request(size(8), Buffer.alloc(9)),
        'no bytes': request(size(8), ''),
        'not what the shape says': request(size(4), Buffer.alloc(4)),
        'another width': request(size(8), eight, '', 'FP64'),
        'a text': request(size('"8"'), eight),
        'a fraction': request(size('8.0'), eight),
        'below nothing': request(size('-8'), eight),
        'an exponent': request(size('8e0'), eight),
        'beyond 32 bits': request(size(4_294_967_304), eight),
        'beyond 64 bits': request(size('18446744073709551624'), eight),
        'dimensions beyond 32 bits': request(size(8), eight, '', 'FP32', '[65536,32769,2]'),
        'dimensions beyond all numbers': request(
          size(8),
          eight,
          '',
          'FP32',
          `[${Array.from({ length: 40 }, () => '2147483647')}]`,
        ),
        'data beside it': request(`${size(8)},"data":[1,2]`, eight),
        'a sum that wraps': request(
          size(8),
          eight,
          ',{"name":"y","shape":[1,2147483647,2],"datatype":"BOOL","parameters":{"binary_data_size":4294967294}}',
        ),
        'a JSON longer than the body': { body: Buffer.from('{}'), jsonBytes: 3 },
        'an empty string too few': twoStrings(strings('00000000')),
        'a string cut off': twoStrings(strings('00000000', '05000000', '61')),
        'a length cut off': twoStrings(strings('00000000', '0500', '0000')),
        'bytes behind the strings': twoStrings(strings('00000000', '00000000', '61')),
        'a length that wraps': twoStrings(strings('fcffffff', '00000000')),
        'no strings but bytes': request(size(4), Buffer.alloc(4), '', 'BYTES', '[1,0]'),
      })) {
        const refusal = v2.measure(body, jsonBytes) as BodyRefusal;
        assert.is(refusal.code, 'PL_BODY_BINARY', `${what}: ${JSON.stringify(refusal)}`);
        assert.ok(refusal.offset <= body.length, what);
      }
      const twice = request(size('8,"binary_data_size":8'), eight);
      assert.is((v2.measure(twice.body, twice.jsonBytes) as BodyRefusal).code, 'PL_BODY_DUPLICATE_KEY');
      const cut = request(size(8), eight);
      assert.is((v2.measure(cut.body, cut.jsonBytes - 1) as BodyRefusal).code, 'PL_BODY_SYNTAX');
      assert.is((v2.measure(cut.body, cut.jsonBytes + 1) as BodyRefusal).code, 'PL_BODY_SYNTAX');
    });

    test('forwards what it does not know, and what has no rows to share', () => {
      const eight = Buffer.alloc(8);
      for (const [what, { body, jsonBytes }] of Object.entries({
        'an unknown type': request(size(8), eight, '', 'COMPLEX64', '[1,1]'),
        'a type with an escape': request(size(8), eight, '', 'FP\\u0033\\u0032'),
        'no rows': request(size(0), '', '', 'FP32', '[0,2]'),
        'tensors of unequal rows': request(
          size(8),
          Buffer.alloc(16),
          ',{"name":"y","shape":[2],"datatype":"FP32","parameters":{"binary_data_size":8}}',
        ),
        'shared memory': request(',"parameters":{"shared_memory_region":"r"}', ''),
      })) {
        assert.is(v2.measure(body, jsonBytes), 'pass-through', what);
      }
      const bare = request(size(8), ' '.repeat(8)).body;
      assert.is(v2.measure(bare), 'pass-through', 'without the header this is no tensor');
    });

    test('knows the width of every datatype', () => {
      for (const [type, width] of Object.entries(rawWidths)) {
        if (width === 0) continue;
        for (const elements of [1, 3]) {
          const bytes = width * elements;
          const fine = request(size(bytes), Buffer.alloc(bytes), '', type, `[1,${elements}]`);
          assert.is(input(fine).measured.items, 1, type);
          const off = request(size(bytes + 1), Buffer.alloc(bytes + 1), '', type, `[1,${elements}]`);
          assert.is((v2.measure(off.body, off.jsonBytes) as BodyRefusal).code, 'PL_BODY_BINARY', type);
        }
      }
    });

    test('merges and splits byte for byte as the same client would have written it, and the model answered', () => {
      let merges = 0;
      fc.assert(
        fc.property(rawClients, rawWriters, ({ writer, rows, ids: callers }, answering) => {
          const inputs = rows.map((own, i) => input(writeRaw(writer, 'inputs', own, callers[i] as string)));
          assert.is(new Set(inputs.map(({ measured }) => measured.signature)).size, 1);
          const merged = v2.merge(inputs);
          const expected = writeRaw(writer, 'inputs', joined(rows), callers[0] as string);
          assert.equal(whole(merged).toString('latin1'), expected.body.toString('latin1'));
          assert.is(merged.jsonBytes, expected.jsonBytes);
          if (inputs.length < 2) return;
          merges++;
          // The model answers with the rows it got, in its own way of writing.
          const model: RawWriter = { ...answering, forms: writer.forms, withId: writer.withId };
          const reply = writeRaw(model, 'outputs', joined(rows), callers[0] as string);
          const parts = v2.split(reply.body, inputs, reply.jsonBytes);
          assert.ok(Array.isArray(parts), JSON.stringify(parts));
          for (const [i, part] of parts.entries()) {
            const own = writeRaw(model, 'outputs', rows[i] as RawRows[], callers[i] as string);
            assert.equal(whole(part).toString('latin1'), own.body.toString('latin1'));
            assert.is(part.jsonBytes, own.jsonBytes);
          }
        }),
        propertyRuns(150 * effort, 1200),
      );
      assert.ok(merges > 40 * effort, `${merges} merges`);
    });

    test('mutated bodies are what the plain reference says they are', () => {
      const outcomes = new Map<string, number>();
      fc.assert(
        fc.property(rawClients, fc.boolean(), fc.nat(), ({ writer, rows, ids: callers }, reply, seed) => {
          const below = chance(seed);
          const original = writeRaw(writer, reply ? 'outputs' : 'inputs', rows[0] as RawRows[], callers[0] as string);
          for (let i = 0; i < 12; i++) {
            const { body, jsonBytes } = i === 0 ? original : mutateRaw(original, below);
            const expected = referenceScan('v2', body, reply, jsonBytes);
            const scan = kernel.measureRaw(body, jsonBytes, reply);
            const forwarded = scan.status === WireStatus.PassThrough || scan.status === WireStatus.TooMany;
            const outcome = scan.status === WireStatus.Ok ? 'measured' : forwarded ? 'pass-through' : 'refused';
            const what = () => `${scan.status} at ${scan.failedAt}: ${jsonBytes} ${body.toString('latin1')}`;
            assert.is(outcome, expected.outcome, what());
            outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
            if (outcome !== 'measured') continue;
            assert.is(scan.items, expected.items, what());
            assert.equal(
              scan.holes.map(({ start, end }) => [start, end]),
              expected.holes.map(({ start, end }) => [start, end]),
              what(),
            );
          }
        }),
        propertyRuns(250 * effort, 1300),
      );
      const all = [...outcomes.values()].reduce((sum, each) => sum + each, 0);
      for (const outcome of ['measured', 'refused', 'pass-through'])
        assert.ok((outcomes.get(outcome) ?? 0) > all / 200, `${outcome}: ${outcomes.get(outcome)} of ${all}`);
    });

    test('a request in JSON may be answered in raw bytes, and the other way round', () => {
      const json = Buffer.from('{"inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1]}]}');
      const inputs = [1, 2].map(() => ({ body: json, measured: v2.measure(json) as MergeInput['measured'] }));
      const head = (shape: number, bytes: number) =>
        `{"outputs":[{"name":"y","shape":[${shape}],"datatype":"INT8","parameters":{"binary_data_size":${bytes}}}]}`;
      const reply = Buffer.concat([Buffer.from(head(2, 2)), Buffer.from([7, 8])]);
      const parts = v2.split(reply, inputs, head(2, 2).length) as Spliced[];
      for (const [i, part] of parts.entries()) {
        assert.equal(whole(part), Buffer.concat([Buffer.from(head(1, 1)), Buffer.from([7 + i])]));
        assert.is(part.jsonBytes, head(1, 1).length);
      }
      const raw = input(request(size(8), Buffer.alloc(8)));
      const text = (data: string, rows: number) =>
        `{"outputs":[{"name":"y","shape":[${rows}],"datatype":"INT8","data":[${data}]}]}`;
      for (const [i, part] of (v2.split(Buffer.from(text('5,6', 2)), [raw, raw]) as Spliced[]).entries()) {
        assert.is(whole(part).toString(), text(String(5 + i), 1));
        assert.is(part.jsonBytes, undefined);
      }
      // A model that says where its JSON ends though nothing follows is answered for in the same way.
      const plain = Buffer.from(text('5,6', 2));
      const [part] = v2.split(plain, [raw, raw], plain.length) as Spliced[];
      assert.is(part?.jsonBytes, text('5', 1).length);
    });

    test('never splits a reply that does not fit', () => {
      const inputs = [input(request(size(8), Buffer.alloc(8))), input(request(size(8), Buffer.alloc(8)))];
      const reply = (type: string, shape: string, raw: Buffer, bytes = raw.length) => {
        const json = `{"outputs":[{"name":"y","shape":${shape},"datatype":"${type}","parameters":{"binary_data_size":${bytes}}}]}`;
        return { body: Buffer.concat([Buffer.from(json), raw]), jsonBytes: json.length };
      };
      for (const [failed, { body, jsonBytes }] of [
        ['count', reply('INT8', '[3]', Buffer.alloc(3))],
        ['count', reply('INT8', '[1,2]', Buffer.alloc(2))],
        ['shape', reply('INT8', '[2]', Buffer.alloc(3))],
        ['shape', reply('INT8', '[2]', Buffer.alloc(2), 3)],
        ['count', reply('BYTES', '[2]', Buffer.alloc(9))],
        ['count', reply('BYTES', '[2]', stringOf(Buffer.from('only one')))],
        ['shape', { body: Buffer.from('{"outputs":[]}'), jsonBytes: 99 }],
        ['not-json', { body: Buffer.from('{"outputs":['), jsonBytes: 5 }],
      ] as const) {
        const result = v2.split(body, inputs, jsonBytes) as SplitFailure;
        assert.is(result.failed, failed, body.toString('latin1'));
      }
    });

    test('large tensors are views of what they came in, both ways', () => {
      const raw = Buffer.alloc(190_000, 1);
      const inputs = [0, 1, 2].map(() => input(request(size(raw.length), raw, '', 'INT8', `[1,${raw.length}]`)));
      const { slices } = v2.merge(inputs);
      assert.is(slices.filter((slice) => inputs.some(({ body }) => body.buffer === slice.buffer)).length, 3);
      const rows = Buffer.concat([raw, raw, raw]);
      const json = `{"outputs":[{"name":"y","shape":[3,190000],"datatype":"INT8","parameters":{"binary_data_size":570000}}]}`;
      const reply = Buffer.concat([Buffer.from(json), rows]);
      for (const part of v2.split(reply, inputs, json.length) as Spliced[]) {
        assert.ok(part.slices.some((slice) => slice.buffer === reply.buffer && slice.length === 190_000));
      }
    });

    test('replies beyond the window are split all the same: raw tensors need no room in it', () => {
      const inputs = [0, 1].map(() => input(request(size(8), Buffer.alloc(8))));
      const bytes = 3 * 1024 * 1024;
      const json = `{"outputs":[{"name":"y","shape":[2,${bytes}],"datatype":"UINT8","parameters":{"binary_data_size":${2 * bytes}}}]}`;
      const reply = Buffer.concat([Buffer.from(json), Buffer.alloc(bytes, 1), Buffer.alloc(bytes, 2)]);
      assert.ok(v2.fits(reply, json.length));
      assert.not.ok(v2.fits(reply));
      for (const [i, part] of (v2.split(reply, inputs, json.length) as Spliced[]).entries()) {
        const own = whole(part).subarray(part.jsonBytes);
        assert.is(own.length, bytes);
        assert.ok(own.every((byte) => byte === i + 1));
      }
    });
  });
}
