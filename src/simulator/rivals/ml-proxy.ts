import type { PolicyActions } from '../policy.ts';
import { FirstInFirstOut, never, type Waiting } from './first-in-first-out.ts';

/** MLProxy's parameters, as its experiments set them. */
export interface MlProxySettings {
  sloMs: number;
  minItems: number;
  maxItems: number;
  /** B at the start, and what is added to it where it may grow. */
  firstItems: number;
  step: number;
  /** B may grow while at most this share of the dispatches was by time-out. */
  timeoutShare: number;
}

export const mlProxyDefaults = { minItems: 1, maxItems: 20, firstItems: 5, step: 5, timeoutShare: 0.5 };

const periodMs = 30_000;
const answersMs = 60_000;
const dispatchesMs = 20_000;
const memoryMs = 10_000;
const unknownMs = 100;
const leastMs = 50;

/**
 * MLProxy's rule (arXiv 2202.11243). The proxy sends when B requests wait, or when the oldest is as old as
 * max(T - max(P95 of the next size, 50 ms), 50 ms), with T = 0.8 SLO; statistics are kept for 10 s once computed. Every
 * 30 s the controller adds a step to B where the P95 of answers (60 s) is below T and few dispatches (20 s) were
 * time-outs, and else takes 0.7 of it. Batches in flight have no bound: Knative is left to scale.
 */
export class MlProxy extends FirstInFirstOut {
  readonly #settings: MlProxySettings;
  readonly #target: number;
  /** The last 200 times of each batch size, and their P95 for as long as it is kept. */
  readonly #times = new Map<number, number[]>();
  readonly #p95 = new Map<number, { until: number; ms: number }>();
  #answers: { at: number; ms: number }[] = [];
  #dispatches: { at: number; timeout: boolean }[] = [];
  #largest = 0;
  #bound: number;
  #nextControl = Number.NaN;

  constructor(settings: MlProxySettings) {
    super();
    this.#settings = settings;
    this.#target = 0.8 * settings.sloMs;
    this.#bound = settings.firstItems;
  }

  protected override observe(taken: readonly Waiting[], ms: number, now: number): void {
    const times = this.#times.get(taken.length) ?? [];
    if (times.push(ms) > 200) times.shift();
    this.#times.set(taken.length, times);
    this.#largest = Math.max(this.#largest, taken.length);
    for (const each of taken) this.#answers.push({ at: now, ms: now - each.at });
  }

  step(now: number, act: PolicyActions): number {
    this.#control(now);
    for (let head = this.queue[0]; head; head = this.queue[0]) {
      const full = this.queue.length >= this.#bound;
      const due = head.at + Math.max(this.#target - this.#estimate(now, this.queue.length + 1), leastMs);
      if (!full && now < due) return due;
      this.#dispatches.push({ at: now, timeout: !full });
      this.send(now, act, this.#bound);
    }
    return never;
  }

  #estimate(now: number, items: number): number {
    const size = this.#times.has(items) ? items : this.#largest;
    const known = this.#p95.get(size);
    if (known && now < known.until) return known.ms;
    const ms = Math.max(quantile95(this.#times.get(size) ?? []) ?? unknownMs, leastMs);
    this.#p95.set(size, { until: now + memoryMs, ms });
    return ms;
  }

  #control(now: number): void {
    if (Number.isNaN(this.#nextControl)) this.#nextControl = now + periodMs;
    if (now < this.#nextControl) return;
    this.#nextControl = now + periodMs;
    this.#answers = this.#answers.filter((each) => each.at > now - answersMs);
    this.#dispatches = this.#dispatches.filter((each) => each.at > now - dispatchesMs);
    const p95 = quantile95(this.#answers.map((each) => each.ms)) ?? 0;
    const timeouts = this.#dispatches.filter((each) => each.timeout).length / Math.max(this.#dispatches.length, 1);
    const { minItems, maxItems, step, timeoutShare } = this.#settings;
    const grows = p95 < this.#target && timeouts < timeoutShare;
    const wanted = grows ? this.#bound + step : Math.min(Math.floor(0.7 * this.#bound), this.#bound - 1);
    this.#bound = Math.min(Math.max(wanted, minItems), maxItems);
  }
}

/** The 95 % quantile by linear interpolation; undefined of nothing. */
function quantile95(values: readonly number[]): number | undefined {
  const sorted = Float64Array.from(values).sort();
  const place = 0.95 * (sorted.length - 1);
  const low = sorted[Math.floor(place)];
  const high = sorted[Math.ceil(place)];
  return low === undefined || high === undefined ? undefined : low + (high - low) * (place - Math.floor(place));
}
