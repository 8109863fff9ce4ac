// Counters, gauges and histograms over typed arrays: recording is an addition, and rendering is prom-client's.

/** One sample line of a metric, in prom-client's shape. */
export interface Sample {
  metricName?: string;
  labels: Record<string, string | number>;
  value: number;
}

/** A label and what it can say: a closed list, or in words which values there are. */
export interface Label {
  readonly name: string;
  readonly values: readonly string[] | string;
}

/** What prom-client's registry asks of a metric, and what its documentation needs. A unit is the name's last word. */
export interface Instrument {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly Label[];
  /** All samples now. */
  samples(): Sample[];
}

/**
 * A count for each combination of its labels' values, of which there are two at most. The number of series is bounded:
 * what a closed list does not know, and what is beyond the bound, is counted as `other`.
 */
export class Counter implements Instrument {
  readonly type = 'counter';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly Label[];
  readonly #seriesMax: number;
  readonly #closed: readonly (ReadonlySet<string> | undefined)[];
  /** By the first label's value, then the second's. */
  readonly #series = new Map<string, Map<string, { value: number }>>();
  #count = 0;

  /** Series of a single closed label, or of none, are there from the start: a rate needs a zero to begin with. */
  constructor(name: string, help: string, labels: readonly Label[] = [], seriesMax = 64) {
    this.name = name;
    this.help = help;
    this.labels = labels;
    this.#seriesMax = seriesMax;
    this.#closed = labels.map(({ values }) => (typeof values === 'string' ? undefined : new Set(values)));
    if (labels.length === 0) this.add(0);
    else if (labels.length === 1) for (const value of this.#closed[0] ?? []) this.add(0, value);
  }

  /** Adds to the series of these label values, in the order of the labels. */
  add(amount: number, first = '', second = ''): void {
    const series = this.#series.get(first)?.get(second) ?? this.#open(first, second);
    series.value += amount;
  }

  /** The sum over all series. */
  total(): number {
    return this.samples().reduce((sum, { value }) => sum + value, 0);
  }

  samples(): Sample[] {
    const samples: Sample[] = [];
    for (const [first, seconds] of this.#series) {
      for (const [second, { value }] of seconds) {
        const values = [first, second];
        const labels = Object.fromEntries(this.labels.map(({ name }, i) => [name, values[i] as string]));
        samples.push({ labels, value });
      }
    }
    return samples;
  }

  #open(first: string, second: string): { value: number } {
    const full = this.#count >= this.#seriesMax;
    const known = (value: string, at: number) =>
      this.labels.length <= at || (!full && (this.#closed[at]?.has(value) ?? true)) ? value : 'other';
    const [one, two] = [known(first, 0), known(second, 1)];
    let seconds = this.#series.get(one);
    if (!seconds) {
      seconds = new Map();
      this.#series.set(one, seconds);
    }
    let series = seconds.get(two);
    if (!series) {
      series = { value: 0 };
      seconds.set(two, series);
      this.#count++;
    }
    return series;
  }
}

/** A value that is read when it is asked for. */
export class Gauge implements Instrument {
  readonly type: 'gauge' | 'counter';
  readonly name: string;
  readonly help: string;
  readonly labels = [];
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
  readonly labels = [];
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

  /** Upper bounds of its buckets; one more reaches to infinity. */
  get bounds(): readonly number[] {
    return [...this.#bounds];
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
    const { hits, all } = this.counts(nowMs);
    return hits / all;
  }

  /** Of the last minute. */
  counts(nowMs: number): { hits: number; all: number } {
    const oldest = Math.floor(nowMs / 1000) - 60;
    let hits = 0;
    let all = 0;
    for (let i = 0; i < 60; i++) {
      if ((this.#second[i] as number) <= oldest) continue;
      hits += this.#hits[i] as number;
      all += this.#all[i] as number;
    }
    return { hits, all };
  }
}
