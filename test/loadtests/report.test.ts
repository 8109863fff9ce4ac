import * as assert from 'uvu/assert';
import { planOf } from '../../loadtests/plan.ts';
import { ReplicaWatch } from '../../loadtests/replicas.ts';
import { chartSvg, niceCeiling } from '../../loadtests/report/chart.ts';
import { htmlReport } from '../../loadtests/report/html.ts';
import { makeReport } from '../../loadtests/report/report.ts';
import { percent, textReport } from '../../loadtests/report/text.ts';
import { Series } from '../../loadtests/series.ts';
import type { LoadSettings } from '../../loadtests/settings.ts';
import type { KubeApi } from '../../src/kube/kube-api.ts';
import { suite } from '../support/suite.ts';

const settings: LoadSettings = {
  plan: planOf('step', {
    sides: [{ name: 'service', url: 'http://127.0.0.1/<script>' }],
    rate: 2,
    durationSeconds: 6,
    sloMs: 100,
    quantile: 0.99,
    body: '{}',
  }),
  out: 'x',
  quantile: 0.99,
  watched: [],
  price: { perHour: 3600, currency: 'USD' },
};

function run(late: number) {
  const series = new Series(['service']);
  series.begin(Date.now() - 3000);
  for (let i = 0; i < 52; i++) {
    const second = i < 2 ? 0 : i < 22 ? 1 + (i % 2) : 3 + (i % 3);
    series.add({
      side: 'service',
      sentMs: series.startMs + second * 1000,
      ms: 50,
      outcome: i >= 52 - late ? 'late' : 'good',
    });
  }
  const summary = {
    metrics: { 'within_slo{side:service,phase:after}': { thresholds: { 'rate>=0.99': { ok: late === 0 } } } },
  };
  return { series, summary, exitCode: late === 0 ? 0 : 99 };
}

suite('load report', (test) => {
  test('a share is never rounded up to what was asked', () => {
    assert.equal(
      [percent(0.98999), percent(0.99), percent(1), percent(0.9999)],
      ['98.9 %', '99.0 %', '100.0 %', '99.9 %'],
    );
  });

  test('what did not hold is said, in words and in the page', () => {
    const report = makeReport(settings, run(5), new Map());
    assert.is(report.passed, false);
    assert.match(textReport(report), /after .* MISS/);
    assert.match(textReport(report), /did not hold:\n {2}within_slo\{side:service,phase:after\} {2}rate>=0.99/);
    assert.match(htmlReport(report), /Not every threshold held/);
  });

  test('phases, seconds and sums agree', () => {
    const report = makeReport(settings, run(0), new Map());
    const [side] = report.sides;
    assert.is(report.passed, true);
    assert.equal(
      side?.phases.map(({ name, tally }) => [name, tally.requests]),
      [
        ['before', 2],
        ['step', 20],
        ['after', 30],
      ],
    );
    assert.is(
      side?.seconds.reduce((sum, { due }) => sum + due, 0),
      side?.whole.requests,
    );
    assert.is(side?.replicas, null);
  });

  test('the page stands by itself, and nothing in it is taken for markup', () => {
    const page = htmlReport(makeReport(settings, run(0), new Map()));
    assert.not.match(page, /<script|<link|<img|src=/);
    assert.match(page, /&#60;script&#62;/);
    assert.not.match(page, /NaN|undefined|Infinity/);
  });

  test('a chart of nothing is a chart', () => {
    assert.not.match(chartSvg({ title: 't', unit: 'u', lines: [], bands: [] }), /NaN|Infinity/);
    assert.equal([0, 0.3, 1, 7, 23, 101].map(niceCeiling), [1, 0.5, 1, 10, 25, 200]);
  });

  test('replica-seconds count what is on a node and not leaving, whether ready or not', async () => {
    const condition = (type: string, status: string) => ({
      type,
      status,
      lastTransitionTime: new Date(Date.now() + 500).toISOString(),
    });
    const pod = (name: string, ready: string, extra: object = {}, deletionTimestamp?: string) => ({
      metadata: { name, ...(deletionTimestamp ? { deletionTimestamp } : {}) },
      spec: { nodeName: 'n' },
      status: { phase: 'Running', conditions: [condition('Ready', ready), condition('PodScheduled', 'True')] },
      ...extra,
    });
    const items = [
      pod('ready', 'True'),
      pod('starting', 'False'),
      pod('leaving', 'True', {}, '2026-01-01T00:00:00Z'),
      pod('unscheduled', 'False', { spec: {} }),
      pod('over', 'False', { status: { phase: 'Succeeded' } }),
    ];
    const asked: string[] = [];
    const api = {
      list: async (_kind: unknown, selection: { labelSelector?: string }) => {
        asked.push(selection.labelSelector ?? '');
        return { items, resourceVersion: '1' };
      },
    } as unknown as KubeApi;
    const watch = new ReplicaWatch(api, { side: 'service', namespace: 'default', service: 'digits' });
    await watch.start();
    const { samples } = watch.stop();
    const [{ atMs, ...counts } = { atMs: 0 }] = samples;
    assert.equal(counts, { ready: 1, starting: 1, ending: 1 });
    assert.equal(asked, ['serving.kserve.io/inferenceservice=digits', 'serving.knative.dev/service=digits']);
    const use = watch.use(atMs - 1000, atMs + 3000);
    assert.is(use.replicaSeconds, 6);
    assert.is(use.most, 2);
    assert.is(use.coldStartsMs.length, 1);
    const report = makeReport(settings, run(0), new Map([['service', watch]]));
    assert.ok((report.sides[0]?.replicas?.cost ?? 0) > 0, 'replica-seconds have a price');
  });
});
