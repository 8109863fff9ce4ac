import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What /metrics says of admission. */
export class AdmissionMetrics {
  readonly #requests: Counter<'webhook' | 'outcome'>;
  readonly #seconds: Histogram<'webhook'>;
  readonly #expiry: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#requests = new Counter({
      name: 'paceline_admission_requests_total',
      help: 'Objects that a webhook looked at, by what became of them.',
      labelNames: ['webhook', 'outcome'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'paceline_admission_seconds',
      help: 'How long a webhook took.',
      labelNames: ['webhook'],
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3],
      registers,
    });
    this.#expiry = new Gauge({
      name: 'paceline_webhook_certificate_expiry_seconds',
      help: 'When the serving certificate of the webhooks ends, in seconds since 1970.',
      registers,
    });
  }

  /** A webhook begins; what is returned is called with its outcome at the end. */
  begin(webhook: string): (outcome: string) => void {
    const started = performance.now();
    return (outcome) => {
      this.#requests.inc({ webhook, outcome });
      this.#seconds.observe({ webhook }, (performance.now() - started) / 1000);
    };
  }

  /** @param endsAt ms since 1970 */
  certificateEnds(endsAt: number): void {
    this.#expiry.set(endsAt / 1000);
  }
}
