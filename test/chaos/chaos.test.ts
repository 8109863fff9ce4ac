import * as assert from 'uvu/assert';
import { CompanionProcess } from '../support/companion-process.ts';
import { FaultPlan, faultNames, faultOf } from '../support/faults/fault-model.ts';
import { suite } from '../support/suite.ts';
import { Chaos, chaosFlags, wrongAtTheEnd } from './chaos.ts';

const requests = 12_000;

suite('chaos', (test) => {
  test('the same seed draws the same faults, each of them, as often as it is asked for', () => {
    const draw = () => {
      const plan = new FaultPlan(5, 0.5);
      return Array.from({ length: 20_000 }, (_, i) => plan.next(i % 2 === 0 ? 'http' : 'grpc'));
    };
    const names = draw();
    assert.equal(names, draw());
    const drawn = new Set(names);
    for (const name of faultNames) assert.is(drawn.has(name), name === 'ok' || faultOf(name).atHead !== true, name);
    const share = names.filter((name) => name !== 'ok').length / names.length;
    assert.ok(share > 0.4 && share < 0.52, `${share}`);
  });

  // `npm run chaos` is the long form.
  test(`${requests} requests of all protocols with faults: each caller gets exactly its own answer`, async () => {
    const chaos = new Chaos(11, { faultShare: 0.08 });
    const upstream = `http://127.0.0.1:${await chaos.upstream.start()}`;
    const companion = await CompanionProcess.start(['--upstream', upstream, ...chaosFlags]);
    try {
      await chaos.callWhile(companion, (begun) => begun < requests && chaos.ledger.wrongs < 20);
      assert.equal(chaos.ledger.wrong, []);
      assert.is(chaos.ended, requests);
      assert.ok(chaos.ledger.counts.batched > 100, JSON.stringify(chaos.ledger.counts));
      assert.equal(await wrongAtTheEnd(companion, chaos), []);
    } finally {
      companion.stop();
      await chaos.upstream.stop();
    }
  });
});
