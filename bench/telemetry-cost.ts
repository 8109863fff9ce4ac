import { Reason, reasonLabel } from '../src/kernels/reasons.ts';
import { CompanionMetrics } from '../src/telemetry/companion-metrics.ts';
import { interleave, typical } from './measure.ts';

const idle = () => 0;
const gauges = {
  waiting: idle,
  lateWaiting: idle,
  waitingBytes: idle,
  inFlight: idle,
  parallelLimit: idle,
  lanes: idle,
  arrivalRate: idle,
  busyShare: idle,
  quarantinedLanes: () => 0,
  circuitState: () => 0,
  eventLoopLagMs: idle,
  payloadEvents: idle,
  payloadBytes: idle,
};
const reasons = Object.values(Reason).filter((reason): reason is Reason => typeof reason === 'number');
const requestsAtOnce = 1000;

/** CPU of recording everything about one request that is a batch of its own, in microseconds. */
export function recordingUs(): number {
  const metrics = new CompanionMetrics(gauges);
  let now = 0;
  const work = () => {
    for (let i = 0; i < requestsAtOnce; i++) record(metrics, now++, i);
  };
  return typical(interleave({ work }), 'work') / requestsAtOnce;
}

/** Times of single scrapes with every series in use, in ms, by the format that is asked for. */
export async function scrapeMs(): Promise<Record<string, number[]>> {
  const metrics = new CompanionMetrics(gauges);
  for (let i = 0; i < 10_000; i++) record(metrics, i, i);
  for (const reason of reasons) {
    for (const outcome of ['refused', 'failed', 'left', 'passed'])
      metrics.requests.add(1, outcome, reasonLabel(reason));
  }
  const formats = { 'Prometheus text': undefined, OpenMetrics: 'application/openmetrics-text' };
  const times: Record<string, number[]> = {};
  for (const [name, accept] of Object.entries(formats)) {
    const ms: number[] = [];
    for (let scrape = 0; scrape < 400; scrape++) {
      const started = performance.now();
      const { body } = await metrics.render(accept);
      const took = performance.now() - started;
      if (!body.includes('paceline_requests_total')) throw new Error('the page lacks its first metric');
      // The first hundred warm up.
      if (scrape >= 100) ms.push(took);
    }
    times[name] = ms;
  }
  return times;
}

/** What the companion records of a batch of one that was answered. */
function record(metrics: CompanionMetrics, now: number, i: number): void {
  metrics.batches.add(1, reasonLabel(reasons[i % reasons.length] as Reason));
  metrics.batchItems.observe(1);
  metrics.upstreamCalls.add(1, `${Math.floor(200 / 100)}xx`);
  metrics.executionSeconds.observe(0.02 + (i % 100) / 1000);
  metrics.predictionRatio.observe(0.9 + (i % 10) / 40);
  metrics.answered(now, 30 + (i % 300), i % 40, i % 7, i % 50 !== 0);
}
