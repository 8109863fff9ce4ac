import { OptionWord, PlanWord, ProblemWord, ShareWord } from './codes';
import { Forecast, SCRATCH_WORDS } from './forecast';
import { allocate, BATCH_MAX, checked, get, MINUTES_MAX, OPTIONS_MAX, POINTS_MAX, REPLICAS_MAX, SECONDS_MAX } from './memory';
import { pointItems } from './curve';
import { Load } from './queueing';

/**
 * All that one problem needs, made once and used for every problem.
 *
 * ```
 *  problem | options (row each) | seconds | minutes     in:  f64 words, see codes.ts
 *  plan    | shares (row each)                          out
 *  sizes   (row each) | offers (row each)               what the kernel works out about an option
 * ```
 */
@unmanaged
export class Planner {
  problem: usize;
  options: usize;
  seconds: usize;
  minutes: usize;
  plan: usize;
  shares: usize;
  sizes: usize;
  offers: usize;
  /** Options in use. */
  count: i32;
  /** Standard deviations that the SLO's quantile is above the mean. */
  z: f64;
  forecast: Forecast;
  load: Load;
}

/** What is worked out about an option. */
@unmanaged
export class Size {
  /** Largest batch that is sent. */
  batch: f64;
  spread: f64;
  /** Items a second of one replica: with spare capacity, and with all slack used. */
  comfortable: f64;
  tight: f64;
  /** Items a second that are forecast. */
  rate: f64;
  /** Replicas for `rate`, with spare capacity and without; and with the hysteresis on the way down. */
  need: f64;
  needTight: f64;
  needDown: f64;
  /** Replicas planned, and the most that they may grow to in this plan. */
  replicas: f64;
  limit: f64;
  /** The best capacity that is believed, items a second of one replica. */
  best: f64;
  /** Each is 1 or 0: nothing was learned; the model alone is too slow. */
  unlearned: u32;
  unreachable: u32;
  /** `extra` grew in this plan; fewer would do, but not for long enough; one is kept warm; the budget took some away. */
  raised: u32;
  held: u32;
  warm: u32;
  patient: u32;
}

/** What an option could do within the limits. */
@unmanaged
export class Offer {
  replicas: f64;
  cost: f64;
  attainment: f64;
  /** 0: keeps the promise. 1: misses it. 2: nothing is known about it. 3: below the floor. */
  rank: i32;
}

export function makePlanner(): Planner {
  const planner = changetype<Planner>(heap.alloc(offsetof<Planner>()));
  planner.problem = allocate(ProblemWord.Words);
  planner.options = allocate(OptionWord.Words * OPTIONS_MAX);
  planner.seconds = allocate(SECONDS_MAX);
  planner.minutes = allocate(MINUTES_MAX);
  planner.plan = allocate(PlanWord.Words);
  planner.shares = allocate(ShareWord.Words * OPTIONS_MAX);
  planner.sizes = heap.alloc(offsetof<Size>() * OPTIONS_MAX);
  planner.offers = heap.alloc(offsetof<Offer>() * OPTIONS_MAX);
  planner.forecast = changetype<Forecast>(heap.alloc(offsetof<Forecast>()));
  planner.forecast.seconds = planner.seconds;
  planner.forecast.sorted = allocate(SCRATCH_WORDS);
  planner.load = changetype<Load>(heap.alloc(offsetof<Load>()));
  return planner;
}

// @ts-ignore: decorator
@inline
export function optionAt(planner: Planner, i: i32): usize {
  return planner.options + <usize>(i * OptionWord.Words * 8);
}

// @ts-ignore: decorator
@inline
export function shareAt(planner: Planner, i: i32): usize {
  return planner.shares + <usize>(i * ShareWord.Words * 8);
}

// @ts-ignore: decorator
@inline
export function sizeAt(planner: Planner, i: i32): Size {
  return changetype<Size>(planner.sizes + <usize>i * offsetof<Size>());
}

/** Traps on a problem that is not one. */
export function check(planner: Planner): void {
  const problem = planner.problem;
  checked(get(problem, ProblemWord.Now), 0, 1e15);
  checked(get(problem, ProblemWord.SloMs), 1, 3.6e6);
  checked(get(problem, ProblemWord.SloQuantile), 0.5, 0.9999);
  checked(get(problem, ProblemWord.Patience), -1, 1);
  checked(get(problem, ProblemWord.MaxBatch), 1, <f64>BATCH_MAX);
  checked(get(problem, ProblemWord.MinReplicas), 0, REPLICAS_MAX);
  checked(get(problem, ProblemWord.MaxReplicas), 0, REPLICAS_MAX);
  checked(get(problem, ProblemWord.ContainerConcurrency), 0, 1e6);
  checked(get(problem, ProblemWord.ColdMs), 0, 3.6e6);
  checked(get(problem, ProblemWord.PlanEveryMs), 1, 3.6e6);
  checked(get(problem, ProblemWord.Options), 1, <f64>OPTIONS_MAX);
  checked(get(problem, ProblemWord.Seconds), 0, <f64>SECONDS_MAX);
  checked(get(problem, ProblemWord.Minutes), 0, <f64>MINUTES_MAX);
  checked(get(problem, ProblemWord.Rate), 0, 1e9);
  checked(get(problem, ProblemWord.Utilization), 0.01, 1);
  planner.count = <i32>get(problem, ProblemWord.Options);
  for (let i = 0; i < planner.count; i++) checkOption(optionAt(planner, i));
  for (let i = 0; i < <i32>get(problem, ProblemWord.Seconds); i++) checked(get(planner.seconds, i), 0, 1e9);
}

function checkOption(option: usize): void {
  const points = <i32>checked(get(option, OptionWord.Points), 0, <f64>POINTS_MAX);
  checked(get(option, OptionWord.Parallel), 1, 1024);
  checked(get(option, OptionWord.Price), 0, 1e12);
  checked(get(option, OptionWord.Share), 0, 1);
  checked(get(option, OptionWord.Ready), 0, REPLICAS_MAX);
  checked(get(option, OptionWord.Pending), 0, REPLICAS_MAX);
  checked(get(option, OptionWord.Extra), 0, REPLICAS_MAX);
  checked(get(option, OptionWord.Waiting), 0, 1e9);
  const best = get(option, OptionWord.Best);
  if (best == best) checked(best, 0, 1e12);
  assert(get(option, OptionWord.Stage) == 0 && get(option, OptionWord.Tier) == 0);
  for (let i = 0; i < points; i++) {
    const expected = checked(get(option, OptionWord.Curve + 3 * i + 1), 1e-3, 1e8);
    checked(get(option, OptionWord.Curve + 3 * i + 2), expected, 1e9);
    checked(pointItems(option, i), i > 0 ? pointItems(option, i - 1) + 1e-9 : 1, 1e6);
    if (i > 0) assert(expected >= get(option, OptionWord.Curve + 3 * i - 2));
    if (i > 0) assert(get(option, OptionWord.Curve + 3 * i + 2) >= get(option, OptionWord.Curve + 3 * i - 1));
  }
}

/** Fewest replicas of option `i` once it is known which one serves: a variant that was not chosen needs none. */
export function leastOf(planner: Planner, i: i32): f64 {
  const problem = planner.problem;
  const serves = get(problem, ProblemWord.Choose) != 1 || i == <i32>get(planner.plan, PlanWord.Chosen);
  return serves ? get(problem, ProblemWord.MinReplicas) : 0;
}

/** Most replicas that the service allows. */
export function mostReplicas(planner: Planner): f64 {
  const most = get(planner.problem, ProblemWord.MaxReplicas);
  const least = get(planner.problem, ProblemWord.MinReplicas);
  return most > 0 ? max(most, least) : REPLICAS_MAX;
}
