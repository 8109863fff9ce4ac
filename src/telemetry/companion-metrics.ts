import { Reason, reasonLabel } from '../kernels/reasons.ts';
import { Exposition } from './exposition.ts';
import { Counter, Gauge, Histogram, type Instrument, SlidingShare } from './instruments.ts';

/** Read-outs that belong to other parts and are asked for at a scrape. */
export interface CompanionGauges {
  waiting(): number;
  lateWaiting(): number;
  waitingBytes(): number;
  inFlight(): number;
  parallelLimit(): number;
  lanes(): number;
  arrivalRate(): number;
  busyShare(): number;
  quarantinedLanes(): number;
  /** 0 closed, 1 half-open, 2 open. */
  circuitState(): number;
  eventLoopLagMs(): number;
  payloadEvents(): number;
  payloadBytes(): number;
}

/** Counts since a companion's start, as `/signals` tells them. */
export interface CompanionTotals {
  readonly requests: number;
  readonly attained: number;
  readonly missed: number;
  readonly failed: number;
  readonly batches: number;
  readonly items: number;
  readonly calls: { readonly calls: number; readonly items: number; readonly tookMs: number };
}

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5, 10];
const sizes = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 128, 256, 512, 1024];
const ratios = [0.25, 0.5, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.25, 1.5, 2, 4, 10];

/** How a request can end. */
const outcomes = ['answered', 'refused', 'failed', 'left', 'passed'];
/** Failures of a call to the model that have no status. */
const failures = ['unreachable', 'reset', 'timeout', 'aborted', 'too-large', 'invalid', 'protocol'];
const statusClasses = ['2xx', '3xx', '4xx', '5xx'];
/** Statuses of gRPC; a number beyond those that it has is a label of its own, of which there are few. */
const grpcStatuses = Array.from({ length: 17 }, (_, status) => `grpc-${status}`);
/** Why a batch was sent; `none` where no decision was needed: a request that travels alone. */
const triggers = Object.values(Reason)
  .filter((code) => typeof code === 'number' && code < Reason.Busy)
  .map((code) => reasonLabel(code as Reason));

/** Why a request is not served. */
const refusals = Object.values(Reason)
  .filter((code) => typeof code === 'number' && code >= Reason.QueueFull)
  .map((code) => reasonLabel(code as Reason));

/** Everything a companion counts. Recording is a few additions; labels come from fixed lists. */
export class CompanionMetrics {
  readonly requests = new Counter('paceline_requests_total', 'Requests by how they ended and why.', [
    { name: 'outcome', values: outcomes },
    {
      name: 'reason',
      values:
        'answered, left: `none`; refused: a reason (reasons.md) or an error code (errors.md); failed: `upstream-` and the ' +
        'status (of gRPC: `upstream-grpc-`), or an error code; passed: a status class, `grpc-` and the status of gRPC, `left`, `upgrade`, a failure or an ' +
        'error code',
    },
  ]);
  readonly sloRequests = new Counter(
    'paceline_slo_requests_total',
    'Batched requests by whether they were answered within their objective.',
    [{ name: 'met', values: ['true', 'false'] }],
  );
  readonly batches = new Counter('paceline_batches_total', 'Batches by what triggered them.', [
    { name: 'trigger', values: triggers },
  ]);
  readonly upstreamCalls = new Counter(
    'paceline_upstream_calls_total',
    'Calls to the model by status class, status of gRPC or failure.',
    [{ name: 'result', values: [...statusClasses, ...grpcStatuses, ...failures] }],
  );
  readonly resends = new Counter(
    'paceline_upstream_resends_total',
    'Calls beyond the first one of a batch, by why they were needed.',
    [{ name: 'why', values: ['bisect', 'halve', 'unsplittable', 'alone', 'dead-connection'] }],
  );
  readonly unsplittable = new Counter(
    'paceline_unsplittable_replies_total',
    'Replies that could not be split among their callers, by what was wrong.',
    [{ name: 'wrong', values: ['not-json', 'not-protobuf', 'count', 'shape', 'too-large'] }],
  );
  readonly quarantines = new Counter(
    'paceline_quarantines_total',
    'Times that a lane began to be served one by one because its requests did not go well together, by why.',
    [{ name: 'why', values: ['unsplittable', 'refused', 'fails-together'] }],
  );
  readonly circuitOpenings = new Counter(
    'paceline_circuit_openings_total',
    'Times that the model was not there for so many calls that further ones were refused at once.',
  );
  readonly passedWhy = new Counter(
    'paceline_pass_through_total',
    'Inference requests that were forwarded without batching, by why.',
    [
      {
        name: 'why',
        values: [
          'large-body',
          'unknown-fields',
          'many-items',
          'mixed-rows',
          'no-lane',
          'kernel-failed',
          'advise',
          'off',
        ],
      },
    ],
  );
  readonly advisedBatches = new Counter(
    'paceline_advised_batches_total',
    'Batches that would have been sent in mode act, by what would have triggered them.',
    [{ name: 'trigger', values: triggers }],
  );
  readonly advisedItems = new Histogram('paceline_advised_batch_items', 'Items of such a batch.', sizes);
  readonly advisedRefusals = new Counter(
    'paceline_advised_refusals_total',
    'Requests that would have been refused in mode act, by why.',
    [{ name: 'reason', values: refusals }],
  );
  readonly policyDocuments = new Counter(
    'paceline_policy_documents_total',
    'Policy documents by what became of them: `accepted`, or why they were refused.',
    [{ name: 'result', values: '`accepted`, or the code of the refusal (errors.md)' }],
  );
  readonly payloadEvents = new Counter(
    'paceline_payload_events_total',
    'Payloads that were to be logged, by what became of them: sent, or dropped and why. Requests never wait for it.',
    [
      {
        name: 'result',
        values: [
          'sent',
          'queue-full',
          'bytes-full',
          'refused',
          'unreachable',
          'timeout',
          'reset',
          'untrusted',
          'drained',
        ],
      },
    ],
  );
  readonly spans = new Counter('paceline_spans_total', 'Spans by what became of them: sent, or dropped and why.', [
    { name: 'result', values: ['sent', 'queue-full', 'failed'] },
  ]);
  readonly records = new Counter(
    'paceline_records_total',
    'Requests that were to be recorded, by what became of their records.',
    [{ name: 'result', values: ['written', 'dropped'] }],
  );
  readonly requestLogLines = new Counter(
    'paceline_request_log_lines_total',
    "Lines of Knative's request log, by what became of them.",
    [{ name: 'result', values: ['written', 'dropped'] }],
  );
  readonly logLines = new Counter(
    'paceline_log_lines_total',
    "Lines of the companion's log, those of single requests among them, by what became of them. Requests never wait for it.",
    [{ name: 'result', values: ['written', 'dropped'] }],
  );
  readonly traps = new Counter(
    'paceline_kernel_traps_total',
    'Times a kernel (deciding, or reading bodies) failed and was rebuilt.',
  );
  readonly internalErrors = new Counter(
    'paceline_internal_errors_total',
    'Failures of the companion itself: each one ended one request, or one batch, with PL_INTERNAL.',
  );
  readonly requestSeconds = new Histogram(
    'paceline_request_seconds',
    'From arrival to the answer, of batched requests.',
    seconds,
  );
  readonly queueSeconds = new Histogram('paceline_queue_seconds', 'Waiting while the model had no free slot.', seconds);
  readonly waitSeconds = new Histogram(
    'paceline_wait_seconds',
    'Waiting for company although a slot was free.',
    seconds,
  );
  readonly executionSeconds = new Histogram('paceline_execution_seconds', 'Calls to the model, by batch.', seconds);
  readonly batchItems = new Histogram('paceline_batch_items', 'Items of a batch.', sizes);
  readonly predictionRatio = new Histogram(
    'paceline_prediction_ratio',
    'Actual over predicted execution time of a batch.',
    ratios,
  );
  readonly #attainment = new SlidingShare();
  #attained = 0;
  #missed = 0;
  #failed = 0;
  #batches = 0;
  #items = 0;
  #calls = 0;
  #callItems = 0;
  #callMs = 0;
  readonly #exposition: Exposition;
  readonly instruments: readonly Instrument[];

  constructor(gauges: CompanionGauges) {
    this.instruments = [
      this.requests,
      this.sloRequests,
      this.batches,
      this.upstreamCalls,
      this.resends,
      this.unsplittable,
      this.quarantines,
      this.circuitOpenings,
      this.passedWhy,
      this.advisedBatches,
      this.advisedItems,
      this.advisedRefusals,
      this.policyDocuments,
      this.payloadEvents,
      this.spans,
      this.records,
      this.requestLogLines,
      this.logLines,
      this.traps,
      this.internalErrors,
      this.requestSeconds,
      this.queueSeconds,
      this.waitSeconds,
      this.executionSeconds,
      this.batchItems,
      this.predictionRatio,
      new Gauge('paceline_slo_attainment_ratio', 'Share of the last minute that met its objective; 1 when idle.', () =>
        this.attainment(),
      ),
      new Gauge('paceline_waiting_requests', 'Requests that wait.', gauges.waiting),
      new Gauge('paceline_late_waiting_requests', 'Requests that wait although they are late.', gauges.lateWaiting),
      new Gauge('paceline_waiting_bytes', 'Bytes of bodies that are held.', gauges.waitingBytes),
      new Gauge('paceline_in_flight_batches', 'Batches at the model.', gauges.inFlight),
      new Gauge('paceline_in_flight_limit', 'Learned bound of batches at the model.', gauges.parallelLimit),
      new Gauge('paceline_lanes', 'Lanes in use: sets of requests that may share a batch.', gauges.lanes),
      new Gauge(
        'paceline_quarantined_lanes',
        'Lanes whose requests are served one by one, or by twos to try again.',
        gauges.quarantinedLanes,
      ),
      new Gauge(
        'paceline_circuit_state',
        'Whether calls go to the model: 0 closed, they do; 1 half-open, one tries; 2 open, none.',
        gauges.circuitState,
      ),
      new Gauge('paceline_arrival_rate', 'Estimated items a second.', gauges.arrivalRate),
      new Gauge('paceline_busy_ratio', 'Share of time in which the model works for this companion.', gauges.busyShare),
      new Gauge(
        'paceline_event_loop_lag_seconds',
        'Peak lateness of the event loop, fading over some seconds.',
        () => gauges.eventLoopLagMs() / 1000,
      ),
      new Gauge('paceline_payload_waiting_events', 'Payloads that wait for the sink.', gauges.payloadEvents),
      new Gauge('paceline_payload_waiting_bytes', 'Bytes that are held for the sink.', gauges.payloadBytes),
      new Gauge('process_cpu_seconds_total', 'CPU time of the companion.', cpuSeconds, 'counter'),
      new Gauge(
        'process_start_time_seconds',
        'When the companion started, since 1970.',
        () => performance.timeOrigin / 1000,
      ),
      new Gauge('process_resident_memory_bytes', 'Resident memory of the companion.', () => process.memoryUsage.rss()),
    ];
    this.requests.add(0, 'answered', 'none');
    this.#exposition = new Exposition(this.instruments);
  }

  /** One batched request was answered by the model. Times in ms. */
  answered(now: number, totalMs: number, queueMs: number, waitMs: number, met: boolean): void {
    this.requests.add(1, 'answered', 'none');
    this.objective(now, met);
    this.requestSeconds.observe(totalMs / 1000);
    this.queueSeconds.observe(queueMs / 1000);
    this.waitSeconds.observe(waitMs / 1000);
  }

  /** One request met its objective or did not; failed: because the model did not answer it properly. */
  objective(now: number, met: boolean, failed = false): void {
    this.sloRequests.add(1, met ? 'true' : 'false');
    this.#attainment.record(now, met);
    if (met) this.#attained++;
    else if (failed) this.#failed++;
    else this.#missed++;
  }

  /**
   * How requests with an objective ended since the start, batches with their items, and the calls of the model that were
   * answered with their items and ms: counts that only grow.
   */
  totals(): CompanionTotals {
    return {
      requests: this.#attained + this.#missed + this.#failed,
      attained: this.#attained,
      missed: this.#missed,
      failed: this.#failed,
      batches: this.#batches,
      items: this.#items,
      calls: { calls: this.#calls, items: this.#callItems, tookMs: this.#callMs },
    };
  }

  /** A call of the model with so many items was answered after so many ms. */
  executed(items: number, ms: number): void {
    this.executionSeconds.observe(ms / 1000);
    this.#calls++;
    this.#callItems += items;
    this.#callMs += ms;
  }

  /** A batch of so many items was sent to the model. */
  dispatched(items: number): void {
    this.batchItems.observe(items);
    this.#batches++;
    this.#items += items;
  }

  /** Share of the last minute's requests that met their objective; 1 when there were none. */
  attainment(): number {
    const share = this.#attainment.share(performance.now());
    return Number.isNaN(share) ? 1 : share;
  }

  /** Share of the last minute's requests that met their objective, or null, and how many there were. */
  attained(): { share: number | null; requests: number } {
    const { hits, all } = this.#attainment.counts(performance.now());
    return { share: all === 0 ? null : hits / all, requests: all };
  }

  render(accept: string | undefined): Promise<{ contentType: string; body: string }> {
    return this.#exposition.render(accept);
  }
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
