import { Fleet, type FleetOptions, type FleetResult } from '../fleet.ts';
import { kpaDefaults } from '../kpa.ts';
import { defaultSettings, PacelinePolicy } from '../paceline.ts';
import type { DispatchPolicy } from '../policy.ts';
import { KServeBatcher, OneByOne } from '../rivals/static-rules.ts';
import type { SimulatedModel, SimulatedRequest } from '../run.ts';
import { Steering } from '../steering.ts';
import { poisson } from '../workload.ts';

// A step of five times (40 -> 200 requests/s) on a serial model that takes 50 ms + 5 ms an item, objective 500 ms, one
// ready replica: what each way of running it under Knative keeps of the promise, and what it pays.

export interface StepOptions {
  seed: number;
  /** From the decision to a replica that serves, in ms: uniform between the two. */
  coldStartMs?: readonly [number, number];
  /** From one plan of Paceline's to the next. */
  planEverySec?: number;
  noise?: number;
  /** The first so many ways only; Paceline is the first. */
  ways?: number;
}

export interface StepFigures {
  way: string;
  batching: boolean;
  /** Share in time of what arrived in the 60 s from the step, and in the 60 s after them. */
  during: number;
  after: number;
  /** Answers in time to the arrivals of the first 15 s, over what the replicas that were ready could have served. */
  ofPossible: number;
  /** From the step on, for 120 s; what starts is paid for. */
  replicaSeconds: number;
  replicasMost: number;
  coldStarts: number[];
}

const sloMs = 500;
const calmSec = 60;
const start = 2 ** 31;
const stepAt = start + 1000 * calmSec;
const low = 40;
const high = 200;
const stepMs = (items: number) => 50 + 5 * items;

/** Requests a second that one replica can answer in time at most: the largest batch that fits the objective. */
const capacity = Math.max(
  ...Array.from({ length: 64 }, (_, i) => i + 1).map((n) => (stepMs(n) <= sloMs ? (1000 * n) / stepMs(n) : 0)),
);

interface Way {
  name: string;
  batching: boolean;
  target?: number;
  make(readyAt: number): DispatchPolicy;
  steered?: boolean;
}

const ways: readonly Way[] = [
  {
    name: 'Paceline, an SLO and nothing else',
    batching: true,
    steered: true,
    make: (readyAt) => new PacelinePolicy(defaultSettings(sloMs), readyAt),
  },
  { name: 'Knative at its defaults', batching: false, make: () => new OneByOne() },
  { name: 'Knative, target 1', batching: false, target: 1, make: () => new OneByOne() },
  { name: "KServe's batcher at its defaults (32, 5 s)", batching: true, make: () => new KServeBatcher(32, 5000) },
  { name: "KServe's batcher, 32 and 50 ms", batching: true, make: () => new KServeBatcher(32, 50) },
];

/** Every way on the same arrivals. */
export function stepComparison(options: StepOptions): StepFigures[] {
  const workload = [
    ...poisson(options.seed, start, calmSec, low, [{ weight: 1, sloMs, lane: 0 }]),
    ...poisson(options.seed + 1000, stepAt, 120, high, [{ weight: 1, sloMs, lane: 0 }]),
  ];
  return ways.slice(0, options.ways).map((way) => runWay(way, workload, options));
}

function runWay(way: Way, workload: readonly SimulatedRequest[], options: StepOptions): StepFigures {
  const model: SimulatedModel = {
    servers: 1,
    perLane: false,
    maxItems: 64,
    noise: options.noise ?? 0.02,
    meanMs: stepMs,
  };
  const policy = { sloMs, sloQuantile: 0.99, patience: 'auto' as const, maxBatchSize: 64 };
  const steering = way.steered ? new Steering(policy, options.planEverySec ?? 10, options.seed) : undefined;
  const fleetOptions: FleetOptions = {
    seed: options.seed,
    model,
    kpa: { ...kpaDefaults, target: way.target ?? kpaDefaults.target },
    startReplicas: 1,
    coldStartMs: options.coldStartMs ?? [1500, 3000],
    makePolicy: way.make,
    // Paceline takes the activator out of the path, so nothing evens out what replicas get.
    routing: steering ? 'random' : 'least',
    everySecond: (fleet, now) => steering?.everySecond(fleet, now),
  };
  return figures(way, workload, new Fleet(workload, fleetOptions).run());
}

function figures(way: Way, workload: readonly SimulatedRequest[], result: FleetResult): StepFigures {
  const inTime = (from: number, to: number) => {
    let all = 0;
    let good = 0;
    workload.forEach((request, id) => {
      if (request.at < from || request.at >= to) return;
      all++;
      if ((result.latencies[id] as number) <= request.sloMs + 1e-6) good++;
    });
    return { all, good };
  };
  const share = (from: number, to: number) => {
    const { all, good } = inTime(stepAt + 1000 * from, stepAt + 1000 * to);
    return good / all;
  };
  let possible = 0;
  for (let second = 0; second < 15; second++) {
    const from = stepAt + 1000 * second;
    const ready = result.ready[calmSec + second - 1] as number;
    possible += Math.min(inTime(from, from + 1000).all, ready * capacity);
  }
  return {
    way: way.name,
    batching: way.batching,
    during: share(0, 60),
    after: share(60, 120),
    ofPossible: inTime(stepAt, stepAt + 15_000).good / possible,
    replicaSeconds: result.replicaSeconds(stepAt, stepAt + 120_000),
    replicasMost: Math.max(...result.ready),
    coldStarts: result.coldStarts,
  };
}
