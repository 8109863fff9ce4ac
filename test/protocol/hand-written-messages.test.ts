// Messages and bodies that no library writes, but that anybody can send.
import * as assert from 'uvu/assert';
import { WireKernel } from '../../src/kernels/wire.ts';
import { renamedMessage } from '../../src/protocol/message-name.ts';
import type { BodyRefusal, MergeInput, SplitFailure } from '../../src/protocol/protocol.ts';
import { createProtocols } from '../../src/protocol/protocols.ts';
import { decodeRequest, encodeRequest, encodeResponse } from '../support/infer-messages.ts';
import { suite } from '../support/suite.ts';

const hex = (text: string) => Buffer.from(text.replace(/ /g, ''), 'hex');
const text = (value: string) => Buffer.from(value).toString('hex');
/** A field of bytes, shorter than 128. */
const field = (tag: string, content: Buffer) => Buffer.concat([hex(tag), Buffer.of(content.length), content]);

const tensor = { name: 'x', datatype: 'FP32', shape: [1, 2] };
const raw = [Buffer.alloc(8)];
const plain = encodeRequest({ model_name: 'm', inputs: [tensor], raw_input_contents: raw });

/** A tensor of INT32, shape [1, 2], with these contents. */
const typed = (contents: string) =>
  field('2a', Buffer.concat([hex(`0a 01 78 12 05 ${text('INT32')} 1a 02 01 02`), field('2a', hex(contents))]));

suite('names in messages', (test) => {
  test('a length without an end is no name', () => {
    for (const message of ['0a ff', '0a ff ff', '0a ff ff ff ff ff ff ff ff ff ff ff ff', '0a 81', '0a 80 80 80']) {
      assert.is(renamedMessage(hex(message), 'm', 'own'), undefined, message);
    }
    assert.equal(renamedMessage(hex('0a 01 6d 18 01'), 'm', 'own'), hex(`0a 03 ${text('own')} 18 01`));
  });
});

for (const flavour of ['simd', 'scalar', 'debug'] as const) {
  const { grpc, v2 } = createProtocols(flavour);

  function input(body: Buffer): MergeInput {
    const measured = grpc.measure(body);
    assert.ok(typeof measured === 'object' && 'items' in measured, JSON.stringify(measured));
    return { body, measured };
  }
  const signature = (body: Buffer) => input(body).measured.signature;

  suite(`messages that no library writes (${flavour})`, (test) => {
    test('a group is a field that is not known, and its end without it is none', () => {
      const group = hex('7b 08 01 7c');
      const inTensor = Buffer.concat([hex(`0a 01 78 12 04 ${text('FP32')} 1a 02 01 02`), group]);
      const inParameter = field('22', Buffer.concat([hex('0a 01 70'), group]));
      for (const [what, body] of [
        ['in the message', Buffer.concat([plain, group])],
        ['in a tensor', field('2a', inTensor)],
        ['in the contents of one', typed('7b 7c')],
        ['behind the contents of one', typed('12 02 01 02 7b 7c')],
        ['in a parameter', Buffer.concat([inParameter, plain])],
      ] as const) {
        assert.is(grpc.measure(body), 'pass-through', what);
      }
      assert.is((grpc.measure(Buffer.concat([plain, hex('7c')])) as BodyRefusal).code, 'PL_BODY_MESSAGE');
    });

    test('elements one by one of different fields share no batch', () => {
      const ints = typed('10 01 10 02');
      assert.is(signature(typed('10 05 10 06')), signature(ints));
      for (const other of ['18 01 18 02', '20 01 20 02', '08 01 08 01', '35 01000000 35 02000000']) {
        assert.is.not(signature(typed(other)), signature(ints), other);
      }
      const two = (first: string, second: string) => signature(Buffer.concat([typed(first), typed(second)]));
      assert.is.not(two('10 01 10 02', '18 01 18 02'), two('18 01 18 02', '10 01 10 02'));
    });

    test('bytes that look like the holes of another message do not make them equal', () => {
      const rest = Buffer.concat([hex('0a 05 6162636465'), plain.subarray(3)]);
      const limited = Buffer.concat([hex(`22 0d 0a 07 ${text('timeout')} 12 02 10 05`), rest]);
      // What stands between the holes of the first, with the kind of each hole where the hole was.
      const forged = Buffer.concat([hex(`22 09 0a 07 ${text('timeout')} 12 09 10 04`), rest]);
      assert.is.not(signature(forged), signature(limited));
      const long = field('7a', Buffer.alloc(100, 0x61));
      const longer = (body: Buffer) => Buffer.concat([body, ...Array.from({ length: 12 }, () => long)]);
      assert.is.not(signature(longer(forged)), signature(longer(limited)));
    });

    test('a timeout or priority that no request can mean is not compared with others', () => {
      const limited = (key: string, value: string) => {
        const parameter = Buffer.concat([field('0a', Buffer.from(key)), field('12', hex(value))]);
        return Buffer.concat([field('22', parameter), plain]);
      };
      for (const key of ['timeout', 'priority']) {
        assert.is(signature(limited(key, '10 05')), signature(limited(key, '10 9003')));
        for (const never of ['10 ffffffffffffffffff01', '10 8080808080808010']) {
          assert.is.not(signature(limited(key, never)), signature(limited(key, '10 05')), never);
          assert.is(input(limited(key, never)).measured.timeoutUs, undefined);
        }
      }
      const twice = Buffer.concat([
        limited('timeout', '10 05').subarray(0, -plain.length),
        limited('timeout', '10 07'),
      ]);
      assert.is(input(twice).measured.timeoutUs, 7, 'the last one of a key counts');
    });

    test('outputs in shared memory belong to one caller', () => {
      const body = encodeRequest({
        model_name: 'm',
        inputs: [tensor],
        outputs: [{ name: 'y', parameters: { shared_memory_region: { string_param: 'r' } } }],
        raw_input_contents: raw,
      });
      assert.is(grpc.measure(body), 'pass-through');
      const json = (parameters: string) =>
        Buffer.from(
          `{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}],"outputs":[{"name":"y","parameters":{${parameters}}}]}`,
        );
      assert.is(v2.measure(json('"shared_memory_region":"r","shared_memory_byte_size":4')), 'pass-through');
      assert.type((v2.measure(json('"classification":3')) as { items: number }).items, 'number');
    });

    test('a reply with empty contents beside its raw tensors is no reason to fail', () => {
      const none = { name: 'y', datatype: 'FP32', shape: [2, 0], contents: {} };
      const fields = Buffer.concat([hex(`0a 01 79 12 04 ${text('FP32')} 1a 02 02 00`), field('2a', hex('32 00'))]);
      const reply = Buffer.concat([hex('0a 01 6d'), field('2a', fields), hex('32 00')]);
      const requests = [input(plain), input(plain)];
      assert.ok('failed' in (grpc.split(reply, requests) as SplitFailure));
      const clean = encodeResponse({ model_name: 'm', outputs: [none], raw_output_contents: [Buffer.alloc(0)] });
      assert.ok(Array.isArray(grpc.split(clean, requests)));
    });

    test('nothing of a merge that failed gets into the next one', () => {
      const one = input(plain);
      const wrong = { body: plain, measured: { ...one.measured, holes: one.measured.holes.slice(0, 3) } };
      assert.throws(() => grpc.merge([one, wrong]));
      const twice = Buffer.concat(grpc.merge([one, one]).slices);
      assert.equal(decodeRequest(twice).inputs[0]?.shape.map(Number), [2, 2]);
      const body = Buffer.from('{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}');
      const measured = v2.measure(body) as MergeInput['measured'];
      const cut = { body: body.subarray(0, 20), measured };
      assert.throws(() => v2.merge([{ body, measured }, cut]));
      const both = Buffer.concat(
        v2.merge([
          { body, measured },
          { body, measured },
        ]).slices,
      );
      assert.equal(JSON.parse(both.toString()).inputs[0].data, [1, 1]);
    });
  });

  suite(`bodies that no library writes (${flavour})`, (test) => {
    const kernel = new WireKernel(flavour);

    test('a body of raw bytes alone is for the model to read', () => {
      assert.is(v2.measure(Buffer.alloc(16), 0), 'pass-through');
    });

    test('a timeout or priority that no request can mean is not compared with others', () => {
      const body = (parameters: string) =>
        Buffer.from(`{"parameters":{${parameters}},"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}`);
      const of = (parameters: string) => (v2.measure(body(parameters)) as MergeInput['measured']).signature;
      for (const key of ['timeout', 'priority']) {
        assert.is(of(`"${key}":5`), of(`"${key}":9007199254740991`));
        for (const never of ['-5', '1.5', '1e3', '1e999', '-0', '9007199254740992', '18446744073709551616']) {
          assert.is.not(of(`"${key}":${never}`), of(`"${key}":5`), never);
        }
      }
    });

    test('numbers longer than a block are cut where they end', () => {
      const long = `1.${'0'.repeat(70)}5`;
      const body = `{"predictions":[${[long, 2, 3, 4, long, 6].join(',')}]}`;
      const [hole] = kernel.measure('v1', Buffer.from(body), true).holes;
      assert.is(hole?.rows, 6);
      assert.equal(
        kernel.cut(0, [1, 2], 2)?.map((end) => body.slice(0, end).split(',').length),
        [2, 6],
      );
    });
  });
}
