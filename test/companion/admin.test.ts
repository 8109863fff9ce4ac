import * as assert from 'uvu/assert';
import { withRig } from '../support/companion.ts';
import { suite } from '../support/suite.ts';

suite('companion: admin port', (test) => {
  test('unknown pages and writing methods are refused', () =>
    withRig({}, async (rig) => {
      assert.is((await rig.admin('/nothing')).status, 404);
      const post = await fetch(`http://127.0.0.1:${rig.adminPort}/config`, { method: 'POST' });
      assert.is(post.status, 405);
    }));

  test('readiness follows the model', () =>
    withRig({}, async (rig) => {
      assert.is((await rig.admin('/readyz')).status, 200);
      await rig.model.stop();
      const down = await rig.admin('/readyz');
      assert.is(down.status, 503);
      assert.match(down.text, /does not answer/);
      assert.is((await rig.admin('/healthz')).status, 200);
      await rig.model.start(rig.modelPort);
      assert.is((await rig.admin('/readyz')).status, 200);
    }));

  test('metrics in both formats count what happened', () =>
    withRig({}, async (rig) => {
      await Promise.all(Array.from({ length: 20 }, (_, i) => rig.predict(i)));
      const plain = await rig.admin('/metrics');
      assert.match(String(plain.headers['content-type']), /version=0\.0\.4/);
      assert.match(plain.text, /paceline_requests_total\{outcome="answered",reason="none"\} 20\n/);
      assert.match(plain.text, /paceline_request_seconds_count 20\n/);
      const open = await rig.admin('/metrics', { accept: 'application/openmetrics-text; version=1.0.0' });
      assert.match(open.text, /# TYPE paceline_requests counter\n/);
      assert.match(open.text, /paceline_requests_total\{outcome="answered",reason="none"\} 20\n/);
      assert.ok(open.text.endsWith('# EOF\n'));
    }));

  test('signals and configuration are JSON', () =>
    withRig({ slo: '150ms' }, async (rig) => {
      await rig.predict(1);
      const signals = (await rig.admin('/signals')).json as { schemaVersion: number; lanes: { target: string }[] };
      assert.is(signals.schemaVersion, 2);
      assert.is(signals.lanes[0]?.target, '/v1/models/m:predict');
      const config = (await rig.admin('/config')).json;
      assert.is(config.sloMs, 150);
      assert.is(config.lateTimeoutMs, 750);
      assert.is(config.sloPercentile, 99);
      assert.is(config.patience, 'auto');
    }));
});
