import { Histogram, Registry } from 'prom-client';
import { AdmissionMetrics } from '../../src/controller/admission/metrics.ts';
import { ReconcileMetrics } from '../../src/controller/reconcile/metrics.ts';
import { CompanionMetrics } from '../../src/telemetry/companion-metrics.ts';
import type { Instrument } from '../../src/telemetry/instruments.ts';

/** Every metric of a companion, as it registers them. */
export function companionInstruments(): readonly Instrument[] {
  const none = () => 0;
  return new CompanionMetrics({
    waiting: none,
    lateWaiting: none,
    waitingBytes: none,
    inFlight: none,
    parallelLimit: none,
    lanes: none,
    arrivalRate: none,
    busyShare: none,
    quarantinedLanes: () => 0,
    circuitState: () => 0,
    eventLoopLagMs: none,
    payloadEvents: none,
    payloadBytes: none,
  }).instruments;
}

/** What a query needs to know of a metric. Values are those of a label's closed list. */
interface Known {
  readonly histogram: boolean;
  readonly labels: ReadonlyMap<string, readonly string[] | undefined>;
}

const known = new Map<string, Known>([...companionMetrics(), ...controllerMetrics()]);

function* companionMetrics(): Generator<[string, Known]> {
  for (const { name, type, labels } of companionInstruments()) {
    const values = labels.map(
      (label) => [label.name, typeof label.values === 'string' ? undefined : label.values] as const,
    );
    yield [name, { histogram: type === 'histogram', labels: new Map(values) }];
  }
}

/** Every metric of the controller: prom-client's own classes tell their labels nowhere else than in these fields. */
function* controllerMetrics(): Generator<[string, Known]> {
  const registry = new Registry();
  new AdmissionMetrics(registry);
  new ReconcileMetrics(registry, { pods: () => 0, waiting: () => 0 });
  for (const metric of registry.getMetricsAsArray() as unknown as { name: string; labelNames: string[] }[]) {
    const labels = new Map(metric.labelNames.map((label) => [label, undefined]));
    yield [metric.name, { histogram: metric instanceof Histogram, labels }];
  }
}

/**
 * A PromQL expression as it is, once every metric in it is known to exist with the labels that it selects.
 *
 * @throws for a metric, a label or a value of a closed list that neither companions nor the controller export.
 */
export function query(expression: string): string {
  const used = expression.matchAll(/\b((?:paceline|process)_[a-z_]+)(?:\{([^}]*)\})?/g);
  for (const [, name = '', matchers = ''] of used) {
    const base = name.replace(/_(bucket|sum|count)$/, '');
    const metric = known.get(name) ?? (known.get(base)?.histogram ? known.get(base) : undefined);
    if (!metric) throw new Error(`nothing exports ${name}`);
    for (const [, label = '', value = ''] of matchers.matchAll(/(\w+)\s*=~?\s*"([^"]*)"/g)) {
      checkLabel(name, metric, label, value);
    }
  }
  return expression;
}

/** Labels that Prometheus adds when it scrapes, from manifests/overlays/prometheus/pod-monitors.yaml. */
export const scrapeLabels = ['namespace', 'pod', 'kind', 'name', 'revision'];

function checkLabel(name: string, { labels }: Known, label: string, value: string): void {
  if (scrapeLabels.includes(label)) return;
  if (!labels.has(label)) throw new Error(`${name} has no label ${label}`);
  const values = labels.get(label);
  for (const each of values ? value.split('|') : []) {
    if (!values?.includes(each)) throw new Error(`${label} of ${name} is never ${each}`);
  }
}
