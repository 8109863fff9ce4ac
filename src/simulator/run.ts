import { KnativeAutoscaler, type KnativeScale } from './knative.ts';
import type { DispatchPolicy, PolicyActions } from './policy.ts';
import { Random } from './random.ts';
import { type SimulatedModel, Upstream } from './upstream.ts';

export type { SimulatedModel } from './upstream.ts';

/** One request of a workload: absolute arrival in ms, objective in ms, lane. */
export interface SimulatedRequest {
  at: number;
  sloMs: number;
  lane: number;
}

/** What a run came to. Shares are of all requests that arrived after `warmupMs`. */
export interface SimulationResult {
  requests: number;
  goodput: number;
  answered: number;
  refused: number;
  lost: number;
  p50: number;
  p95: number;
  p99: number;
  meanBatch: number;
  busyMsPerRequest: number;
  /** Model ms over requests that were answered in time. */
  busyMsPerGoodRequest: number;
  /** Share of the time from the first arrival to the last answer in which a server worked, summed over servers. */
  busyShare: number;
  /** Batches inside the model, mean of each minute that counts (Little: batches/s x time of one). */
  concurrency: number[];
  /** Ready replicas, mean after the warm-up; `servers` without an autoscaler. */
  replicas: number;
  /** Share of on-time answers by request index, for callers that want classes. */
  onTime: Uint8Array;
}

/** Options of a run. */
export interface SimulationOptions {
  /** Of the noise. */
  seed: number;
  /** Time that is not counted, at the start and at the end. */
  warmupMs?: number;
  cooldownMs?: number;
  /** Callers leave at their objective. */
  giveUp?: boolean;
  /** Knative scales the model's servers; `model.servers` does not count then. */
  scale?: KnativeScale;
}

enum State {
  Open = 0,
  Answered = 1,
  Refused = 2,
  Left = 3,
}

/**
 * Runs a policy against a model in virtual time: no clock, no chance but the seed.
 * Events at one instant are taken in the order replicas, completions, departures, arrivals, wake.
 */
export function simulate(
  policy: DispatchPolicy,
  workload: readonly SimulatedRequest[],
  model: SimulatedModel,
  options: SimulationOptions,
): SimulationResult {
  const start = workload[0]?.at ?? 0;
  const end = workload.at(-1)?.at ?? start;
  const last = end + 120_000;
  const upstream = new Upstream(model, new Random(options.seed), start);
  const scaler = options.scale && new KnativeAutoscaler(options.scale, upstream, start);
  const outcome = {
    answeredAt: new Float64Array(workload.length).fill(Number.NaN),
    state: new Uint8Array(workload.length),
  };
  let open = workload.length;
  const close = (id: number, state: State) => {
    if (outcome.state[id] !== State.Open) return;
    outcome.state[id] = state;
    open--;
  };
  let now = start;
  const act: PolicyActions = {
    dispatch: (id, lane, ids) => upstream.submit(now, id, lane, ids),
    refuse: (id) => close(id, State.Refused),
  };

  const from = start + (options.warmupMs ?? 0);
  const until = end - (options.cooldownMs ?? 0);
  const meter = new Meter(from, until, upstream, scaler);
  let next = 0;
  let leaving = 0;
  let wake = Number.POSITIVE_INFINITY;
  /** Parts of batches that were refused as too large and are still under way. */
  const parts = new Map<number, number>();
  while (open > 0 && now <= last) {
    const arrivalAt = workload[next]?.at ?? Number.POSITIVE_INFINITY;
    const leaver = options.giveUp && leaving < next ? workload[leaving] : undefined;
    const leaveAt = leaver ? leaver.at + leaver.sloMs : Number.POSITIVE_INFINITY;
    const soonest = Math.min(arrivalAt, upstream.nextEnd, leaveAt, wake);
    // An autoscaler alone never ends: without anything else to come, the run is over.
    if (soonest === Number.POSITIVE_INFINITY) break;
    now = Math.max(now, Math.min(soonest, scaler?.nextAt ?? soonest, meter.nextAt));
    meter.read(now);
    scaler?.advance(now);
    if (now < soonest && now < upstream.nextEnd) continue;
    for (let batch = upstream.takeEnded(now); batch; batch = upstream.takeEnded(now)) {
      const left = parts.get(batch.id) ?? 0;
      if (batch.tooLarge) {
        // The host halves inside the same slot, as the companion does.
        const half = batch.ids.length >> 1;
        parts.set(batch.id, left + (left === 0 ? 2 : 1));
        upstream.submit(now, batch.id, batch.lane, batch.ids.slice(0, half));
        upstream.submit(now, batch.id, batch.lane, batch.ids.slice(half));
        continue;
      }
      for (const id of batch.ids) {
        outcome.answeredAt[id] = now;
        close(id, State.Answered);
      }
      if (left > 1) {
        parts.set(batch.id, left - 1);
        continue;
      }
      parts.delete(batch.id);
      policy.complete(now, batch.id, left > 0);
    }
    for (; options.giveUp && leaving < next; leaving++) {
      const request = workload[leaving] as SimulatedRequest;
      if (request.at + request.sloMs > now) break;
      if (outcome.state[leaving] !== State.Open) continue;
      close(leaving, State.Left);
      policy.cancel(now, leaving);
    }
    while (next < workload.length && (workload[next] as SimulatedRequest).at <= now) {
      const request = workload[next] as SimulatedRequest;
      policy.arrive(now, next, request.lane, request.at + request.sloMs);
      next++;
    }
    wake = Math.max(policy.step(now, act), now);
  }
  return {
    ...summarise(workload, outcome, from, until, upstream.busyMs),
    meanBatch: upstream.items / upstream.batches,
    busyMsPerRequest: upstream.busyMs / upstream.items,
    busyShare: upstream.busyMs / (upstream.lastEnd - start),
    concurrency: meter.concurrency,
    replicas: scaler ? meter.replicas : model.servers,
  };
}

/** The integrals of concurrency and replicas at one time. */
interface Reading {
  at: number;
  insideMs: number;
  replicaMs: number;
}

/** Reads the integrals of concurrency and replicas each minute of the time that counts. */
class Meter {
  readonly #upstream: Upstream;
  readonly #scaler: KnativeAutoscaler | undefined;
  readonly #from: number;
  readonly #until: number;
  readonly #readings: Reading[] = [];
  nextAt: number;

  constructor(from: number, until: number, upstream: Upstream, scaler: KnativeAutoscaler | undefined) {
    this.#upstream = upstream;
    this.#scaler = scaler;
    this.#from = from;
    this.#until = until;
    this.nextAt = from;
  }

  read(now: number): void {
    if (now < this.nextAt) return;
    const replicaMs = this.#scaler?.replicaMs(now) ?? 0;
    this.#readings.push({ at: now, insideMs: this.#upstream.insideMs(now), replicaMs });
    const left = this.#until - now;
    this.nextAt = left <= 1e-6 ? Number.POSITIVE_INFINITY : Math.min(now + 60_000, this.#until);
  }

  get concurrency(): number[] {
    return this.#readings.slice(1).map((reading, i) => {
      const before = this.#readings[i] as Reading;
      return (reading.insideMs - before.insideMs) / (reading.at - before.at);
    });
  }

  get replicas(): number {
    const first = this.#readings[0];
    const last = this.#readings.at(-1);
    return first && last ? (last.replicaMs - first.replicaMs) / (this.#until - this.#from) : Number.NaN;
  }
}

function summarise(
  workload: readonly SimulatedRequest[],
  outcome: { answeredAt: Float64Array; state: Uint8Array },
  from: number,
  until: number,
  busyMs: number,
) {
  const onTime = new Uint8Array(workload.length);
  const latencies: number[] = [];
  let requests = 0;
  let good = 0;
  let goodAtAll = 0;
  let answered = 0;
  let refused = 0;
  let lost = 0;
  workload.forEach((request, id) => {
    const latency = (outcome.answeredAt[id] as number) - request.at;
    const state = outcome.state[id];
    const inTime = state === State.Answered && latency <= request.sloMs + 1e-6;
    if (inTime) goodAtAll++;
    if (request.at < from || request.at > until) return;
    requests++;
    if (state === State.Answered) {
      answered++;
      latencies.push(latency);
      if (inTime) {
        good++;
        onTime[id] = 1;
      }
    } else if (state === State.Open) lost++;
    else refused++;
  });
  const sorted = Float64Array.from(latencies).sort();
  const quantile = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
  return {
    requests,
    goodput: good / requests,
    answered,
    refused,
    lost,
    p50: quantile(0.5),
    p95: quantile(0.95),
    p99: quantile(0.99),
    busyMsPerGoodRequest: busyMs / goodAtAll,
    onTime,
  };
}
