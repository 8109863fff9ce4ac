import * as assert from 'uvu/assert';
import { Random } from '../../src/simulator/random.ts';
import { type Answer, withRig } from '../support/companion.ts';
import type { Behaviour } from '../support/model-server.ts';
import { suite } from '../support/suite.ts';

const requests = 100_000;
const callers = 256;

const broken: Answer = { status: 0, headers: {}, text: '', json: { code: 'broken off' } };

suite('companion: chaos', (test) => {
  test(`${requests} requests with faults: each caller gets exactly its own answer`, () =>
    withRig({ slo: '500ms' }, async (rig) => {
      const dice = new Random(7);
      const random = () => dice.uniform();
      const faults: Behaviour[] = [
        'reset',
        'hang',
        'few',
        'many',
        'not-json',
        'truncate',
        'close',
        400,
        500,
        413,
        503,
        429,
      ];
      rig.model.keepCalls = false;
      rig.model.timeMs = () => 2;
      rig.model.behave = (call, number) => {
        if (call.items.some((item) => String(item).startsWith('poison'))) return 500;
        if (number % 4999 === 0) rig.model.closeConnections();
        return random() < 0.02 ? (faults[Math.floor(random() * faults.length)] as Behaviour) : 'ok';
      };
      let next = 0;
      const statuses = new Map<number, number>();
      const caller = async () => {
        while (next < requests) {
          const id = next++;
          const value = id % 499 === 0 ? `poison-${id}` : id;
          // A few models, so that lanes that became unsplittable are not all there is.
          const path = `/v1/models/m${id % 40}-${Math.floor(id / 5000)}:predict`;
          // A streamed reply that the model broke off is broken off here too: the caller sees it.
          const answer = await rig.call(path, JSON.stringify({ instances: [value, `${id}b`] })).catch(() => broken);
          statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
          if (answer.status === 200) {
            // A reply to a single request is the model's own, right or wrong.
            const own = /^(?:<html>)?\{"predictions":\[(?:\{"echo":(?:"?(?:poison-)?(\d+)b?"?|0)\},?)*\]\}$/.test(
              answer.text,
            );
            assert.ok(own, answer.text);
            for (const match of answer.text.matchAll(/"echo":"?(?:poison-)?(\d+)b?"?\}/g)) {
              if (match[1] !== '0') assert.is(Number(match[1]), id, `${id} got ${answer.text}`);
            }
          } else {
            assert.ok(answer.json.code !== undefined || answer.json.detail !== undefined, answer.text);
          }
        }
      };
      await Promise.all(Array.from({ length: callers }, caller));
      const total = [...statuses.values()].reduce((sum, each) => sum + each, 0);
      assert.is(total, requests);
      assert.ok((statuses.get(200) ?? 0) > 0.8 * requests, JSON.stringify([...statuses]));
      assert.ok((statuses.get(0) ?? 0) < 0.005 * requests, JSON.stringify([...statuses]));
      const metrics = (await rig.admin('/metrics')).text;
      assert.match(metrics, /paceline_waiting_bytes 0\n/);
      assert.match(metrics, /paceline_waiting_requests 0\n/);
      assert.match(metrics, /paceline_in_flight_batches 0\n/);
    }));
});
