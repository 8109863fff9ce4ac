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
    eventLoopLagMs: none,
  }).instruments;
}

const byName = new Map(companionInstruments().map((instrument) => [instrument.name, instrument]));

/**
 * A PromQL expression as it is, once every metric in it is known to exist with the labels that it selects.
 *
 * @throws for a metric, a label or a value of a closed list that no companion exports.
 */
export function query(expression: string): string {
  const used = expression.matchAll(/\b((?:paceline|process)_[a-z_]+)(?:\{([^}]*)\})?/g);
  for (const [, name = '', matchers = ''] of used) {
    const base = name.replace(/_(bucket|sum|count)$/, '');
    const instrument = byName.get(name) ?? byName.get(base);
    if (!instrument || (instrument.name !== name && instrument.type !== 'histogram')) {
      throw new Error(`no companion exports ${name}`);
    }
    for (const [, label = '', value = ''] of matchers.matchAll(/(\w+)\s*=~?\s*"([^"]*)"/g)) {
      checkLabel(instrument, label, value);
    }
  }
  return expression;
}

/** Labels that Prometheus adds when it scrapes, from manifests/overlays/prometheus/pod-monitors.yaml. */
export const scrapeLabels = ['namespace', 'pod', 'inferenceservice', 'service', 'revision'];

function checkLabel(instrument: Instrument, label: string, value: string): void {
  if (scrapeLabels.includes(label)) return;
  const known = instrument.labels.find(({ name }) => name === label);
  if (!known) throw new Error(`${instrument.name} has no label ${label}`);
  if (typeof known.values === 'string') return;
  for (const each of value.split('|')) {
    if (!known.values.includes(each)) throw new Error(`${label} of ${instrument.name} is never ${each}`);
  }
}
