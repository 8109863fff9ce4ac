import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import type { Resend } from '../../src/companion/batching/batch-parts.ts';
import { quarantineReasons } from '../../src/companion/batching/quarantine.ts';
import type { EventResult } from '../../src/companion/observing/event-queue.ts';
import type { UpstreamFailure } from '../../src/companion/upstream/upstream.ts';
import type { SplitFailure } from '../../src/protocol/protocol.ts';
import { CompanionMetrics } from '../../src/telemetry/companion-metrics.ts';
import { Exposition } from '../../src/telemetry/exposition.ts';
import { Counter } from '../../src/telemetry/instruments.ts';
import { readMetricsPage } from '../support/metrics-page.ts';
import { suite } from '../support/suite.ts';

const openMetrics = 'application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5';

function create(): CompanionMetrics {
  return new CompanionMetrics({
    waiting: () => 3,
    lateWaiting: () => 1,
    waitingBytes: () => 2048,
    inFlight: () => 2,
    parallelLimit: () => 4,
    lanes: () => 5,
    arrivalRate: () => 6.5,
    busyShare: () => 0.25,
    quarantinedLanes: () => 0,
    circuitState: () => 0,
    eventLoopLagMs: () => 12,
    payloadEvents: () => 2,
    payloadBytes: () => 100,
  });
}

async function pagesOf(metrics: CompanionMetrics) {
  const plain = await metrics.render('text/plain');
  const open = await metrics.render(openMetrics);
  return {
    plain: readMetricsPage(plain.body, false),
    open: readMetricsPage(open.body, true),
    contentTypes: [plain.contentType, open.contentType],
  };
}

/** Values of a label that is a closed list. */
function valuesOf(counter: Counter, at = 0): string[] {
  return [...(counter.labels[at]?.values ?? [])].sort();
}

suite('companion metrics', (test) => {
  test('the strict reader refuses pages that break a rule', () => {
    const good = '# HELP a_seconds x\n# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds{b="c"} 1\n# EOF\n';
    assert.is(readMetricsPage(good, true).size, 1);
    for (const bad of [
      good.replace('# EOF\n', ''),
      good.replace('seconds seconds', 'seconds bytes'),
      good.replace('gauge', 'counter'),
      good.replace(' 1\n', ' 1\n\n'),
      good.replace(' 1\n', ' 1\na_seconds{b="c"} 2\n'),
      good.replace('"c"', '"c'),
      good.replace(' 1\n', ' NaN\n'),
      good.replace('# HELP a_seconds x\n', ''),
    ]) {
      assert.throws(() => readMetricsPage(bad, true), undefined, bad);
    }
  });

  test('both formats are valid before anything happened and afterwards, with the same numbers', async () => {
    const metrics = create();
    for (const busy of [false, true]) {
      if (busy) {
        for (let i = 0; i < 50; i++) metrics.answered(i, i * 7, i, i / 2, i % 5 > 0);
        metrics.requests.add(2, 'passed', '2xx');
        metrics.requests.add(1, 'refused', 'a "strange" \\ reason\n');
        metrics.batchItems.observe(16);
      }
      const { plain, open, contentTypes } = await pagesOf(metrics);
      assert.match(contentTypes[0] as string, /^text\/plain; version=0\.0\.4/);
      assert.match(contentTypes[1] as string, /^application\/openmetrics-text; version=1\.0\.0/);
      assert.is(plain.size, open.size);
      for (const [name, family] of open) {
        if (name.startsWith('process_')) continue;
        const same = plain.get(family.type === 'counter' ? `${name}_total` : name);
        assert.equal([...(same?.samples.values() ?? [])], [...family.samples.values()], name);
      }
    }
  });

  test('what an operator looks for is there, with its unit and its value', async () => {
    const metrics = create();
    metrics.answered(1000, 150, 40, 10, true);
    metrics.answered(1000, 250, 40, 10, false);
    metrics.executed(4, 30);
    metrics.predictionRatio.observe(1.1);
    metrics.batches.add(1, 'full');
    const { plain, open } = await pagesOf(metrics);
    const value = (family: string, series = family) => plain.get(family)?.samples.get(series);
    assert.is(value('paceline_requests_total', 'paceline_requests_total{outcome="answered",reason="none"}'), 2);
    assert.is(value('paceline_slo_requests_total', 'paceline_slo_requests_total{met="true"}'), 1);
    assert.is(value('paceline_slo_requests_total', 'paceline_slo_requests_total{met="false"}'), 1);
    assert.is(value('paceline_batches_total', 'paceline_batches_total{trigger="full"}'), 1);
    for (const [family, sum] of [
      ['paceline_request_seconds', 0.4],
      ['paceline_queue_seconds', 0.08],
      ['paceline_wait_seconds', 0.02],
      ['paceline_execution_seconds', 0.03],
      ['paceline_prediction_ratio', 1.1],
      ['paceline_batch_items', 0],
    ] as const) {
      assert.is(value(family, `${family}_sum`), sum, family);
    }
    assert.is(value('paceline_in_flight_limit'), 4);
    assert.is(value('paceline_lanes'), 5);
    assert.is(value('paceline_event_loop_lag_seconds'), 0.012);
    assert.ok((value('process_cpu_seconds_total') as number) > 0);
    assert.ok((value('process_resident_memory_bytes') as number) > 1e6);
    for (const [name, unit] of [
      ['paceline_queue_seconds', 'seconds'],
      ['process_cpu_seconds', 'seconds'],
      ['paceline_waiting_bytes', 'bytes'],
      ['paceline_slo_attainment_ratio', 'ratio'],
      ['paceline_lanes', undefined],
    ] as const) {
      assert.is(open.get(name)?.unit, unit, name);
    }
  });

  test('totals count each request once, and only grow', () => {
    const metrics = create();
    metrics.objective(1, true);
    metrics.objective(2, false);
    metrics.objective(3, false, true);
    metrics.dispatched(16);
    metrics.dispatched(2);
    metrics.executed(16, 130);
    metrics.executed(2, 60);
    const calls = { calls: 2, items: 18, tookMs: 190 };
    assert.equal(metrics.totals(), { requests: 3, attained: 1, missed: 1, failed: 1, batches: 2, items: 18, calls });
  });

  test('attainment is 1 without traffic, else the share of the last minute', () => {
    const metrics = create();
    assert.is(metrics.attainment(), 1);
    const now = performance.now();
    for (let i = 0; i < 4; i++) metrics.objective(now, i > 0);
    assert.is(metrics.attainment(), 0.75);
  });

  test('label values are escaped in the page', async () => {
    const counter = new Counter('c_total', 'help', [{ name: 'a', values: 'anything' }]);
    counter.add(2, 'x"y\\z\n');
    const { body } = await new Exposition([counter]).render(undefined);
    assert.match(body, 'c_total{a="x\\"y\\\\z\\n"} 2');
    readMetricsPage(body, false);
  });

  test('closed labels know every value that the companion counts', () => {
    const metrics = create();
    const failures: Record<UpstreamFailure, true> = {
      unreachable: true,
      reset: true,
      timeout: true,
      aborted: true,
      'too-large': true,
      invalid: true,
      protocol: true,
    };
    const ofGrpc = Array.from({ length: 17 }, (_, status) => `grpc-${status}`);
    const classes = ['2xx', '3xx', '4xx', '5xx'];
    assert.equal(valuesOf(metrics.upstreamCalls), [...Object.keys(failures), ...classes, ...ofGrpc].sort());
    const events: Record<EventResult, true> = {
      sent: true,
      'queue-full': true,
      'bytes-full': true,
      refused: true,
      unreachable: true,
      timeout: true,
      reset: true,
      untrusted: true,
      drained: true,
    };
    assert.equal(valuesOf(metrics.payloadEvents), Object.keys(events).sort());
    const wrong: Record<SplitFailure['failed'], true> = {
      'not-json': true,
      'not-protobuf': true,
      count: true,
      shape: true,
      'too-large': true,
    };
    assert.equal(valuesOf(metrics.unsplittable), Object.keys(wrong).sort());
    const folder = fileURLToPath(new URL('../../src/companion/', import.meta.url));
    const source = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFileSync(folder + file, 'utf8'))
      .join('\n');
    const used = (pattern: RegExp) => [...new Set([...source.matchAll(pattern)].flatMap((match) => match.slice(1)))];
    assert.equal(used(/#(?:pass|sendAlone)\(exchange, '([^']+)'/g).sort(), valuesOf(metrics.passedWhy));
    const resends: Record<Resend | 'dead-connection', true> = {
      bisect: true,
      halve: true,
      unsplittable: true,
      alone: true,
      'dead-connection': true,
    };
    assert.equal(valuesOf(metrics.resends), Object.keys(resends).sort());
    assert.equal(valuesOf(metrics.quarantines), [...quarantineReasons].sort());
    const outcomes = used(/requests\.add\(1, '([^']+)'/g);
    for (const outcome of outcomes) assert.ok(valuesOf(metrics.requests).includes(outcome), outcome);
  });

  test('names are ours or the convention of all processes, and no help text is a stub', () => {
    for (const { name, help, type } of create().instruments) {
      assert.match(name, /^(paceline|process)_[a-z_]+$/);
      assert.is(name.endsWith('_total'), type === 'counter', name);
      assert.match(help, /^[A-Z].{8,}\.$/);
    }
  });
});
