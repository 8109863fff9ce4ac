import type { Upstream } from './upstream.ts';

/** What Knative's autoscaler is told, in its own words; times in ms. */
export interface KnativeScale {
  /** Concurrency wanted in one replica. */
  target: number;
  /** Share of the target that is aimed at (`container-concurrency-target-percentage`). */
  utilization: number;
  stableWindowMs: number;
  panicWindowMs: number;
  /** Panic from this many times what the ready replicas can take (`panic-threshold-percentage` / 100). */
  panicThreshold: number;
  maxScaleDownRate: number;
  minScale: number;
  tickMs: number;
  /** From the decision to a replica that serves. */
  coldStartMs: number;
}

/** Knative Serving's defaults, with concurrency 1 as the soft target and one replica kept. The cold start is ours. */
export const knativeDefaults: KnativeScale = {
  target: 1,
  utilization: 0.7,
  stableWindowMs: 60_000,
  panicWindowMs: 6_000,
  panicThreshold: 2,
  maxScaleDownRate: 2,
  minScale: 1,
  tickMs: 2_000,
  coldStartMs: 5_000,
};

/**
 * Knative's autoscaler (KPA) on the concurrency metric: replicas = ceil(mean concurrency / (target x utilization)) over
 * the stable window; while the panic window asks for twice what is ready, the larger of both, and never fewer than
 * before. Counts the replica-milliseconds that are paid for.
 */
export class KnativeAutoscaler {
  readonly #scale: KnativeScale;
  readonly #upstream: Upstream;
  /** Concurrency integral at each tick of the stable window, oldest first. */
  readonly #history: { at: number; insideMs: number }[] = [];
  readonly #starting: number[] = [];
  #ready: number;
  #panicUntil = Number.NEGATIVE_INFINITY;
  #panicReplicas = 0;
  #tickAt: number;
  #replicaMs = 0;
  #changedAt: number;

  constructor(scale: KnativeScale, upstream: Upstream, start: number) {
    this.#scale = scale;
    this.#upstream = upstream;
    this.#ready = scale.minScale;
    this.#tickAt = start + scale.tickMs;
    this.#changedAt = start;
    this.#history.push({ at: start, insideMs: 0 });
    upstream.resize(start, this.#ready);
  }

  /** When something happens here next: a tick, or a replica that becomes ready. */
  get nextAt(): number {
    return Math.min(this.#tickAt, this.#starting[0] ?? Number.POSITIVE_INFINITY);
  }

  /** Ready replicas integrated over time, in replica-milliseconds since the start. */
  replicaMs(now: number): number {
    return this.#replicaMs + this.#ready * (now - this.#changedAt);
  }

  advance(now: number): void {
    while (this.#starting.length > 0 && (this.#starting[0] as number) <= now) {
      this.#starting.shift();
      this.#setReady(now, this.#ready + 1);
    }
    if (now < this.#tickAt) return;
    this.#tickAt = now + this.#scale.tickMs;
    this.#history.push({ at: now, insideMs: this.#upstream.insideMs(now) });
    while (this.#history.length > 2 && (this.#history[1] as { at: number }).at <= now - this.#scale.stableWindowMs)
      this.#history.shift();
    this.#apply(now, this.#wanted(now));
  }

  #wanted(now: number): number {
    const scale = this.#scale;
    const perReplica = scale.target * scale.utilization;
    const stable = Math.ceil(this.#concurrency(now, scale.stableWindowMs) / perReplica - 1e-9);
    const panic = Math.ceil(this.#concurrency(now, scale.panicWindowMs) / perReplica - 1e-9);
    if (panic >= scale.panicThreshold * this.#ready) this.#panicUntil = now + scale.stableWindowMs;
    let wanted = Math.max(stable, Math.floor(this.#ready / scale.maxScaleDownRate));
    if (now < this.#panicUntil) {
      this.#panicReplicas = Math.max(this.#panicReplicas, panic, stable, this.#ready);
      wanted = this.#panicReplicas;
    } else this.#panicReplicas = 0;
    return Math.max(wanted, scale.minScale);
  }

  /** Mean number of batches inside over the last `windowMs`. */
  #concurrency(now: number, windowMs: number): number {
    const from = this.#history.find((each) => each.at >= now - windowMs - 1e-6) as { at: number; insideMs: number };
    if (from.at >= now) return this.#upstream.inside;
    return (this.#upstream.insideMs(now) - from.insideMs) / (now - from.at);
  }

  #apply(now: number, wanted: number): void {
    const coming = this.#ready + this.#starting.length;
    for (let i = coming; i < wanted; i++) this.#starting.push(now + this.#scale.coldStartMs);
    if (wanted >= coming) return;
    // Those that are not ready yet go first.
    this.#starting.length = Math.max(0, wanted - this.#ready);
    if (wanted < this.#ready) this.#setReady(now, wanted);
  }

  #setReady(now: number, ready: number): void {
    this.#replicaMs += this.#ready * (now - this.#changedAt);
    this.#changedAt = now;
    this.#ready = ready;
    this.#upstream.resize(now, ready);
  }
}
