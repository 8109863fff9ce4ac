import * as assert from 'uvu/assert';
import { withRig } from '../support/companion.ts';
import { suite } from '../support/suite.ts';

const sampleOf = (page: string, series: string) => {
  const line = page.split('\n').find((each) => each.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? Number.NaN);
};

suite('companion: mode advise', (test) => {
  test('what would have been refused passes through', () =>
    withRig({ mode: 'advise' }, async (rig) => {
      rig.model.behave = () => 400;
      const invalid = await rig.call('/v1/models/m:predict', '{"instances": [1, }');
      assert.is(invalid.status, 400);
      assert.equal(invalid.json, { detail: 'the model says 400' });
      assert.equal((await rig.predict(1, { 'paceline-timeout-ms': 'soon' })).json, { detail: 'the model says 400' });
      assert.is(rig.model.calls.length, 2);
    }));

  test('nothing is changed, and what would have been decided is reported', () =>
    withRig({ mode: 'advise', slo: '30s' }, async (rig) => {
      rig.model.serial = true;
      for (let i = 0; i < 48; i++) await rig.predict(i);
      rig.model.calls.length = 0;
      rig.model.timeMs = () => 5;
      const bodies = Array.from({ length: 40 }, (_, i) => `{ "instances":[ ${i} ] }`);
      const answers = await Promise.all(bodies.map((body) => rig.call('/v1/models/m:predict', body)));
      for (const [i, { status, json, headers }] of answers.entries()) {
        assert.is(status, 200);
        assert.equal(json, { predictions: [{ echo: i }] });
        assert.is(headers['server-timing'], undefined);
        assert.is(headers['x-model'], 'echo');
      }
      assert.equal(rig.model.calls.map(({ body }) => body).sort(), [...bodies].sort(), 'one call each, as it came');
      const page = (await rig.admin('/metrics')).text;
      assert.is(sampleOf(page, 'paceline_advised_batch_items_sum'), 88);
      assert.ok(sampleOf(page, 'paceline_advised_batch_items_count') < 88, 'it would have batched');
      assert.is(sampleOf(page, 'paceline_pass_through_total{why="advise"}'), 88);
      assert.is(sampleOf(page, 'paceline_batch_items_count'), 0);
      const signals = (await rig.admin('/signals')).json;
      assert.is(signals.mode, 'advise');
      assert.equal(signals.attainment, { share: 1, requests: 88 });
      assert.ok((signals.arrivalRate as number) > 0);
      assert.is((signals.lanes as { target: string }[])[0]?.target, '/v1/models/m:predict');
    }));

  test('learns how long one request takes', () =>
    withRig({ mode: 'advise', slo: '30s' }, async (rig) => {
      rig.model.timeMs = () => 30;
      for (let i = 0; i < 20; i++) await rig.predict(i);
      const { lanes } = (await rig.admin('/signals')).json as {
        lanes: { latencyMs: { items: number; expected: number }[] }[];
      };
      const alone = lanes[0]?.latencyMs[0]?.expected as number;
      assert.ok(alone >= 29 && alone < 1000, `${alone} ms, not the 4 s that it begins with`);
    }));

  test('late answers count against the objective', () =>
    withRig({ mode: 'advise', slo: '20ms' }, async (rig) => {
      rig.model.timeMs = () => 60;
      await rig.predict(1);
      assert.equal((await rig.admin('/signals')).json.attainment, { share: 0, requests: 1 });
    }));
});
