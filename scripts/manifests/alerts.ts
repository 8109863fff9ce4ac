import { stringify } from 'yaml';
import { query } from './metric-names.ts';

const by = 'kind, namespace, name';
/** Share of requests that may miss their objective. */
const budget = 'paceline:slo_budget:ratio';
/** Where no controller says what is promised: that of the default percentile. */
const usualBudget = 0.01;

/**
 * Burn rates after the Google SRE workbook, chapter 5 (multi-window, multi-burn-rate): a budget of 30 days is spent this
 * many times too fast over the long window, and still is over the short one.
 */
const burns = [
  { rate: 14.4, long: '1h', short: '5m', severity: 'critical', spent: '2 % of the month within an hour' },
  { rate: 6, long: '6h', short: '30m', severity: 'critical', spent: '5 % of the month within six hours' },
  { rate: 3, long: '1d', short: '2h', severity: 'warning', spent: '10 % of the month within a day' },
  { rate: 1, long: '3d', short: '6h', severity: 'warning', spent: '10 % of the month within three days' },
] as const;

const windows = [...new Set(burns.flatMap(({ long, short }) => [short, long]))];
const recorded = (window: string) => `paceline:slo_misses:ratio_rate${window}`;
const service = '{{ $labels.namespace }}/{{ $labels.name }}';

/** Recorded miss ratios, alerts on burnt error budget, and alerts on Paceline itself. */
export function alertsFile(): string {
  const rule = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'paceline', namespace: 'paceline-system' },
    spec: {
      groups: [
        {
          name: 'paceline-slo-records',
          rules: [
            budgetRecord,
            ...windows.map((window) => ({
              record: recorded(window),
              expr: query(
                `sum by (${by}) (rate(paceline_slo_requests_total{met="false"}[${window}])) / sum by (${by}) (rate(paceline_slo_requests_total[${window}]))`,
              ),
            })),
          ],
        },
        { name: 'paceline-slo', rules: burns.map(burnAlert) },
        { name: 'paceline', rules: ownAlerts() },
      ],
    },
  };
  return `# Written by \`npm run manifests\` from the metrics that companions and controller register: change it there.\n${stringify(rule, { lineWidth: 0 })}`;
}

const budgetRecord = {
  record: budget,
  expr: query(
    `max by (${by}) (1 - paceline_slo_objective_ratio) or ${usualBudget} * group by (${by}) (paceline_lanes)`,
  ),
};

function burnAlert({ rate, long, short, severity, spent }: (typeof burns)[number]): object {
  const beyond = (window: string) => `${recorded(window)} > on (${by}) ${rate} * ${budget}`;
  return {
    alert: 'PacelineErrorBudgetBurn',
    expr: `(${beyond(long)}) and on (${by}) (${beyond(short)})`,
    labels: { severity, long, short },
    annotations: {
      summary: `${service} misses its latency objective`,
      description: `{{ $value | humanizePercentage }} of its requests missed the objective over ${long}: the error budget goes ${rate} times too fast, ${spent}. kubectl describe plp of the service says what Paceline decided and why.`,
    },
  };
}

function ownAlerts(): object[] {
  return [
    {
      alert: 'PacelineCompanionFailedOpen',
      expr: query(`sum by (${by}) (increase(paceline_kernel_traps_total[15m])) > 0`),
      labels: { severity: 'warning' },
      annotations: {
        summary: `Companions of ${service} stopped deciding for a while`,
        description: 'A kernel failed and was rebuilt; requests passed through meanwhile. Please report the log line.',
      },
    },
    {
      alert: 'PacelineCompanionFailed',
      expr: query(`sum by (${by}) (increase(paceline_internal_errors_total[15m])) > 0`),
      labels: { severity: 'warning' },
      annotations: {
        summary: `Companions of ${service} failed on requests`,
        description:
          'Those requests ended with PL_INTERNAL, all others were served. Please report the log line of that code.',
      },
    },
    {
      alert: 'PacelineRepliesCannotBeSplit',
      expr: query(`sum by (${by}) (increase(paceline_unsplittable_replies_total[15m])) > 0`),
      for: '15m',
      labels: { severity: 'info' },
      annotations: {
        summary: `${service} is served one request at a time`,
        description: 'Its replies do not hold one prediction for each item, so nothing can be batched.',
      },
    },
    {
      alert: 'PacelineWebhookCertificateExpires',
      expr: query('min(paceline_webhook_certificate_expiry_seconds > 0) - time() < 3 * 86400'),
      for: '1h',
      labels: { severity: 'warning' },
      annotations: {
        summary: "The certificate of Paceline's webhooks ends within three days",
        description: 'It should have been renewed long before. Once it has ended, new pods get no companion.',
      },
    },
    {
      alert: 'PacelineControllerAbsent',
      expr: 'absent(up{namespace="paceline-system", container="controller"} == 1)',
      for: '5m',
      labels: { severity: 'critical' },
      annotations: {
        summary: 'No controller of Paceline runs',
        description: 'Running services stay as they are and companions decide alone, but nothing is planned any more.',
      },
    },
  ];
}
