import { Registry } from 'prom-client';
import type { Instrument } from './instruments.ts';

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
      parts.push(await registry.getSingleMetricAsString(metric.name));
      if (performance.now() - sliceStarted > 1) {
        await new Promise(setImmediate);
        sliceStarted = performance.now();
      }
    }
    return { contentType, body: `${parts.join('\n')}\n${open ? '# EOF\n' : ''}` };
  }
}

/** OpenMetrics names a counter without `_total`, and prom-client adds it to the samples. */
function forRegistry(instrument: Instrument, open: boolean): { name: string; get(): Promise<object> } {
  const counter = open && instrument.type === 'counter';
  const name = counter ? instrument.name.replace(/_total$/, '') : instrument.name;
  return {
    name,
    get: async () => ({ name, help: instrument.help, type: instrument.type, values: instrument.samples() }),
  };
}
