import * as assert from 'uvu/assert';
import { type Rig, withRig } from '../support/companion.ts';
import { type ReadFamily, readMetricsPage } from '../support/metrics-page.ts';
import { suite } from '../support/suite.ts';

async function scrape(rig: Rig, open: boolean): Promise<Map<string, ReadFamily>> {
  const accept = open ? 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' : 'text/plain;version=0.0.4';
  const page = await rig.admin('/metrics', { accept });
  assert.match(String(page.headers['content-type']), open ? /^application\/openmetrics-text/ : /^text\/plain/);
  return readMetricsPage(page.text, open);
}

suite('a scrape of a companion', (test) => {
  test('is valid before there was a request, and has every histogram at zero', () =>
    withRig({}, async (rig) => {
      for (const open of [false, true]) {
        const page = await scrape(rig, open);
        const histograms = [...page].filter(([, { type }]) => type === 'histogram');
        assert.is(histograms.length, 7);
        for (const [name, { samples }] of histograms) assert.is(samples.get(`${name}_count`), 0, name);
      }
    }));

  test('counts refusals, failures, pass-through and answers once each, and stays valid', () =>
    withRig({}, async (rig) => {
      const target = '/v1/models/m:predict';
      await rig.call(target, '{"instances": [');
      await rig.call('/v1/models');
      rig.model.behave = () => 422;
      await rig.predict(1);
      rig.model.behave = () => 'ok';
      await Promise.all([1, 2, 3].map((value) => rig.predict(value)));
      for (const open of [false, true]) {
        const page = await scrape(rig, open);
        const requests = page.get(open ? 'paceline_requests' : 'paceline_requests_total')?.samples;
        const count = (outcome: string, reason: string) =>
          requests?.get(`paceline_requests_total{outcome="${outcome}",reason="${reason}"}`);
        assert.is(count('refused', 'PL_BODY_SYNTAX'), 1);
        assert.is(count('passed', '2xx'), 1);
        assert.is(count('failed', 'upstream-422'), 1);
        assert.is(count('answered', 'none'), 3);
        const seconds = page.get('paceline_request_seconds')?.samples;
        assert.is(seconds?.get('paceline_request_seconds_count'), 3);
        const parts = ['queue', 'wait'].map((part) => page.get(`paceline_${part}_seconds`)?.samples);
        for (const [i, part] of ['queue', 'wait'].entries()) {
          assert.is(parts[i]?.get(`paceline_${part}_seconds_count`), 3);
        }
        const batches = [...(page.get(open ? 'paceline_batches' : 'paceline_batches_total')?.samples.values() ?? [])];
        const items = page.get('paceline_batch_items')?.samples;
        assert.is(
          batches.reduce((sum, each) => sum + each, 0),
          items?.get('paceline_batch_items_count'),
        );
        assert.is(items?.get('paceline_batch_items_sum'), 4);
      }
    }));
});
