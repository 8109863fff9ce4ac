// Counters, gauges and histograms over typed arrays: recording is an addition, and rendering is prom-client's.

/** One sample line of a metric, in prom-client's shape. */
export interface Sample {
  metricName?: string;
  labels: Record<string, string | number>;
  value: number;
}

/** What prom-client's registry asks of a metric. */
export interface Instrument {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** All samples now. */
  samples(): Sample[];
}

/** A count per value of its labels. The number of series is bounded: what is beyond is counted as `other`. */
export class Counter implements Instrument {
  readonly type = 'counter';
  readonly name: string;
  readonly help: string;
  readonly #labelNames: readonly string[];
  readonly #seriesMax: number;
  readonly #series = new Map<string, { labels: Record<string, string>; value: number }>();

  constructor(name: string, help: string, labelNames: readonly string[] = [], seriesMax = 64) {
    this.name = name;
    this.help = help;
    this.#labelNames = labelNames;
    this.#seriesMax = seriesMax;
    if (labelNames.length === 0) this.add(0);
  }

  /** Adds to the series of these label values, in the order of the label names. */
  add(amount: number, first = '', second = ''): void {
    const key = second === '' ? first : `${first}\u0000${second}`;
    let series = this.#series.get(key);
    if (!series) {
      if (this.#series.size >= this.#seriesMax && first !== 'other')
        return this.add(amount, 'other', second && 'other');
      const values = [first, second];
      const labels = Object.fromEntries(this.#labelNames.map((name, i) => [name, values[i] as string]));
      series = { labels, value: 0 };
      this.#series.set(key, series);
    }
    series.value += amount;
  }

  /** The sum over all series. */
  total(): number {
    let sum = 0;
    for (const series of this.#series.values()) sum += series.value;
    return sum;
  }

  samples(): Sample[] {
    return [...this.#series.values()].map(({ labels, value }) => ({ labels, value }));
  }
}

/** A value that is read when it is asked for. */
export class Gauge implements Instrument {
  readonly type: 'gauge' | 'counter';
  readonly name: string;
  readonly help: string;
  readonly #read: () => number;

  constructor(name: string, help: string, read: () => number, type: 'gauge' | 'counter' = 'gauge') {
    this.name = name;
    this.help = help;
    this.type = type;
    this.#read = read;
  }

  samples(): Sample[] {
    return [{ labels: {}, value: this.#read() }];
  }
}

/** A distribution over fixed bounds. */
export class Histogram implements Instrument {
  readonly type = 'histogram';
  readonly name: string;
  readonly help: string;
  readonly #bounds: Float64Array;
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(name: string, help: string, bounds: readonly number[]) {
    this.name = name;
    this.help = help;
    this.#bounds = Float64Array.from(bounds);
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] as number)) at++;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#sum += value;
  }

  samples(): Sample[] {
    const samples: Sample[] = [];
    let cumulated = 0;
    for (const [i, count] of this.#counts.entries()) {
      cumulated += count;
      const le = i < this.#bounds.length ? (this.#bounds[i] as number) : '+Inf';
      samples.push({ metricName: `${this.name}_bucket`, labels: { le }, value: cumulated });
    }
    samples.push({ metricName: `${this.name}_sum`, labels: {}, value: this.#sum });
    samples.push({ metricName: `${this.name}_count`, labels: {}, value: cumulated });
    return samples;
  }
}

/** The share of hits among the events of the last minute, in steps of a second. */
export class SlidingShare {
  readonly #hits = new Float64Array(60);
  readonly #all = new Float64Array(60);
  readonly #second = new Float64Array(60).fill(-1);

  record(nowMs: number, hit: boolean): void {
    const second = Math.floor(nowMs / 1000);
    const at = second % 60;
    if (this.#second[at] !== second) {
      this.#second[at] = second;
      this.#hits[at] = 0;
      this.#all[at] = 0;
    }
    this.#all[at] = (this.#all[at] as number) + 1;
    if (hit) this.#hits[at] = (this.#hits[at] as number) + 1;
  }

  /** 0 to 1, or NaN when nothing happened for a minute. */
  share(nowMs: number): number {
    const oldest = Math.floor(nowMs / 1000) - 60;
    let hits = 0;
    let all = 0;
    for (let i = 0; i < 60; i++) {
      if ((this.#second[i] as number) <= oldest) continue;
      hits += this.#hits[i] as number;
      all += this.#all[i] as number;
    }
    return hits / all;
  }
}
