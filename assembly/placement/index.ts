// placement.wasm: how many replicas of what, with which batch, for how much. The boundary: a host writes one problem into
// rows of f64 words (codes.ts), calls `plan`, and reads the rows of the answer. Times are ms of the host's clock, rates
// items a second, prices per replica and hour. No call allocates but `configure`. An option is a revision or a variant;
// its row has a stage and a tier, both 0 today, so that a pipeline over tiers is more rows and not another boundary.
import { holdBudget } from './budget';
import { chooseOption, nameRunnerUp } from './choose';
import { Abi, OptionWord, PlanReason, PlanWord, ProblemWord, ShareWord } from './codes';
import { forecast } from './forecast';
import { tellKnative } from './knative';
import { checked, clamp, get, put } from './memory';
import { normalAbove } from './normal';
import { check, leastOf, makePlanner, mostReplicas, optionAt, Planner, shareAt, Size, sizeAt } from './problem';
import { capacityOf, spreadOf, weigh } from './queueing';
import { known, running } from './replicas';
import { attainmentOf, sizeOption } from './sizing';

export * from './evidence';
export * from './rollout-step';

export function abi_version(): u32 {
  return Abi.Version;
}

/** Makes the one planner of this instance; memory is sized here and never again. */
export function configure(): usize {
  return changetype<usize>(makePlanner());
}

export function problem_at(handle: usize): usize {
  return changetype<Planner>(handle).problem;
}

export function options_at(handle: usize): usize {
  return changetype<Planner>(handle).options;
}

export function seconds_at(handle: usize): usize {
  return changetype<Planner>(handle).seconds;
}

export function minutes_at(handle: usize): usize {
  return changetype<Planner>(handle).minutes;
}

export function plan_at(handle: usize): usize {
  return changetype<Planner>(handle).plan;
}

export function shares_at(handle: usize): usize {
  return changetype<Planner>(handle).shares;
}

/** Plans the problem that is written. */
export function plan(handle: usize): void {
  const planner = changetype<Planner>(handle);
  check(planner);
  begin(planner);
  const problem = planner.problem;
  const demand = forecastDemand(planner);
  put(planner.plan, PlanWord.Demand, demand);
  if (get(problem, ProblemWord.Stale) == 1) {
    keepAll(planner);
    return finish(planner, PlanReason.StaleSignals);
  }
  for (let i = 0; i < planner.count; i++) sizeOption(planner, i, demand);
  let reason = PlanReason.None;
  if (get(problem, ProblemWord.Choose) == 1) {
    reason = chooseOption(planner);
    nameRunnerUp(planner);
    const chosen = <i32>get(planner.plan, PlanWord.Chosen);
    for (let i = 0; i < planner.count; i++) if (i != chosen) idle(sizeAt(planner, i));
  } else put(planner.plan, PlanWord.Chosen, largestShare(planner));
  const given = holdBudget(planner);
  const chosen = <i32>get(planner.plan, PlanWord.Chosen);
  // A variant that was chosen for the budget's sake says so, also where even that one has to do with less.
  if (given == PlanReason.None || reason == PlanReason.BudgetVariant) {
    if (reason == PlanReason.None) reason = reasonOf(planner, chosen);
  } else reason = given;
  finish(planner, reason);
}

function begin(planner: Planner): void {
  const problem = planner.problem;
  memory.fill(planner.plan, 0, <usize>PlanWord.Words << 3);
  put(planner.plan, PlanWord.RunnerUp, -1);
  put(planner.plan, PlanWord.Better, -1);
  put(planner.plan, PlanWord.BetterSince, NaN);
  planner.z = normalAbove(1.0 - get(problem, ProblemWord.SloQuantile));
}

function forecastDemand(planner: Planner): f64 {
  const problem = planner.problem;
  const past = planner.forecast;
  past.count = <i32>get(problem, ProblemWord.Seconds);
  if (past.count == 0) return get(problem, ProblemWord.Rate);
  const horizon = (get(problem, ProblemWord.PlanEveryMs) + get(problem, ProblemWord.ColdMs)) / 1000.0 + 1.0;
  forecast(past, horizon, get(problem, ProblemWord.ColdMs) / 1000.0);
  return past.demand;
}

/** Nothing is known well enough: what was planned, or what runs, stays within its bounds. */
function keepAll(planner: Planner): void {
  const chosen = <i32>get(planner.problem, ProblemWord.Chosen);
  const chooses = get(planner.problem, ProblemWord.Choose) == 1 && chosen >= 0;
  put(planner.plan, PlanWord.Chosen, chooses ? chosen : largestShare(planner));
  for (let i = 0; i < planner.count; i++) {
    const option = optionAt(planner, i);
    // What is remembered of better signals stays as it is.
    const extra = get(option, OptionWord.Extra);
    const since = get(option, OptionWord.LowerSince);
    const needed = get(option, OptionWord.LowerNeeded);
    const hold = get(option, OptionWord.HoldMs);
    const lowered = get(option, OptionWord.LoweredAt);
    sizeOption(planner, i, 0);
    put(option, OptionWord.Extra, extra);
    put(option, OptionWord.LowerSince, since);
    put(option, OptionWord.LowerNeeded, needed);
    put(option, OptionWord.HoldMs, hold);
    put(option, OptionWord.LoweredAt, lowered);
    const size = sizeAt(planner, i);
    const kept = known(get(option, OptionWord.Planned), running(option));
    size.replicas = clamp(kept, leastOf(planner, i), mostReplicas(planner));
    size.rate = 0;
    size.warm = 0;
  }
  holdBudget(planner);
}

/** Gets no traffic. */
function idle(size: Size): void {
  size.rate = 0;
  size.replicas = 0;
  size.need = 0;
  size.needTight = 0;
  size.warm = 0;
  size.held = 0;
}

function largestShare(planner: Planner): i32 {
  let largest = 0;
  for (let i = 1; i < planner.count; i++) {
    if (get(optionAt(planner, i), OptionWord.Share) > get(optionAt(planner, largest), OptionWord.Share)) largest = i;
  }
  return largest;
}

/** Why option `i` gets the replicas that it gets, where neither the budget nor another variant decided. */
function reasonOf(planner: Planner, i: i32): PlanReason {
  const problem = planner.problem;
  const option = optionAt(planner, i);
  const size = sizeAt(planner, i);
  const before = known(get(option, OptionWord.Planned), running(option));
  if (size.unlearned && size.replicas > 0 && !size.warm && !size.held) return PlanReason.Learning;
  if (size.unreachable) return PlanReason.Unreachable;
  if (size.replicas < size.need) return size.replicas >= size.limit ? PlanReason.Growth : PlanReason.Maximum;
  if (size.raised) return PlanReason.Attainment;
  if (size.warm) return PlanReason.KeepWarm;
  if (size.held && size.replicas == before) return PlanReason.Stabilising;
  if (size.need < size.replicas && size.replicas == get(problem, ProblemWord.MinReplicas)) return PlanReason.Minimum;
  if (size.replicas > before) return PlanReason.Demand;
  if (size.replicas == 0) return PlanReason.ScaleToZero;
  return size.replicas < before ? PlanReason.LowerDemand : PlanReason.Steady;
}

function finish(planner: Planner, reason: PlanReason): void {
  const plan = planner.plan;
  let cost: f64 = 0;
  let runs: f64 = 0;
  let replicas: f64 = 0;
  let inTime: f64 = 0;
  let rate: f64 = 0;
  let capacity: f64 = 0;
  for (let i = 0; i < planner.count; i++) {
    writeShare(planner, i);
    const share = shareAt(planner, i);
    const size = sizeAt(planner, i);
    cost += get(share, ShareWord.Cost);
    replicas += size.replicas;
    runs += running(optionAt(planner, i)) * get(optionAt(planner, i), OptionWord.Price);
    rate += size.rate;
    if (size.rate > 0) inTime += size.rate * get(share, ShareWord.Attainment);
    capacity += size.replicas * (size.unlearned ? NaN : size.tight);
  }
  put(plan, PlanWord.Reason, reason);
  put(plan, PlanWord.Cost, cost);
  put(plan, PlanWord.Replicas, replicas);
  put(plan, PlanWord.Attainment, rate > 0 ? inTime / rate : 1);
  put(plan, PlanWord.Utilisation, capacity > 0 ? rate / capacity : 0);
  put(plan, PlanWord.Saved, runs - cost);
  if (get(plan, PlanWord.RunnerUp) < 0) nextReplica(planner);
}

function writeShare(planner: Planner, i: i32): void {
  const problem = planner.problem;
  const option = optionAt(planner, i);
  const share = shareAt(planner, i);
  const size = sizeAt(planner, i);
  const choose = get(problem, ProblemWord.Choose) == 1;
  const chosen = <i32>get(planner.plan, PlanWord.Chosen);
  put(share, ShareWord.Share, choose ? (i == chosen ? 1.0 : 0.0) : get(option, OptionWord.Share));
  put(share, ShareWord.Replicas, size.replicas);
  put(share, ShareWord.MaxBatch, max(size.batch, 1));
  put(share, ShareWord.Patience, size.patient ? 1.0 : get(problem, ProblemWord.Patience));
  tellKnative(planner, option, share, size);
  put(share, ShareWord.Attainment, attainmentOf(planner, i, size.replicas));
  put(share, ShareWord.Cost, size.replicas * get(option, OptionWord.Price));
  const capacity = size.replicas * size.tight;
  put(share, ShareWord.Utilisation, capacity > 0 ? size.rate / capacity : 0);
  put(share, ShareWord.Capacity, size.unlearned || size.unreachable ? 0 : size.tight);
  put(share, ShareWord.LowerSince, get(option, OptionWord.LowerSince));
  put(share, ShareWord.LowerNeeded, get(option, OptionWord.LowerNeeded));
  put(share, ShareWord.Extra, get(option, OptionWord.Extra));
  put(share, ShareWord.HoldMs, get(option, OptionWord.HoldMs));
  put(share, ShareWord.LoweredAt, get(option, OptionWord.LoweredAt));
  put(share, ShareWord.Best, size.best > 0 ? size.best : NaN);
  const changed = size.raised || size.replicas != get(option, OptionWord.Planned);
  put(share, ShareWord.ChangedAt, changed ? get(problem, ProblemWord.Now) : known(get(option, OptionWord.ChangedAt), 0));
}

/** With one way only to serve, the plan that came second is one replica less if that would miss, or one more. */
function nextReplica(planner: Planner): void {
  const plan = planner.plan;
  const chosen = <i32>get(plan, PlanWord.Chosen);
  const size = sizeAt(planner, chosen);
  if (size.unlearned) return;
  const price = get(optionAt(planner, chosen), OptionWord.Price);
  const least = get(planner.problem, ProblemWord.MinReplicas);
  const fewer = size.replicas > max(least, 1) && size.replicas - 1 < size.need;
  const replicas = fewer ? size.replicas - 1 : size.replicas + 1;
  put(plan, PlanWord.RunnerUp, chosen);
  put(plan, PlanWord.RunnerReplicas, replicas);
  const over = get(plan, PlanWord.Cost) + price > get(planner.problem, ProblemWord.Budget);
  put(plan, PlanWord.RunnerReason, fewer ? PlanReason.MissesPromise : over ? PlanReason.OverBudget : PlanReason.CostsMore);
  put(plan, PlanWord.RunnerAttainment, attainmentOf(planner, chosen, replicas));
  put(plan, PlanWord.RunnerCost, get(plan, PlanWord.Cost) + (replicas - size.replicas) * price);
  put(plan, PlanWord.RunnerUtilisation, size.rate / (replicas * size.tight));
}

/** Readies the estimate of one replica of the first option that is written. */
function estimate(planner: Planner, batch: f64, within: f64): void {
  check(planner);
  begin(planner);
  const option = optionAt(planner, 0);
  const load = planner.load;
  load.option = option;
  load.parallel = get(option, OptionWord.Parallel);
  load.batch = checked(batch, 1, 1024);
  load.within = within;
  load.spread = spreadOf(option, batch, planner.z);
}

/** Share of the requests in time at `rate` items a second in one replica of the first option, at most `batch` at once. */
export function attainment(handle: usize, rate: f64, batch: f64): f64 {
  const planner = changetype<Planner>(handle);
  estimate(planner, batch, get(planner.problem, ProblemWord.SloMs));
  weigh(planner.load, checked(rate, 0, 1e9) / 1000.0);
  return planner.load.inTime;
}

/** Mean ms of a request there, and mean items of a batch. */
export function mean_ms(handle: usize, rate: f64, batch: f64): f64 {
  attainment(handle, rate, batch);
  return changetype<Planner>(handle).load.meanMs;
}

/** Largest items a second of one replica of the first option at which the SLO's share is in time. */
export function capacity(handle: usize, batch: f64): f64 {
  const planner = changetype<Planner>(handle);
  estimate(planner, batch, get(planner.problem, ProblemWord.SloMs));
  return capacityOf(planner.load, get(planner.problem, ProblemWord.SloQuantile), Infinity) * 1000.0;
}

/** Items a second that are forecast for `horizon` seconds from now, from the history that is written. */
export function demand(handle: usize, horizon: f64): f64 {
  const planner = changetype<Planner>(handle);
  check(planner);
  planner.forecast.count = <i32>get(planner.problem, ProblemWord.Seconds);
  forecast(planner.forecast, checked(horizon, 0, 3600), get(planner.problem, ProblemWord.ColdMs) / 1000.0);
  return planner.forecast.demand;
}
