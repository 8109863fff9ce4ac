import { CompanionMetrics } from '../../src/telemetry/companion-metrics.ts';
import { unitOf } from '../../src/telemetry/exposition.ts';
import { Histogram, type Instrument } from '../../src/telemetry/instruments.ts';
import { code, codes, table } from './markdown.ts';

/** Every metric of a companion, from the instruments that it registers. */
export function metricsPage(): string {
  const { instruments } = new CompanionMetrics({
    waiting: () => 0,
    lateWaiting: () => 0,
    waitingBytes: () => 0,
    inFlight: () => 0,
    parallelLimit: () => 0,
    lanes: () => 0,
    arrivalRate: () => 0,
    busyShare: () => 0,
    quarantinedLanes: () => 0,
    circuitState: () => 0,
    eventLoopLagMs: () => 0,
    payloadEvents: () => 0,
    payloadBytes: () => 0,
  });
  const labelled = instruments.filter(({ labels }) => labels.length > 0);
  const histograms = instruments.filter((instrument) => instrument instanceof Histogram);
  return `# Metrics

\`/metrics\` on the companion's admin port (9082 unless \`--admin-port\` says otherwise). A scraper that accepts
\`application/openmetrics-text\`, as Prometheus does, gets OpenMetrics 1.0 with units; any other one gets Prometheus text
0.0.4. Names are the same in both. Every metric below is there from the first scrape, a histogram with all its buckets.

${table(
  ['name', 'type', 'unit', 'labels', 'meaning'],
  instruments.map((each) => [
    code(each.name),
    each.type,
    unitOf(each) ?? '',
    codes(each.labels.map(({ name }) => name)),
    each.help,
  ]),
)}

## Labels

The number of series is bounded: 64 a counter, and what a list does not know or the bound leaves out is counted as
\`other\`. No label says anything that a caller wrote.

${table(['metric', 'label', 'values'], labelled.flatMap(labelRows))}

## Buckets

${table(
  ['metric', 'upper bounds'],
  histograms.map((each) => [code(each.name), `${each.bounds.join(', ')}, +Inf`]),
)}

## Questions

${table(
  ['question', 'query'],
  [
    [
      'Which share met its SLO?',
      'sum(rate(paceline_slo_requests_total{met="true"}[5m])) / sum(rate(paceline_slo_requests_total[5m]))',
    ],
    [
      'How long do callers wait, at most, 99 times of 100?',
      'histogram_quantile(0.99, sum by (le) (rate(paceline_request_seconds_bucket[5m])))',
    ],
    ['How large are batches?', 'rate(paceline_batch_items_sum[5m]) / rate(paceline_batch_items_count[5m])'],
    ['What sets batches off?', 'sum by (trigger) (rate(paceline_batches_total[5m]))'],
    ['Why are requests refused?', 'sum by (reason) (rate(paceline_requests_total{outcome=~"refused|failed"}[5m]))'],
    [
      'Is the model slower than predicted?',
      'rate(paceline_prediction_ratio_sum[5m]) / rate(paceline_prediction_ratio_count[5m])',
    ],
    ['Is the model the bottleneck?', 'paceline_busy_ratio'],
  ].map(([question = '', query = '']) => [question, code(query)]),
)}

A request's time is queue (the model had no free slot), then wait (company was worth waiting for), then execution: the same
three that the reply's \`Server-Timing\` header names, in ms.
`;
}

function labelRows({ name, labels }: Instrument): string[][] {
  return labels.map((label) => [
    code(name),
    code(label.name),
    typeof label.values === 'string' ? label.values : codes(label.values),
  ]);
}
