import * as assert from 'uvu/assert';
import { CompanionProcess } from '../support/companion-process.ts';
import { type FaultName, faultNames, faultOf } from '../support/faults/fault-model.ts';
import { suite } from '../support/suite.ts';
import { Chaos, chaosFlags, wrongAtTheEnd } from './chaos.ts';

const requests = 120;
/** A slow machine makes large batches of few calls: it goes on until the fault has been seen, up to so many. */
const requestsMax = 6000;
const share = 0.3;

/** Answers that callers get of a fault, of HTTP and of gRPC, beside the right ones. */
function wantedOf(name: FaultName): number[] {
  const { effect, http, grpc } = faultOf(name);
  if (effect === 'broken') return [http ?? 502, grpc ?? 14];
  if (effect === 'silent') return [504, 4];
  return effect === 'answered' || effect === 'unsplittable' ? [200, 0] : [http ?? 0, grpc ?? 0];
}

suite('each fault by itself', (test) => {
  for (const name of faultNames.filter((each) => each !== 'ok')) {
    test(`${name}: callers get what it comes to, and nothing else`, async () => {
      const settings = { faultShare: share, faults: [name], mannerShare: 0, callers: 24 };
      const chaos = new Chaos(3, settings);
      const upstream = `http://127.0.0.1:${await chaos.upstream.start()}`;
      const companion = await CompanionProcess.start(['--upstream', upstream, ...chaosFlags]);
      try {
        const { only, atHead } = { only: undefined, atHead: undefined, ...faultOf(name) };
        const { ledger } = chaos;
        const [http, grpc] = wantedOf(name) as [number, number];
        const wanted = [...(only === 'grpc' ? [] : [http]), ...(only === 'http' ? [] : [grpc])];
        const missing = () => {
          const statuses = new Set([...ledger.statuses.keys()].map((status) => Number(status.split(' ').at(-1))));
          const done = atHead || (ledger.faults.get(name) ?? 0) > 0;
          return [...wanted.filter((status) => !statuses.has(status)), ...(done ? [] : ['the fault at the model'])];
        };
        const unseen = (begun: number) => begun < requestsMax && missing().length > 0;
        await chaos.callWhile(companion, (begun) => ledger.wrongs < 5 && (begun < requests || unseen(begun)));
        assert.equal(ledger.wrong, []);
        assert.equal(await wrongAtTheEnd(companion, chaos), []);
        assert.equal(missing(), []);
      } finally {
        companion.stop();
        await chaos.upstream.stop();
      }
    });
  }
});
