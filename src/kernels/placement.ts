// The host's side of placement.wasm: one problem in, one plan out, as numbers.
import { Abi, OptionWord, PlanWord, ProblemWord, ShareWord } from '../../assembly/placement/codes.ts';
import { instantiateKernel, type KernelSource } from './load.ts';
import type { PlanReason } from './plan-reasons.ts';

/** A point of a latency curve: items of a batch, and the ms that it takes. */
export interface CurvePoint {
  readonly items: number;
  readonly expected: number;
  readonly quantile: number;
}

/** A revision or a variant. What is not known is NaN. */
export interface PlacementOption {
  /** Items rise, times do not fall, quantile >= expected; at most 32. */
  readonly curve: readonly CurvePoint[];
  readonly parallel: number;
  /** Of a replica an hour. */
  readonly price: number;
  readonly accuracy: number;
  /** Of the traffic, 0 to 1. */
  readonly share: number;
  readonly attainment: number;
  readonly ready: number;
  readonly pending: number;
  /** What the last plan said about it. */
  readonly planned: number;
  readonly target: number;
  readonly lowerSince: number;
  readonly lowerNeeded: number;
  readonly extra: number;
  readonly changedAt: number;
  readonly holdMs: number;
  readonly loweredAt: number;
  /** Items a second of one replica that earlier plans believed. */
  readonly best: number;
  /** Requests that wait now. */
  readonly waiting: number;
}

/** Times in ms, rates in items a second, prices per hour. What there is none of is NaN, unless it says otherwise. */
export interface PlacementProblem {
  readonly now: number;
  readonly sloMs: number;
  readonly sloQuantile: number;
  /** 0 to 1, or -1 for `auto`. */
  readonly patience: number;
  readonly maxBatch: number;
  readonly budget: number;
  readonly minAccuracy: number;
  readonly minReplicas: number;
  /** 0: no bound. */
  readonly maxReplicas: number;
  /** 0: no bound. */
  readonly containerConcurrency: number;
  readonly coldMs: number;
  readonly planEveryMs: number;
  /** The options are variants and one of them gets all traffic; otherwise each keeps its share. */
  readonly choose: boolean;
  readonly stale: boolean;
  readonly utilization: number;
  readonly stableWindowMs: number;
  /** The option that the last plan chose, or -1. */
  readonly chosen: number;
  readonly betterSince: number;
  readonly better: number;
  /** Where there are no seconds. */
  readonly rate: number;
  /** At most the last 60 and 1,440 count. */
  readonly seconds: readonly number[];
  readonly minutes: readonly number[];
  readonly options: readonly PlacementOption[];
}

/** The answer about one option. */
export interface PlacementShare {
  readonly share: number;
  readonly replicas: number;
  readonly maxBatch: number;
  readonly patience: number;
  readonly target: number;
  readonly minScale: number;
  readonly maxScale: number;
  readonly burstCapacity: number;
  readonly windowSec: number;
  readonly concurrency: number;
  readonly attainment: number;
  readonly cost: number;
  readonly utilisation: number;
  readonly capacity: number;
  readonly lowerSince: number;
  readonly lowerNeeded: number;
  readonly extra: number;
  readonly changedAt: number;
  readonly holdMs: number;
  readonly loweredAt: number;
  readonly best: number;
}

export interface PlacementPlan {
  readonly reason: PlanReason;
  readonly chosen: number;
  readonly demand: number;
  readonly attainment: number;
  readonly cost: number;
  readonly replicas: number;
  readonly utilisation: number;
  readonly saved: number;
  readonly betterSince: number;
  readonly better: number;
  /** -1: none. */
  readonly runnerUp: number;
  readonly runnerReplicas: number;
  readonly runnerReason: PlanReason;
  readonly runnerAttainment: number;
  readonly runnerCost: number;
  readonly runnerUtilisation: number;
  readonly shares: readonly PlacementShare[];
}

/** The queueing estimate of one replica. */
export interface ReplicaEstimate {
  /** Share of the requests within the objective. */
  readonly attainment: number;
  readonly meanMs: number;
}

type KernelFunction = (...args: number[]) => number;

interface PlacementExports {
  memory: WebAssembly.Memory;
  abi_version: KernelFunction;
  configure: KernelFunction;
  problem_at: KernelFunction;
  options_at: KernelFunction;
  seconds_at: KernelFunction;
  minutes_at: KernelFunction;
  plan_at: KernelFunction;
  shares_at: KernelFunction;
  plan: KernelFunction;
  attainment: KernelFunction;
  mean_ms: KernelFunction;
  capacity: KernelFunction;
  demand: KernelFunction;
}

/**
 * What one problem may hold at the most. Options beyond theirs are an error; numbers beyond theirs (assembly/placement,
 * `check`) would trap, so that whoever writes a problem from what came from outside bounds them first.
 */
export const placementLimits = {
  options: 32,
  points: 32,
  seconds: 60,
  minutes: 1440,
  batch: 1024,
  replicas: 10_000,
  concurrency: 1e6,
  parallel: 1024,
  /** Items a second. */
  rate: 1e9,
  /** Of a replica an hour. */
  price: 1e12,
  coldMs: 3.6e6,
  waiting: 1e9,
} as const;

/** One instance of placement.wasm. It keeps nothing from one problem to the next. */
export class PlacementKernel {
  readonly #kernel: PlacementExports;
  readonly #handle: number;
  readonly #words: Float64Array;

  /** @throws {Error} if the kernel's boundary is of another version than this host's. */
  constructor(from?: KernelSource) {
    this.#kernel = instantiateKernel('placement', from) as unknown as PlacementExports;
    if (this.#kernel.abi_version() !== Abi.Version) {
      throw new Error('placement.wasm does not fit this program: run `npm run build` so that both are of one version');
    }
    this.#handle = this.#kernel.configure();
    // Nothing allocates from here on, so the memory never grows under this view.
    this.#words = new Float64Array(this.#kernel.memory.buffer);
  }

  /** @throws {WebAssembly.RuntimeError} if a number is out of range. */
  plan(problem: PlacementProblem): PlacementPlan {
    this.#write(problem);
    this.#kernel.plan(this.#handle);
    return this.#read(problem.options.length);
  }

  /** Of the problem's first option at `rate` items a second in one replica, in batches of at most `batch`. */
  estimate(problem: PlacementProblem, rate: number, batch: number): ReplicaEstimate {
    this.#write(problem);
    const attainment = this.#kernel.attainment(this.#handle, rate, batch);
    return { attainment, meanMs: this.#kernel.mean_ms(this.#handle, rate, batch) };
  }

  /** Largest items a second of one replica of the problem's first option at which the promise holds. */
  capacity(problem: PlacementProblem, batch: number): number {
    this.#write(problem);
    return this.#kernel.capacity(this.#handle, batch);
  }

  /** Items a second that are forecast `horizonSeconds` ahead. */
  demand(problem: PlacementProblem, horizonSeconds: number): number {
    this.#write(problem);
    return this.#kernel.demand(this.#handle, horizonSeconds);
  }

  #write(problem: PlacementProblem): void {
    const kernel = this.#kernel;
    const words = this.#words;
    const at = kernel.problem_at(this.#handle) >>> 3;
    const put = (word: ProblemWord, value: number) => {
      words[at + word] = value;
    };
    const seconds = problem.seconds.slice(-placementLimits.seconds);
    const minutes = problem.minutes.slice(-placementLimits.minutes);
    put(ProblemWord.Now, problem.now);
    put(ProblemWord.SloMs, problem.sloMs);
    put(ProblemWord.SloQuantile, problem.sloQuantile);
    put(ProblemWord.Patience, problem.patience);
    put(ProblemWord.MaxBatch, problem.maxBatch);
    put(ProblemWord.Budget, problem.budget);
    put(ProblemWord.MinAccuracy, problem.minAccuracy);
    put(ProblemWord.MinReplicas, problem.minReplicas);
    put(ProblemWord.MaxReplicas, problem.maxReplicas);
    put(ProblemWord.ContainerConcurrency, problem.containerConcurrency);
    put(ProblemWord.ColdMs, problem.coldMs);
    put(ProblemWord.PlanEveryMs, problem.planEveryMs);
    put(ProblemWord.Choose, problem.choose ? 1 : 0);
    put(ProblemWord.Stale, problem.stale ? 1 : 0);
    put(ProblemWord.Utilization, problem.utilization);
    put(ProblemWord.StableWindowMs, problem.stableWindowMs);
    put(ProblemWord.Chosen, problem.chosen);
    put(ProblemWord.BetterSince, problem.betterSince);
    put(ProblemWord.Better, problem.better);
    put(ProblemWord.Rate, problem.rate);
    put(ProblemWord.Seconds, seconds.length);
    put(ProblemWord.Minutes, minutes.length);
    put(ProblemWord.Options, problem.options.length);
    words.set(seconds, kernel.seconds_at(this.#handle) >>> 3);
    words.set(minutes, kernel.minutes_at(this.#handle) >>> 3);
    if (problem.options.length > placementLimits.options) throw new RangeError('too many options for one problem');
    const first = kernel.options_at(this.#handle) >>> 3;
    problem.options.forEach((option, i) => {
      this.#writeOption(option, first + i * OptionWord.Words);
    });
  }

  #writeOption(option: PlacementOption, at: number): void {
    const words = this.#words;
    if (option.curve.length > placementLimits.points) throw new RangeError('too many points of a latency curve');
    words[at + OptionWord.Points] = option.curve.length;
    words[at + OptionWord.Parallel] = option.parallel;
    words[at + OptionWord.Price] = option.price;
    words[at + OptionWord.Accuracy] = option.accuracy;
    words[at + OptionWord.Share] = option.share;
    words[at + OptionWord.Attainment] = option.attainment;
    words[at + OptionWord.Ready] = option.ready;
    words[at + OptionWord.Pending] = option.pending;
    words[at + OptionWord.Planned] = option.planned;
    words[at + OptionWord.Target] = option.target;
    words[at + OptionWord.LowerSince] = option.lowerSince;
    words[at + OptionWord.LowerNeeded] = option.lowerNeeded;
    words[at + OptionWord.Extra] = option.extra;
    words[at + OptionWord.ChangedAt] = option.changedAt;
    words[at + OptionWord.HoldMs] = option.holdMs;
    words[at + OptionWord.LoweredAt] = option.loweredAt;
    words[at + OptionWord.Best] = option.best;
    words[at + OptionWord.Waiting] = option.waiting;
    words[at + OptionWord.Stage] = 0;
    words[at + OptionWord.Tier] = 0;
    option.curve.forEach((point, i) => {
      const to = at + OptionWord.Curve + 3 * i;
      words[to] = point.items;
      words[to + 1] = point.expected;
      words[to + 2] = point.quantile;
    });
  }

  #read(options: number): PlacementPlan {
    const at = this.#kernel.plan_at(this.#handle) >>> 3;
    const first = this.#kernel.shares_at(this.#handle) >>> 3;
    const of = (word: PlanWord) => this.#words[at + word] as number;
    return {
      reason: of(PlanWord.Reason),
      chosen: of(PlanWord.Chosen),
      demand: of(PlanWord.Demand),
      attainment: of(PlanWord.Attainment),
      cost: of(PlanWord.Cost),
      replicas: of(PlanWord.Replicas),
      utilisation: of(PlanWord.Utilisation),
      saved: of(PlanWord.Saved),
      betterSince: of(PlanWord.BetterSince),
      better: of(PlanWord.Better),
      runnerUp: of(PlanWord.RunnerUp),
      runnerReplicas: of(PlanWord.RunnerReplicas),
      runnerReason: of(PlanWord.RunnerReason),
      runnerAttainment: of(PlanWord.RunnerAttainment),
      runnerCost: of(PlanWord.RunnerCost),
      runnerUtilisation: of(PlanWord.RunnerUtilisation),
      shares: Array.from({ length: options }, (_, i) => this.#readShare(first + i * ShareWord.Words)),
    };
  }

  #readShare(at: number): PlacementShare {
    const of = (word: ShareWord) => this.#words[at + word] as number;
    return {
      share: of(ShareWord.Share),
      replicas: of(ShareWord.Replicas),
      maxBatch: of(ShareWord.MaxBatch),
      patience: of(ShareWord.Patience),
      target: of(ShareWord.Target),
      minScale: of(ShareWord.MinScale),
      maxScale: of(ShareWord.MaxScale),
      burstCapacity: of(ShareWord.BurstCapacity),
      windowSec: of(ShareWord.Window),
      concurrency: of(ShareWord.Concurrency),
      attainment: of(ShareWord.Attainment),
      cost: of(ShareWord.Cost),
      utilisation: of(ShareWord.Utilisation),
      capacity: of(ShareWord.Capacity),
      lowerSince: of(ShareWord.LowerSince),
      lowerNeeded: of(ShareWord.LowerNeeded),
      extra: of(ShareWord.Extra),
      changedAt: of(ShareWord.ChangedAt),
      holdMs: of(ShareWord.HoldMs),
      loweredAt: of(ShareWord.LoweredAt),
      best: of(ShareWord.Best),
    };
  }
}
