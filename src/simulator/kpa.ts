/** What Knative's autoscaler is told about a revision; its defaults are those of config-autoscaler. */
export interface KpaSettings {
  /** Requests inside one replica: `target`, or 100 where there is none and no hard concurrency. */
  target: number;
  utilization: number;
  stableWindowSec: number;
  panicWindowSec: number;
  panicThreshold: number;
  maxScaleUpRate: number;
  maxScaleDownRate: number;
  minScale: number;
  /** 0: no bound. */
  maxScale: number;
}

export const kpaDefaults: KpaSettings = {
  target: 100,
  utilization: 0.7,
  stableWindowSec: 60,
  panicWindowSec: 6,
  panicThreshold: 2,
  maxScaleUpRate: 1000,
  maxScaleDownRate: 2,
  minScale: 1,
  maxScale: 0,
};

/**
 * Knative's autoscaler (KPA) on concurrency, decision by decision as in pkg/autoscaler/scaling/autoscaler.go: what all
 * replicas hold, waiting requests included, in buckets of a second; two windows of them; panic when the short one asks
 * for twice what is ready, and never down while it lasts.
 */
export class KpaDecider {
  /** May be changed at any time: annotations of a Revision reach the autoscaler within a second. */
  settings: KpaSettings;
  readonly #buckets = new Map<number, number>();
  #first = Number.POSITIVE_INFINITY;
  #last = Number.NEGATIVE_INFINITY;
  #panicSince: number | undefined;
  #panicMost = 0;
  #desired: number;

  constructor(settings: KpaSettings, replicas: number) {
    this.settings = settings;
    this.#desired = replicas;
  }

  /** Mean requests inside all replicas during the second that ends at `now` ms. */
  record(now: number, concurrency: number): void {
    const second = Math.floor(now / 1000);
    if (second - this.#last >= this.settings.stableWindowSec) this.#first = second;
    this.#buckets.set(second, (this.#buckets.get(second) ?? 0) + concurrency);
    this.#last = second;
    this.#first = Math.min(this.#first, second);
    this.#buckets.delete(second - 2 * this.settings.stableWindowSec);
  }

  /** A tick: how many replicas there should be, within the bounds. */
  decide(now: number, readyReplicas: number): number {
    const { settings } = this;
    const ready = Math.max(1, readyReplicas);
    const target = Math.max(0.01, settings.target * settings.utilization);
    const up = Math.ceil(settings.maxScaleUpRate * ready);
    const down = Math.floor(ready / settings.maxScaleDownRate);
    const stableAsks = Math.ceil(this.#average(now, settings.stableWindowSec) / target);
    const panicAsks = Math.ceil(this.#average(now, settings.panicWindowSec) / target);
    const stable = Math.min(Math.max(stableAsks, down), up);
    const panic = Math.min(Math.max(panicAsks, down), up);
    if (panicAsks / ready >= settings.panicThreshold) this.#panicSince = now;
    else if (this.#panicSince !== undefined && this.#panicSince + 1000 * settings.stableWindowSec < now) {
      this.#panicSince = undefined;
      this.#panicMost = 0;
    }
    if (this.#panicSince === undefined) this.#desired = stable;
    else {
      this.#panicMost = Math.max(this.#panicMost, stable, panic);
      this.#desired = this.#panicMost;
    }
    return this.bounded();
  }

  /** The last decision within the bounds as they are now: what a change of the bounds leads to at once. */
  bounded(): number {
    const { minScale, maxScale } = this.settings;
    return Math.min(Math.max(this.#desired, minScale), maxScale > 0 ? maxScale : Number.POSITIVE_INFINITY);
  }

  #average(now: number, windowSec: number): number {
    const second = Math.floor(now / 1000);
    const silent = second - this.#last;
    if (silent >= windowSec) return 0;
    let sum = 0;
    for (let each = second - windowSec + 1; each <= this.#last; each++) sum += this.#buckets.get(each) ?? 0;
    const mean = sum / Math.min(this.#last - this.#first + 1, windowSec - silent);
    return Math.round(mean * 1e6) / 1e6;
  }
}
