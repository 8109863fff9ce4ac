import type { Plan } from './plan.ts';

/** What happened to the requests that were sent within one second. Latencies in ms, in no order. */
export interface Second {
  sent: number;
  good: number;
  late: number;
  refused: number;
  failed: number;
  /** Those that k6 had nobody to send, because everybody waited for an answer. */
  unsent: number;
  latencies: number[];
}

/** One sample of k6's output that says something about a request. */
export interface Ask {
  readonly side: string;
  /** When it was sent, in ms since 1970. */
  readonly sentMs: number;
  readonly ms: number;
  readonly outcome: string;
}

/** Sums over a phase, or over a whole run. Shares are of all requests that were due, sent or not. */
export interface Tally {
  readonly seconds: number;
  readonly requests: number;
  readonly good: number;
  readonly late: number;
  readonly refused: number;
  readonly failed: number;
  readonly unsent: number;
  readonly attainment: number;
  /** Good answers a second. */
  readonly goodput: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
}

/** Per-second series of each side, built from samples as they come in, in any order. */
export class Series {
  readonly #seconds = new Map<string, Second[]>();
  #startMs = Number.NaN;

  constructor(sides: readonly string[]) {
    for (const side of sides) this.#seconds.set(side, []);
  }

  /** When the first request was sent, in ms since 1970; NaN before it. */
  get startMs(): number {
    return this.#startMs;
  }

  /** Must be known before samples are added that were sent before the first one that came in. */
  begin(startMs: number): void {
    if (Number.isNaN(this.#startMs)) this.#startMs = startMs;
  }

  add({ side, sentMs, ms, outcome }: Ask): void {
    const second = this.#at(side, sentMs);
    second.sent++;
    second.latencies.push(ms);
    if (outcome === 'good') second.good++;
    else if (outcome === 'late') second.late++;
    else if (outcome === 'refused') second.refused++;
    else second.failed++;
  }

  unsent(side: string, atMs: number, count: number): void {
    this.#at(side, atMs).unsent += count;
  }

  seconds(side: string): readonly Second[] {
    return this.#seconds.get(side) ?? [];
  }

  /** Sums over the seconds from one to before another. */
  tally(side: string, from: number, to: number): Tally {
    const sum = emptySecond();
    for (const second of this.seconds(side).slice(Math.round(from), Math.round(to))) {
      for (const key of ['sent', 'good', 'late', 'refused', 'failed', 'unsent'] as const) sum[key] += second[key];
      for (const latency of second.latencies) sum.latencies.push(latency);
    }
    const sorted = sum.latencies.sort((a, b) => a - b);
    const due = sum.sent + sum.unsent;
    return {
      seconds: to - from,
      requests: due,
      good: sum.good,
      late: sum.late,
      refused: sum.refused,
      failed: sum.failed,
      unsent: sum.unsent,
      attainment: due === 0 ? 1 : sum.good / due,
      goodput: to > from ? sum.good / (to - from) : 0,
      p50Ms: quantileOf(sorted, 0.5),
      p95Ms: quantileOf(sorted, 0.95),
      p99Ms: quantileOf(sorted, 0.99),
    };
  }

  /** Sums of each phase. */
  phases(side: string, { phases }: Plan): { name: string; rate: number; asked: number | null; tally: Tally }[] {
    let from = 0;
    return phases.map(({ name, rate, seconds, share }) => {
      const tally = this.tally(side, from, from + seconds);
      from += seconds;
      return { name, rate, asked: share ?? null, tally };
    });
  }

  #at(side: string, atMs: number): Second {
    const list = this.#seconds.get(side);
    if (!list) throw new Error(`k6 reports a side that was not asked for: ${side}`);
    this.begin(atMs);
    const at = Math.max(0, Math.floor((atMs - this.#startMs) / 1000));
    while (list.length <= at) list.push(emptySecond());
    return list[at] as Second;
  }
}

/** The nearest-rank quantile of sorted values, null of none. */
export function quantileOf(sorted: readonly number[], quantile: number): number | null {
  if (sorted.length === 0) return null;
  return sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)] as number;
}

function emptySecond(): Second {
  return { sent: 0, good: 0, late: 0, refused: 0, failed: 0, unsent: 0, latencies: [] };
}
