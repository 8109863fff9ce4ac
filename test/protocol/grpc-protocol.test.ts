import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { WireKernel, WireStatus } from '../../src/kernels/wire.ts';
import type { BodyRefusal, MergeInput, Spliced, SplitFailure } from '../../src/protocol/protocol.ts';
import { createProtocols } from '../../src/protocol/protocols.ts';
import { type Element, type MessageClient, messageClients, replyOf, requestOf } from '../support/client-messages.ts';
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type InferRequest,
  type InferResponse,
  type InferTensor,
} from '../support/infer-messages.ts';
import { chance, mutateMessage } from '../support/mutations.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { referenceMessage } from '../support/reference-messages.ts';
import { suite } from '../support/suite.ts';

/** The rows of all requests, tensor by tensor, with what the first says and the longest timeout. */
function joined({ requests }: MessageClient): MessageClient['requests'][number] {
  const [first] = requests;
  return {
    items: requests.reduce((sum, { items }) => sum + items, 0),
    id: first?.id as string,
    timeout: Math.max(...requests.map(({ timeout }) => timeout)),
    rows: (first?.rows ?? []).map((_, tensor) => requests.flatMap(({ rows }) => rows[tensor] as Element[])),
  };
}

const one = (more: Partial<InferRequest> = {}, tensor: Partial<InferTensor> = {}): InferRequest => ({
  model_name: 'm',
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], ...tensor }],
  ...more,
});
const hex = (text: string) => Buffer.from(text.replace(/ /g, ''), 'hex');

for (const flavour of ['simd', 'scalar', 'debug'] as const) {
  const { grpc } = createProtocols(flavour);
  const kernel = new WireKernel(flavour);
  const effort = flavour === 'debug' ? 0.4 : 1;
  const whole = ({ slices }: Spliced) => Buffer.concat(slices);

  function input(body: Buffer): MergeInput {
    const measured = grpc.measure(body);
    assert.ok(
      typeof measured === 'object' && !('refused' in measured),
      `${JSON.stringify(measured)} ${body.toString('hex')}`,
    );
    return { body, measured };
  }

  suite(`V2 gRPC messages (${flavour})`, (test) => {
    test('refuses what is no message, with a code and the place', () => {
      const eight = encodeRequest(one({ raw_input_contents: [Buffer.alloc(8)] }));
      for (const [what, code, body] of [
        ['cut off', 'PL_BODY_MESSAGE', eight.subarray(0, -1)],
        ['a tag cut off', 'PL_BODY_MESSAGE', Buffer.concat([eight, hex('80')])],
        ['field 0', 'PL_BODY_MESSAGE', Buffer.concat([eight, hex('00 01')])],
        ['an encoding that there is not', 'PL_BODY_MESSAGE', Buffer.concat([eight, hex('7f 01')])],
        ['the end of a group', 'PL_BODY_MESSAGE', Buffer.concat([eight, hex('7c')])],
        ['a number of eleven bytes', 'PL_BODY_MESSAGE', Buffer.concat([eight, hex('78 ffffffffffffffffffff01')])],
        ['a length beyond the end', 'PL_BODY_MESSAGE', Buffer.concat([eight, hex('7a 05 00')])],
        ['a length beyond 32 bits', 'PL_BODY_MESSAGE', Buffer.concat([eight, hex('7a ffffffff7f 00')])],
        ['a raw tensor beyond the end', 'PL_BODY_MESSAGE', Buffer.concat([eight, hex('3a ffffffff0f 00')])],
        ['a tensor that is none', 'PL_BODY_MESSAGE', hex('2a 02 0a 05')],
        ['a shape that is none', 'PL_BODY_MESSAGE', hex('2a 03 1a 01 80')],
        ['an id that is no UTF-8', 'PL_BODY_ENCODING', Buffer.concat([hex('1a 01 ff'), eight])],
        ['an id cut within a character', 'PL_BODY_ENCODING', Buffer.concat([hex('1a 01 c3'), eight])],
        ['a negative dimension', 'PL_BODY_SHAPE', encodeRequest(one({}, { shape: [-1, 2] }))],
        ['a dimension beyond 31 bits', 'PL_BODY_SHAPE', encodeRequest(one({}, { shape: [2 ** 31, 2] }))],
        ['too few elements', 'PL_BODY_SHAPE', encodeRequest(one({}, { contents: { fp32_contents: [1] } }))],
        ['too many elements', 'PL_BODY_SHAPE', encodeRequest(one({}, { contents: { fp32_contents: [1, 2, 3] } }))],
        ['too few raw bytes', 'PL_BODY_BINARY', encodeRequest(one({ raw_input_contents: [Buffer.alloc(7)] }))],
        ['too many raw bytes', 'PL_BODY_BINARY', encodeRequest(one({ raw_input_contents: [Buffer.alloc(5000)] }))],
        [
          'strings that do not fill it',
          'PL_BODY_BINARY',
          encodeRequest(one({ raw_input_contents: [Buffer.alloc(9)] }, { datatype: 'BYTES' })),
        ],
      ] as const) {
        const refusal = grpc.measure(body) as BodyRefusal;
        assert.is(refusal.code, code, `${what}: ${JSON.stringify(refusal)}`);
        assert.ok(refusal.offset <= body.length, what);
      }
    });

    test('forwards what is valid but not ours to batch', () => {
      const raw = [Buffer.alloc(8)];
      const eight = encodeRequest(one({ raw_input_contents: raw }));
      const tensor = one().inputs[0] as InferTensor;
      for (const [what, body] of [
        ['nothing', Buffer.alloc(0)],
        ['no tensors', encodeRequest(one({ inputs: [] }))],
        ['no contents (shared memory)', encodeRequest(one())],
        [
          'fewer raw tensors than tensors',
          encodeRequest(one({ inputs: [tensor, { ...tensor, name: 'y' }], raw_input_contents: raw })),
        ],
        [
          'raw and typed contents',
          encodeRequest(one({ raw_input_contents: raw }, { contents: { fp32_contents: [1, 2] } })),
        ],
        [
          'a sequence',
          encodeRequest(one({ raw_input_contents: raw, parameters: { sequence_id: { int64_param: 1 } } })),
        ],
        [
          'a size that is not that of the raw tensor',
          encodeRequest(one({ raw_input_contents: raw }, { parameters: { binary_data_size: { int64_param: 9 } } })),
        ],
        [
          'a size of a tensor that is not raw',
          encodeRequest(
            one({}, { contents: { fp32_contents: [1, 2] }, parameters: { binary_data_size: { int64_param: 8 } } }),
          ),
        ],
        ['a datatype that is not known', encodeRequest(one({ raw_input_contents: raw }, { datatype: 'FP8' }))],
        ['a scalar', encodeRequest(one({ raw_input_contents: [Buffer.alloc(4)] }, { shape: [] }))],
        ['no rows', encodeRequest(one({ raw_input_contents: [Buffer.alloc(0)] }, { shape: [0, 2] }))],
        [
          'unequal rows',
          encodeRequest(
            one({
              inputs: [
                { ...tensor, shape: [1] },
                { ...tensor, shape: [2] },
              ],
              raw_input_contents: [Buffer.alloc(4), Buffer.alloc(8)],
            }),
          ),
        ],
        ['a name twice', Buffer.concat([hex('0a 01 61'), eight])],
        ['contents of two fields', encodeRequest(one({}, { contents: { fp32_contents: [1], int_contents: [1] } }))],
        [
          '65 tensors',
          encodeRequest(
            one({
              inputs: Array.from({ length: 65 }, () => ({ ...tensor, shape: [1], contents: { fp32_contents: [1] } })),
            }),
          ),
        ],
        ['a name that is a number', Buffer.concat([hex('08 01'), eight])],
      ] as const) {
        assert.is(grpc.measure(body), 'pass-through', what);
      }
    });

    test('elements one by one and packed, and a shape one by one, are read alike but never share a batch', () => {
      const tensor = (shape: string, contents: string) => {
        const parts = hex(`0a 01 78 12 05 494e543332 ${shape} ${contents}`);
        return Buffer.concat([Buffer.of(0x2a, parts.length), parts]);
      };
      const packed = tensor('1a 02 01 02', '2a 05 12 03 01 8001');
      const loose = tensor('1a 02 01 02', '2a 05 10 01 10 8001');
      const looseShape = tensor('18 01 18 02', '2a 05 12 03 01 8001');
      const all = [packed, loose, looseShape].map(input);
      assert.equal(
        all.map(({ measured }) => measured.items),
        [1, 1, 1],
      );
      assert.is(new Set(all.map(({ measured }) => measured.signature)).size, 3);
      for (const each of all) {
        const merged = decodeRequest(whole(grpc.merge([each, each, each])));
        assert.equal(merged.inputs[0]?.shape.map(Number), [3, 2]);
        assert.equal(merged.inputs[0]?.contents?.int_contents, [1, 128, 1, 128, 1, 128]);
      }
    });

    test('limits of requests: the longest timeout and the most urgent priority', () => {
      const limited = (timeout: number, priority: number) =>
        input(
          encodeRequest(
            one({
              parameters: { timeout: { int64_param: timeout }, priority: { uint64_param: priority } },
              raw_input_contents: [Buffer.alloc(8)],
            }),
          ),
        );
      const requests = [limited(5, 0), limited(90_000, 2), limited(300, 1)];
      assert.equal(
        requests.map(({ measured }) => [measured.timeoutUs, measured.priority]),
        [
          [5, 0],
          [90_000, 2],
          [300, 1],
        ],
      );
      const { parameters } = decodeRequest(whole(grpc.merge(requests)));
      assert.equal(parameters?.timeout, { int64_param: '90000' });
      assert.equal(parameters?.priority, { uint64_param: '1' });
      const text = encodeRequest(
        one({ parameters: { timeout: { string_param: 'soon' } }, raw_input_contents: [Buffer.alloc(8)] }),
      );
      assert.is(input(text).measured.timeoutUs, undefined);
      const never = encodeRequest(
        one({ parameters: { timeout: { int64_param: -1 } }, raw_input_contents: [Buffer.alloc(8)] }),
      );
      assert.is(input(never).measured.timeoutUs, undefined);
    });

    test('merges and splits byte for byte as the same client would have written it, and the model answered', () => {
      let merges = 0;
      fc.assert(
        fc.property(messageClients, (client) => {
          const inputs = client.requests.map((each) => input(requestOf(client, each)));
          assert.is(new Set(inputs.map(({ measured }) => measured.signature)).size, 1);
          const all = joined(client);
          assert.equal(
            whole(grpc.merge(inputs)).toString('hex'),
            (inputs.length === 1 ? (inputs[0] as MergeInput).body : requestOf(client, all)).toString('hex'),
          );
          if (inputs.length < 2) return;
          merges++;
          const parts = grpc.split(replyOf(client, all), inputs);
          assert.ok(Array.isArray(parts), JSON.stringify(parts));
          for (const [i, part] of parts.entries()) {
            const own = replyOf(client, client.requests[i] as MessageClient['requests'][number]);
            assert.equal(whole(part).toString('hex'), own.toString('hex'));
          }
        }),
        propertyRuns(120 * effort, 2200),
      );
      assert.ok(merges > 30 * effort, `${merges} merges`);
    });

    test('where nobody gave an id, the model’s is told apart', () => {
      const request = encodeRequest(one({ raw_input_contents: [Buffer.alloc(8)] }));
      const inputs = [1, 2, 3].map(() => input(request));
      const reply = encodeResponse({
        model_name: 'm',
        id: 'made-up',
        outputs: [{ name: 'y', datatype: 'INT8', shape: [3] }],
        raw_output_contents: [Buffer.from([7, 8, 9])],
      });
      const parts = (grpc.split(reply, inputs) as Spliced[]).map((part) => decodeResponse(whole(part)));
      assert.equal(
        parts.map(({ id }) => id),
        ['made-up', 'made-up-1', 'made-up-2'],
      );
      assert.equal(
        parts.map(({ raw_output_contents: raws }) => raws?.[0]?.[0]),
        [7, 8, 9],
      );
    });

    test('mutated messages are what the plain reference says they are', () => {
      const outcomes = new Map<string, number>();
      fc.assert(
        fc.property(messageClients, fc.boolean(), fc.nat(), (client, reply, seed) => {
          const below = chance(seed);
          const first = client.requests[0] as MessageClient['requests'][number];
          const original = reply ? replyOf(client, first) : requestOf(client, first);
          for (let i = 0; i < 12; i++) {
            let body = original;
            for (let changes = i === 0 ? 0 : 1 + below(2); changes > 0; changes--) body = mutateMessage(body, below);
            const expected = referenceMessage(body, reply);
            const scan = kernel.measureMessage(body, reply);
            const forwarded = scan.status === WireStatus.PassThrough || scan.status === WireStatus.TooMany;
            const outcome = scan.status === WireStatus.Ok ? 'measured' : forwarded ? 'pass-through' : 'refused';
            const what = () => `${scan.status} at ${scan.failedAt}, reply ${reply}: ${body.toString('hex')}`;
            assert.is(outcome, expected.outcome, what());
            outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
            if (outcome !== 'measured') continue;
            assert.is(scan.items, expected.items, what());
            // What was measured can be merged with itself, and is then twice as much.
            if (reply) continue;
            const twice = grpc.measure(whole(grpc.merge([input(body), input(body)])));
            assert.ok(typeof twice === 'object' && 'items' in twice, what());
            assert.is(twice.items, 2 * expected.items, what());
          }
        }),
        propertyRuns(250 * effort, 2300),
      );
      const all = [...outcomes.values()].reduce((sum, each) => sum + each, 0);
      for (const outcome of ['measured', 'refused', 'pass-through'])
        assert.ok((outcomes.get(outcome) ?? 0) > all / 200, `${outcome}: ${outcomes.get(outcome)} of ${all}`);
    });

    test('never splits a reply that does not fit', () => {
      const request = encodeRequest(one({ raw_input_contents: [Buffer.alloc(8)] }));
      const inputs = [input(request), input(request)];
      const reply = (shape: number[], raw: Buffer, more: Partial<InferResponse> = {}) =>
        encodeResponse({
          model_name: 'm',
          outputs: [{ name: 'y', datatype: 'INT8', shape }],
          raw_output_contents: [raw],
          ...more,
        });
      const fine = reply([2], Buffer.alloc(2));
      assert.ok(Array.isArray(grpc.split(fine, inputs)));
      for (const [failed, body] of [
        ['count', reply([3], Buffer.alloc(3))],
        ['shape', reply([2], Buffer.alloc(3))],
        ['shape', reply([2], Buffer.alloc(2), { outputs: [] })],
        ['count', reply([2], Buffer.alloc(9), { outputs: [{ name: 'y', datatype: 'BYTES', shape: [2] }] })],
        ['not-protobuf', fine.subarray(0, -1)],
        // A field of later times may hold one element for each item.
        ['shape', Buffer.concat([fine, hex('7a 02 01 02')])],
      ] as const) {
        assert.is((grpc.split(body, inputs) as SplitFailure).failed, failed, body.toString('hex'));
      }
    });

    test('large raw tensors are views of what they came in, both ways, and need no room in the window', () => {
      const raw = Buffer.alloc(190_000, 1);
      const inputs = [0, 1, 2].map(() =>
        input(encodeRequest(one({ raw_input_contents: [raw] }, { datatype: 'INT8', shape: [1, 190_000] }))),
      );
      const { slices } = grpc.merge(inputs);
      assert.is(slices.filter((slice) => inputs.some(({ body }) => body.buffer === slice.buffer)).length, 3);
      const bytes = 3 * 1024 * 1024;
      const reply = encodeResponse({
        model_name: 'm',
        outputs: [
          { name: 'y', datatype: 'UINT8', shape: [3, bytes] },
          { name: 'z', datatype: 'UINT8', shape: [3] },
        ],
        raw_output_contents: [
          Buffer.concat([1, 2, 3].map((value) => Buffer.alloc(bytes, value))),
          Buffer.from([1, 2, 3]),
        ],
      });
      for (const [i, part] of (grpc.split(reply, inputs) as Spliced[]).entries()) {
        const [own, small] = decodeResponse(whole(part)).raw_output_contents as [Buffer, Buffer];
        assert.is(own.length, bytes);
        assert.ok(own.every((byte) => byte === i + 1));
        assert.equal(small, Buffer.of(i + 1));
        assert.ok(part.slices.some((slice) => slice.buffer === reply.buffer && slice.length === bytes));
      }
      const wide = {
        name: 'y',
        datatype: 'FP64',
        shape: [3, 250_000],
        contents: { fp64_contents: Array(750_000).fill(1) },
      };
      const typedReply = encodeResponse({ model_name: 'm', outputs: [wide] });
      assert.is((grpc.split(typedReply, inputs) as SplitFailure).failed, 'too-large');
    });
  });
}
