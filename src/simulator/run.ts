import type { DispatchPolicy, PolicyActions } from './policy.ts';
import { Random } from './random.ts';

/** One request of a workload: absolute arrival in ms, objective in ms, lane. */
export interface SimulatedRequest {
  at: number;
  sloMs: number;
  lane: number;
}

/** A model server: `servers` batches at once (each lane its own server where `perLane`), first in first out. */
export interface SimulatedModel {
  servers: number;
  perLane: boolean;
  /** 413 above this. */
  maxItems: number;
  /** Mean ms of a batch of n at virtual time t. */
  meanMs(items: number, t: number): number;
  /** Lognormal sigma of the service time. */
  noise: number;
}

/** What a run came to. Shares are of all requests that arrived after `warmupMs`. */
export interface SimulationResult {
  requests: number;
  goodput: number;
  answered: number;
  refused: number;
  lost: number;
  p50: number;
  p99: number;
  meanBatch: number;
  busyMsPerRequest: number;
  busyShare: number;
  /** Share of on-time answers by request index, for callers that want classes. */
  onTime: Uint8Array;
}

/** Options of a run: seed of the noise, warm-up that is not counted, and whether callers leave at their objective. */
export interface SimulationOptions {
  seed: number;
  warmupMs?: number;
  giveUp?: boolean;
}

interface Batch {
  id: number;
  lane: number;
  ids: readonly number[];
  tooLarge: boolean;
}

/**
 * Runs a policy against a model in virtual time: no clock, no chance but the seed.
 * Events at one instant are taken in the order completions, departures, arrivals, wake.
 */
export function simulate(
  policy: DispatchPolicy,
  workload: readonly SimulatedRequest[],
  model: SimulatedModel,
  options: SimulationOptions,
): SimulationResult {
  const random = new Random(options.seed);
  const ends: { at: number; batch: Batch }[] = [];
  const serverFree: number[][] = [];
  const answeredAt = new Float64Array(workload.length).fill(Number.NaN);
  const state = new Uint8Array(workload.length);
  const start = workload[0]?.at ?? 0;
  let batches = 0;
  let items = 0;
  let busyMs = 0;
  let now = start;

  const act: PolicyActions = {
    dispatch(id, lane, ids) {
      const tooLarge = ids.length > model.maxItems;
      const key = model.perLane ? lane : 0;
      serverFree[key] ??= new Array(model.servers).fill(0);
      const servers = serverFree[key] as number[];
      let server = 0;
      for (let i = 1; i < servers.length; i++) if ((servers[i] as number) < (servers[server] as number)) server = i;
      const begin = Math.max(now, servers[server] as number);
      const ms = tooLarge ? 0.2 : model.meanMs(ids.length, begin) * random.noise(model.noise);
      servers[server] = begin + ms;
      if (!tooLarge) {
        batches++;
        items += ids.length;
        busyMs += ms;
      }
      insertByTime(ends, { at: begin + ms, batch: { id, lane, ids: [...ids], tooLarge } });
    },
    refuse(id) {
      state[id] = 2;
    },
  };

  let next = 0;
  let leaving = 0;
  let wake = Number.POSITIVE_INFINITY;
  const last = (workload.at(-1)?.at ?? start) + 120_000;
  const splitOf = new Map<number, { id: number; left: number }>();
  while (now <= last) {
    const arrivalAt = workload[next]?.at ?? Number.POSITIVE_INFINITY;
    const endAt = ends[0]?.at ?? Number.POSITIVE_INFINITY;
    const leaver = options.giveUp ? workload[leaving] : undefined;
    const leaveAt = leaver && leaving < next ? leaver.at + leaver.sloMs : Number.POSITIVE_INFINITY;
    if (next >= workload.length && ends.length === 0 && state.every((s) => s !== 0)) break;
    const soonest = Math.min(arrivalAt, endAt, leaveAt, wake);
    if (soonest === Number.POSITIVE_INFINITY) break;
    now = Math.max(now, soonest);
    while (ends.length > 0 && (ends[0] as { at: number }).at <= now) {
      const { batch } = ends.shift() as { batch: Batch };
      if (batch.tooLarge) {
        // The host halves inside the same slot, as the companion does.
        const half = batch.ids.length >> 1;
        const parts = [batch.ids.slice(0, half), batch.ids.slice(half)];
        const owner = splitOf.get(batch.id) ?? { id: batch.id, left: 0 };
        owner.left += owner.left === 0 ? 2 : 1;
        splitOf.set(batch.id, owner);
        for (const part of parts) act.dispatch(batch.id, batch.lane, part);
        continue;
      }
      for (const id of batch.ids) {
        answeredAt[id] = now;
        if (state[id] === 0) state[id] = 1;
      }
      const owner = splitOf.get(batch.id);
      if (owner && --owner.left > 0) continue;
      splitOf.delete(batch.id);
      policy.complete(now, batch.id, owner !== undefined);
    }
    while (
      options.giveUp &&
      leaving < next &&
      (workload[leaving] as SimulatedRequest).at + (workload[leaving] as SimulatedRequest).sloMs <= now
    ) {
      if (state[leaving] === 0) {
        state[leaving] = 3;
        policy.cancel(now, leaving);
      }
      leaving++;
    }
    while (next < workload.length && (workload[next] as SimulatedRequest).at <= now) {
      const request = workload[next] as SimulatedRequest;
      policy.arrive(now, next, request.lane, request.at + request.sloMs);
      next++;
    }
    wake = policy.step(now, act);
    if (wake <= now) wake = now;
    if (next >= workload.length && ends.length === 0 && wake > last) break;
  }
  return summarise(workload, answeredAt, state, start + (options.warmupMs ?? 0), {
    batches,
    items,
    busyMs,
    elapsed: (workload.at(-1)?.at ?? start) - start,
  });
}

function insertByTime<T extends { at: number }>(list: T[], entry: T): void {
  let i = list.length;
  while (i > 0 && (list[i - 1] as T).at > entry.at) i--;
  list.splice(i, 0, entry);
}

function summarise(
  workload: readonly SimulatedRequest[],
  answeredAt: Float64Array,
  state: Uint8Array,
  from: number,
  totals: { batches: number; items: number; busyMs: number; elapsed: number },
): SimulationResult {
  const onTime = new Uint8Array(workload.length);
  const latencies: number[] = [];
  let requests = 0;
  let good = 0;
  let answered = 0;
  let refused = 0;
  let lost = 0;
  workload.forEach((request, id) => {
    if (request.at < from) return;
    requests++;
    if (state[id] === 1) {
      answered++;
      const latency = (answeredAt[id] as number) - request.at;
      latencies.push(latency);
      if (latency <= request.sloMs + 1e-6) {
        good++;
        onTime[id] = 1;
      }
    } else if (state[id] === 0) lost++;
    else refused++;
  });
  latencies.sort((a, b) => a - b);
  const quantile = (q: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(q * latencies.length))] ?? Number.NaN;
  return {
    requests,
    goodput: good / requests,
    answered,
    refused,
    lost,
    p50: quantile(0.5),
    p99: quantile(0.99),
    meanBatch: totals.items / totals.batches,
    busyMsPerRequest: totals.busyMs / totals.items,
    busyShare: totals.busyMs / totals.elapsed,
    onTime,
  };
}
