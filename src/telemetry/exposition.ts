import { Registry } from 'prom-client';
import type { Instrument, Sample } from './instruments.ts';

/** Units that a metric's name may end in. OpenMetrics says them beside the type. */
const units = ['seconds', 'bytes', 'ratio'] as const;

/** The unit of a metric, or undefined where it counts things. */
export function unitOf(instrument: Instrument): string | undefined {
  const family = instrument.name.replace(/_total$/, '');
  return units.find((unit) => family.endsWith(`_${unit}`));
}

/** Renders instruments as Prometheus text or OpenMetrics, in slices that give the event loop back between metrics. */
export class Exposition {
  readonly #instruments: readonly Instrument[];

  constructor(instruments: readonly Instrument[]) {
    this.#instruments = instruments;
  }

  /** The page that a scraper with this Accept header wants. */
  async render(accept: string | undefined): Promise<{ contentType: string; body: string }> {
    const open = accept?.includes('application/openmetrics-text') ?? false;
    const contentType = open ? Registry.OPENMETRICS_CONTENT_TYPE : Registry.PROMETHEUS_CONTENT_TYPE;
    const registry = new Registry();
    registry.setContentType(contentType as typeof Registry.PROMETHEUS_CONTENT_TYPE);
    const parts: string[] = [];
    let sliceStarted = performance.now();
    for (const instrument of this.#instruments) {
      const metric = forRegistry(instrument, open);
      registry.registerMetric(metric as never);
      const text = await registry.getSingleMetricAsString(metric.name);
      const unit = unitOf(instrument);
      parts.push(open && unit ? text.replace(/^# TYPE .*$/m, `$&\n# UNIT ${metric.name} ${unit}`) : text);
      if (performance.now() - sliceStarted > 1) {
        await new Promise(setImmediate);
        sliceStarted = performance.now();
      }
    }
    return { contentType, body: `${parts.join('\n')}\n${open ? '# EOF\n' : ''}` };
  }
}

/** OpenMetrics names a counter without `_total`, which prom-client adds to the samples, and writes bounds as floats. */
function forRegistry(instrument: Instrument, open: boolean): { name: string; get(): Promise<object> } {
  const { type, help } = instrument;
  const name = open && type === 'counter' ? instrument.name.replace(/_total$/, '') : instrument.name;
  const values = () => (open ? instrument.samples().map(withFloatBound) : instrument.samples());
  return { name, get: async () => ({ name, help, type, values: values() }) };
}

function withFloatBound(sample: Sample): Sample {
  const { le } = sample.labels;
  return typeof le === 'number' && Number.isInteger(le) ? { ...sample, labels: { le: le.toFixed(1) } } : sample;
}
