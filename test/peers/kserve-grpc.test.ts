// needs: kserve
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import { answered, ofCrowd, ofMixedCrowd, refused } from './cases/inferences.ts';
import { named, statusCalls } from './cases/status-calls.ts';
import { grpcRequest, type Inference } from './cases/tensors.ts';
import { GrpcRig, inferCase } from './support/grpc-rig.ts';
import { type PeerServer, startKServe } from './support/servers.ts';

let server: PeerServer;
let rig: GrpcRig;

const ways = [
  ['raw', true],
  ['typed', false],
] as const;

/** FP16 has no typed form. */
function writable(inference: Inference, raw: boolean): boolean {
  return raw || inference.tensors.every(({ datatype }) => datatype !== 'FP16');
}

suite("KServe's server over gRPC", (test) => {
  test.before(async () => {
    server = await startKServe();
    rig = await GrpcRig.start(server.grpc);
  });
  test.after(async () => {
    await rig?.stop();
    await server?.stop();
  });

  for (const [way, raw] of ways) {
    test(`${way}: what the model refuses is refused with its status and its words`, async () => {
      const known = refused.filter(([name]) => name !== 'an unknown version');
      const answers = await rig.agree(
        known.map(([name, inference]) => inferCase(`${way}, ${name}`, grpcRequest(inference, raw))),
      );
      assert.ok(answers.every(({ code }) => code !== 0));
    });

    test(`${way}: every datatype, shape, output and id, one by one`, async () => {
      const cases = answered.filter(([, inference]) => writable(inference, raw));
      const answers = await rig.agree(
        cases.map(([name, inference]) => inferCase(`${way}, ${name}`, grpcRequest(inference, raw))),
      );
      assert.equal(new Set(answers.map(({ code }) => code)), new Set([0]));
    });

    test(`${way}: many callers at once get their own answers`, async () => {
      await rig.agreeAtOnce(
        Array.from({ length: 96 }, (_, i) => inferCase(`gRPC ${way} ${i}`, grpcRequest(ofCrowd(i), raw))),
      );
    });

    test(`${way}: those that the model refuses spoil nobody else's batch`, async () => {
      const answers = await rig.agreeAtOnce(
        Array.from({ length: 48 }, (_, i) =>
          inferCase(`gRPC ${way}, one in eight refused, ${i}`, grpcRequest(ofMixedCrowd(i), raw)),
        ),
      );
      assert.is(answers.filter(({ code }) => code === 3).length, 6);
      assert.is(answers.filter(({ code }) => code === 0).length, 42);
    });
  }

  test('contents that contradict themselves', async () => {
    const request = grpcRequest(ofCrowd(1), true);
    const both = { ...request, inputs: grpcRequest(ofCrowd(1), false).inputs };
    const tooMany = { ...request, raw_input_contents: [Buffer.alloc(4), Buffer.alloc(4)] };
    await rig.agree([inferCase('raw and typed', both), inferCase('two raw tensors of one input', tooMany)]);
  });

  test('everything that is no inference', async () => {
    const empty = Buffer.alloc(0);
    await rig.agree([
      ...statusCalls,
      { name: 'an unknown model ready', method: 'ModelReady', body: named('nobody') },
      { name: 'health', method: '/grpc.health.v1.Health/Check', body: empty },
      { name: 'reflection', method: '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo', body: empty },
    ]);
  });
});
