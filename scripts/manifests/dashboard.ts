import { query } from './metric-names.ts';

/** One panel: a title, what it tells in a sentence, its unit (Grafana's name) and its lines. */
interface Panel {
  readonly title: string;
  readonly tells: string;
  readonly unit: string;
  /** Legend and expression of each line. `$s` stands for the selection of services above the panels. */
  readonly lines: readonly (readonly [legend: string, expression: string])[];
  readonly min?: number;
  readonly max?: number;
}

const services = 'namespace=~"$namespace",name=~"$name"';
const by = 'namespace, name';
const each = '{{namespace}}/{{name}}';

const rows: readonly (readonly [string, readonly Panel[]])[] = [
  [
    'The promise',
    [
      {
        title: 'Attainment',
        tells: 'Share of requests that were answered within their objective.',
        unit: 'percentunit',
        max: 1,
        lines: [
          [
            each,
            `sum by (${by}) (rate(paceline_slo_requests_total{met="true",$s}[$__rate_interval])) / sum by (${by}) (rate(paceline_slo_requests_total{$s}[$__rate_interval]))`,
          ],
        ],
      },
      {
        title: 'Latency, 99th percentile',
        tells: 'From arrival at the companion to the answer.',
        unit: 's',
        lines: [
          [
            each,
            `histogram_quantile(0.99, sum by (${by}, le) (rate(paceline_request_seconds_bucket{$s}[$__rate_interval])))`,
          ],
        ],
      },
      {
        title: 'How requests end',
        tells: 'Requests a second by outcome.',
        unit: 'reqps',
        lines: [['{{outcome}}', 'sum by (outcome) (rate(paceline_requests_total{$s}[$__rate_interval]))']],
      },
      {
        title: 'Why requests are refused or fail',
        tells: 'Codes are explained in docs/errors.md, reasons in docs/reasons.md.',
        unit: 'reqps',
        lines: [
          [
            '{{reason}}',
            'sum by (reason) (rate(paceline_requests_total{outcome=~"refused|failed",$s}[$__rate_interval]))',
          ],
        ],
      },
    ],
  ],
  [
    'Decisions',
    [
      {
        title: 'Replicas',
        tells: 'As planned, and as they are.',
        unit: 'short',
        lines: [
          [`planned: ${each}`, `max by (${by}) (paceline_planned_replicas{$s})`],
          [`ready: ${each}`, `max by (${by}) (paceline_ready_replicas{$s})`],
        ],
      },
      {
        title: 'What plans are made by',
        tells: 'Decisions a second by reason, explained in docs/reasons.md.',
        unit: 'ops',
        lines: [['{{reason}}', 'sum by (reason) (rate(paceline_decisions_total[$__rate_interval]))']],
      },
      {
        title: 'Attainment beyond expectation',
        tells: 'Below 0 the plan before promised more than came of it.',
        unit: 'percentunit',
        min: -1,
        max: 1,
        lines: [[each, `max by (${by}) (paceline_expectation_error_ratio{$s})`]],
      },
      {
        title: 'Cost',
        tells: 'An hour of what is planned, in the currency of the prices; in replica-seconds where there is none.',
        unit: 'short',
        lines: [[each, `max by (${by}) (paceline_planned_cost_per_hour{$s})`]],
      },
    ],
  ],
  [
    'Batching',
    [
      {
        title: 'Items of a batch',
        tells: 'Mean over all batches.',
        unit: 'short',
        lines: [
          [
            each,
            `sum by (${by}) (rate(paceline_batch_items_sum{$s}[$__rate_interval])) / sum by (${by}) (rate(paceline_batch_items_count{$s}[$__rate_interval]))`,
          ],
        ],
      },
      {
        title: 'What sets batches off',
        tells: 'Batches a second by the reason of the decision.',
        unit: 'ops',
        lines: [['{{trigger}}', 'sum by (trigger) (rate(paceline_batches_total{$s}[$__rate_interval]))']],
      },
      {
        title: 'Where a request spends its time',
        tells: 'Means: queued for a free slot, waiting for company, at the model.',
        unit: 's',
        lines: (['queue', 'wait', 'execution'] as const).map((part) => [
          part,
          `sum(rate(paceline_${part}_seconds_sum{$s}[$__rate_interval])) / sum(rate(paceline_${part}_seconds_count{$s}[$__rate_interval]))`,
        ]),
      },
      {
        title: 'Passed through without batching',
        tells: 'Requests a second by why.',
        unit: 'reqps',
        lines: [['{{why}}', 'sum by (why) (rate(paceline_pass_through_total{$s}[$__rate_interval]))']],
      },
    ],
  ],
  [
    'The model',
    [
      {
        title: 'Busy share',
        tells: 'Near 1 the model is the bottleneck and replicas are what helps.',
        unit: 'percentunit',
        max: 1,
        lines: [[each, `avg by (${by}) (paceline_busy_ratio{$s})`]],
      },
      {
        title: 'Calls to the model',
        tells: 'By status class or failure.',
        unit: 'reqps',
        lines: [['{{result}}', 'sum by (result) (rate(paceline_upstream_calls_total{$s}[$__rate_interval]))']],
      },
      {
        title: 'Waiting requests',
        tells: 'All that wait in companions, and those among them that are late already.',
        unit: 'short',
        lines: [
          ['waiting', 'sum(paceline_waiting_requests{$s})'],
          ['late', 'sum(paceline_late_waiting_requests{$s})'],
        ],
      },
      {
        title: 'Actual over predicted execution time',
        tells: 'Away from 1 the model changes faster than it is learned.',
        unit: 'short',
        lines: [
          [
            each,
            `sum by (${by}) (rate(paceline_prediction_ratio_sum{$s}[$__rate_interval])) / sum by (${by}) (rate(paceline_prediction_ratio_count{$s}[$__rate_interval]))`,
          ],
        ],
      },
    ],
  ],
  [
    'Isolation of failure',
    [
      {
        title: 'Models that are not there',
        tells: 'Companions that refuse requests at once, and how often it came to that.',
        unit: 'short',
        lines: [
          ['refusing', `sum by (${by}) (paceline_circuit_state{$s} > bool 0)`],
          ['begun', `sum by (${by}) (increase(paceline_circuit_openings_total{$s}[$__rate_interval]))`],
        ],
      },
      {
        title: 'Lanes served one by one',
        tells: 'Now, and how often that began, by why.',
        unit: 'short',
        lines: [
          ['now', 'sum(paceline_quarantined_lanes{$s})'],
          ['begun: {{why}}', 'sum by (why) (increase(paceline_quarantines_total{$s}[$__rate_interval]))'],
        ],
      },
    ],
  ],
  [
    'Advice and live policy',
    [
      {
        title: 'Batches in mode advise',
        tells: 'What would have set off batches, a second.',
        unit: 'ops',
        lines: [['{{trigger}}', 'sum by (trigger) (rate(paceline_advised_batches_total{$s}[$__rate_interval]))']],
      },
      {
        title: 'Items of a batch in mode advise',
        tells: 'Mean of the batches that would have been sent.',
        unit: 'short',
        lines: [
          [
            each,
            `sum by (${by}) (rate(paceline_advised_batch_items_sum{$s}[$__rate_interval])) / sum by (${by}) (rate(paceline_advised_batch_items_count{$s}[$__rate_interval]))`,
          ],
        ],
      },
      {
        title: 'Refusals in mode advise',
        tells: 'Requests a second that would have been refused.',
        unit: 'reqps',
        lines: [['{{reason}}', 'sum by (reason) (rate(paceline_advised_refusals_total{$s}[$__rate_interval]))']],
      },
      {
        title: 'Policy documents',
        tells: 'Signed documents a second that companions took, or why they refused them.',
        unit: 'ops',
        lines: [['{{result}}', 'sum by (result) (rate(paceline_policy_documents_total{$s}[$__rate_interval]))']],
      },
    ],
  ],
  [
    'The controller',
    [
      {
        title: 'Admission',
        tells: 'Objects a second that a webhook looked at, by what became of them.',
        unit: 'ops',
        lines: [
          [
            '{{webhook}}: {{outcome}}',
            'sum by (webhook, outcome) (rate(paceline_admission_requests_total[$__rate_interval]))',
          ],
        ],
      },
      {
        title: 'Time of admission, 99th percentile',
        tells: 'The API server waits three seconds at most.',
        unit: 's',
        lines: [
          [
            '{{webhook}}',
            'histogram_quantile(0.99, sum by (webhook, le) (rate(paceline_admission_seconds_bucket[$__rate_interval])))',
          ],
        ],
      },
      {
        title: 'Signals',
        tells: 'Companions that are asked, and questions without a usable answer.',
        unit: 'short',
        lines: [
          ['companions', 'max(paceline_companions_polled)'],
          ['{{what}}, a second', 'sum by (what) (rate(paceline_signal_failures_total[$__rate_interval]))'],
        ],
      },
      {
        title: 'Work',
        tells: 'Services that wait to be planned for, and writes of their status.',
        unit: 'short',
        lines: [
          ['waiting', 'max(paceline_services_waiting)'],
          ['status writes, a second', 'sum(rate(paceline_status_writes_total[$__rate_interval]))'],
        ],
      },
    ],
  ],
  [
    'What is told of requests',
    [
      {
        title: 'Payload log',
        tells: 'Events a second by what became of them: whatever was not sent is lost.',
        unit: 'ops',
        lines: [['{{result}}', 'sum by (result) (rate(paceline_payload_events_total{$s}[$__rate_interval]))']],
      },
      {
        title: 'Spans',
        tells: 'Spans a second by what became of them.',
        unit: 'ops',
        lines: [['{{result}}', 'sum by (result) (rate(paceline_spans_total{$s}[$__rate_interval]))']],
      },
      {
        title: 'Records and log lines',
        tells: 'Requests a second that are recorded and lines that are logged, or were to be.',
        unit: 'reqps',
        lines: [
          ['records {{result}}', 'sum by (result) (rate(paceline_records_total{$s}[$__rate_interval]))'],
          ['request log {{result}}', 'sum by (result) (rate(paceline_request_log_lines_total{$s}[$__rate_interval]))'],
          ['log {{result}}', 'sum by (result) (rate(paceline_log_lines_total{$s}[$__rate_interval]))'],
        ],
      },
      {
        title: 'Payloads that wait',
        tells: 'Events and bytes that are held for the sink, the fullest companion of each service.',
        unit: 'short',
        lines: [
          [`${each} events`, `max by (${by}) (paceline_payload_waiting_events{$s})`],
          [`${each} bytes`, `max by (${by}) (paceline_payload_waiting_bytes{$s})`],
        ],
      },
    ],
  ],
  [
    'The companions themselves',
    [
      {
        title: 'Companions',
        tells: 'Pods whose companion answers a scrape.',
        unit: 'short',
        lines: [[each, `count by (${by}) (paceline_lanes{$s})`]],
      },
      {
        title: 'CPU',
        tells: 'Cores of all companions of a service.',
        unit: 'short',
        lines: [[each, `sum by (${by}) (rate(process_cpu_seconds_total{$s}[$__rate_interval]))`]],
      },
      {
        title: 'Memory',
        tells: 'Resident, the largest companion of each service.',
        unit: 'bytes',
        lines: [[each, `max by (${by}) (process_resident_memory_bytes{$s})`]],
      },
      {
        title: 'Event loop and kernel',
        tells: 'Lateness of the loop; a kernel failure makes a companion pass requests through for a while.',
        unit: 'short',
        lines: [
          ['loop lag, s', 'max(paceline_event_loop_lag_seconds{$s})'],
          ['failures on requests', 'sum(increase(paceline_internal_errors_total{$s}[$__rate_interval]))'],
          ['kernel failures', 'sum(increase(paceline_kernel_traps_total{$s}[$__rate_interval]))'],
        ],
      },
    ],
  ],
];

/** The dashboard for Grafana, whose every query is checked against the metrics that companions and controller register. */
export function dashboardFile(): string {
  const panels: object[] = [];
  let id = 0;
  for (const [at, [title, group]] of rows.entries()) {
    const top = at * 9;
    panels.push({ id: ++id, type: 'row', title, collapsed: false, gridPos: { h: 1, w: 24, x: 0, y: top }, panels: [] });
    for (const [column, panel] of group.entries()) {
      panels.push(timeSeries(++id, panel, { h: 8, w: 6, x: column * 6, y: top + 1 }));
    }
  }
  const dashboard = {
    uid: 'paceline',
    title: 'Paceline',
    tags: ['paceline', 'kserve'],
    schemaVersion: 39,
    editable: true,
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' },
        choice('namespace', 'Namespace', 'label_values(paceline_lanes, namespace)'),
        choice('name', 'Service', 'label_values(paceline_lanes{namespace=~"$namespace"}, name)'),
      ],
    },
    panels,
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}

function timeSeries(id: number, panel: Panel, gridPos: object): object {
  return {
    id,
    type: 'timeseries',
    title: panel.title,
    description: panel.tells,
    datasource: { type: 'prometheus', uid: '$datasource' },
    gridPos,
    fieldConfig: {
      defaults: { unit: panel.unit, min: panel.min ?? 0, ...(panel.max === undefined ? {} : { max: panel.max }) },
      overrides: [],
    },
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    targets: panel.lines.map(([legendFormat, expression], line) => ({
      refId: String.fromCharCode(65 + line),
      legendFormat,
      expr: query(expression.replaceAll('$s', services)),
    })),
  };
}

function choice(name: string, label: string, definition: string): object {
  query(definition);
  return {
    name,
    label,
    type: 'query',
    datasource: { type: 'prometheus', uid: '$datasource' },
    query: { query: definition, refId: name },
    definition,
    refresh: 2,
    multi: true,
    includeAll: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  };
}
