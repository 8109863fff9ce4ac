import { OptionWord, ProblemWord } from './codes';
import { bestBatch, expectedMs } from './curve';
import { clamp, get, put } from './memory';
import { mostReplicas, optionAt, Planner, Size, sizeAt } from './problem';
import { capacityOf, spreadOf, weigh } from './queueing';
import { bestOf, growthLimit } from './growth';
import { isTraffic, known, replicasFor, running } from './replicas';
import { keepWarm } from './warm';

/** Share of the objective that is kept free for what the model's curve does not hold: proxies, network, a bad guess. */
const SPARE: f64 = 0.1;
/** Replicas go down only to what would do for this much more. */
const HYSTERESIS: f64 = 1.1;
/** Share of a model's throughput that is used where no rate keeps the promise. */
const THROUGHPUT_SHARE: f64 = 0.8;
/** The time of stabilisation grows up to this, and a lowering is judged after this many times of it. */
const HOLD_MS_MAX: f64 = 1800000.0;
const JUDGED: f64 = 10.0;
/** A missed promise is believed this long after the last change, and forgiven after `FORGIVE_MS`. */
const SETTLED_MS: f64 = 90000.0;
const FORGIVE_MS: f64 = 300000.0;
/** Attainment below the promise by less than this is chance. */
const CHANCE: f64 = 0.005;
/** A service that is used less than this does not miss its promise for want of replicas. */
const USED: f64 = 0.3;

/** How long fewer replicas must do before they are fewer. */
export function stabiliseMs(planner: Planner): f64 {
  return clamp(10.0 * get(planner.problem, ProblemWord.ColdMs), 30000.0, 300000.0);
}

/** Works out capacity and need of option `i` for `demand` items a second of the whole service. */
export function sizeOption(planner: Planner, i: i32, demand: f64): void {
  const problem = planner.problem;
  const option = optionAt(planner, i);
  const size = sizeAt(planner, i);
  memory.fill(changetype<usize>(size), 0, offsetof<Size>());
  const share = shareOf(planner, option);
  size.rate = demand * share;
  const largest = batchLimit(planner, option);
  size.batch = largest;
  if (get(option, OptionWord.Points) == 0) {
    size.unlearned = 1;
    // How many serve so much is not known: as many as there are. Nothing is served by none, whatever the model is.
    size.need = isTraffic(size.rate) ? known(get(option, OptionWord.Planned), running(option)) : 0;
    size.needTight = size.need;
    size.needDown = size.need;
  } else {
    measure(planner, option, size, largest);
    size.need = replicasFor(size.rate, size.comfortable);
    size.needTight = replicasFor(size.rate, size.tight);
    size.needDown = replicasFor(size.rate * HYSTERESIS, size.comfortable);
    correct(planner, option, size);
  }
  const least = get(problem, ProblemWord.MinReplicas);
  if (size.need == 0 && least == 0 && share > 0 && idleIsShort(planner)) {
    size.warm = 1;
    size.need = 1;
    size.needTight = 1;
    size.needDown = 1;
  }
  size.best = bestOf(option, size);
  size.limit = growthLimit(option, size);
  const settled = settle(planner, option, size);
  size.replicas = clamp(min(settled, size.limit), least, mostReplicas(planner));
}

function shareOf(planner: Planner, option: usize): f64 {
  return get(planner.problem, ProblemWord.Choose) == 1 ? 1.0 : get(option, OptionWord.Share);
}

/** Most items of a batch: as allowed, and as many as a hard concurrency lets in for each batch at once. */
function batchLimit(planner: Planner, option: usize): f64 {
  const allowed = get(planner.problem, ProblemWord.MaxBatch);
  const concurrency = get(planner.problem, ProblemWord.ContainerConcurrency);
  if (concurrency == 0) return allowed;
  return clamp(Math.floor(concurrency / get(option, OptionWord.Parallel)), 1, allowed);
}

function measure(planner: Planner, option: usize, size: Size, largest: f64): void {
  const slo = get(planner.problem, ProblemWord.SloMs);
  const quantile = get(planner.problem, ProblemWord.SloQuantile);
  const load = planner.load;
  load.option = option;
  load.parallel = get(option, OptionWord.Parallel);
  size.batch = bestBatch(option, slo, largest);
  if (size.batch > 0) {
    load.batch = size.batch;
    size.spread = spreadOf(option, size.batch, planner.z);
    load.spread = size.spread;
    load.within = slo;
    size.tight = capacityOf(load, quantile, Infinity) * 1000.0;
    load.within = slo * (1.0 - SPARE);
    size.comfortable = capacityOf(load, quantile, size.tight / 1000.0) * 1000.0;
    if (size.comfortable == 0) size.comfortable = size.tight;
  }
  if (size.tight > 0) return;
  size.unreachable = 1;
  size.batch = bestBatch(option, Infinity, largest);
  const throughput = (load.parallel * size.batch * 1000.0) / expectedMs(option, size.batch);
  size.tight = throughput * THROUGHPUT_SHARE;
  size.comfortable = size.tight;
}

/** What is measured corrects the estimate: replicas are added one by one while the promise is missed for no known reason. */
function correct(planner: Planner, option: usize, size: Size): void {
  const now = get(planner.problem, ProblemWord.Now);
  const attainment = get(option, OptionWord.Attainment);
  const quantile = get(planner.problem, ProblemWord.SloQuantile);
  const changed = get(option, OptionWord.ChangedAt);
  const settled = now - changed >= SETTLED_MS + get(planner.problem, ProblemWord.ColdMs);
  let extra = get(option, OptionWord.Extra);
  const ready = get(option, OptionWord.Ready);
  const used = ready > 0 ? size.rate / (ready * size.tight) : 0;
  if (attainment < quantile - CHANCE && settled && get(option, OptionWord.Pending) == 0 && used > USED) {
    const most = Math.ceil(size.need * 0.5) + 1.0;
    if (extra < most && ready >= size.need + extra && size.unreachable == 0) {
      extra += 1.0;
      size.raised = 1;
    }
  } else if (extra > 0 && attainment >= quantile && now - changed >= FORGIVE_MS) extra -= 1.0;
  if (size.need == 0) extra = 0;
  size.need += extra;
  size.needDown += extra;
  // The input's word is the output's too: the row of the answer copies it.
  put(option, OptionWord.Extra, extra);
}

function idleIsShort(planner: Planner): bool {
  const problem = planner.problem;
  // Knative keeps the last replica for a window without traffic and then for half a minute more.
  const wait = get(problem, ProblemWord.StableWindowMs) + 30000.0;
  const count = <i32>get(problem, ProblemWord.Minutes);
  return keepWarm(planner.minutes, count, wait, get(problem, ProblemWord.ColdMs));
}

/**
 * More at once; fewer only once fewer have done for the whole time of stabilisation, and then the most of that time.
 *
 * That time doubles whenever replicas that were given up are needed again soon, because each such turn costs a cold start
 * and the promise of those who come meanwhile; it is halved when giving them up turned out well for long.
 */
function settle(planner: Planner, option: usize, size: Size): f64 {
  const now = get(planner.problem, ProblemWord.Now);
  const before = known(get(option, OptionWord.Planned), running(option));
  // More than what runs can serve already, not only more than is comfortable: the last lowering is missed.
  const level = planner.forecast.count > 0 ? planner.forecast.level : get(planner.problem, ProblemWord.Rate);
  const missed = size.need > before && level * shareOf(planner, option) > before * size.tight;
  const hold = holdOf(planner, option, missed, now);
  // Going down with room to spare, so that the next breath of demand does not go up again; no further than is allowed.
  const lowest = max(max(size.needDown, size.need), get(planner.problem, ProblemWord.MinReplicas));
  const wanted = min(lowest, before);
  if (size.need >= before || wanted >= before) {
    forget(option);
    return max(size.need, wanted);
  }
  const since = known(get(option, OptionWord.LowerSince), now);
  const most = max(known(get(option, OptionWord.LowerNeeded), wanted), wanted);
  if (now - since >= hold) {
    forget(option);
    if (most < before) put(option, OptionWord.LoweredAt, now);
    return most;
  }
  remember(option, since, most);
  size.held = 1;
  return before;
}

/** How long fewer must do for this option; learns from whether the last replicas that went are missed. */
function holdOf(planner: Planner, option: usize, missed: bool, now: f64): f64 {
  const least = stabiliseMs(planner);
  let hold = max(known(get(option, OptionWord.HoldMs), least), least);
  const passed = now - get(option, OptionWord.LoweredAt);
  if (missed && passed < JUDGED * hold) {
    hold = min(2.0 * hold, HOLD_MS_MAX);
    // One lowering is regretted once, however many replicas come back one after the other.
    put(option, OptionWord.LoweredAt, NaN);
  } else if (passed >= JUDGED * hold && hold > least) {
    hold = max(0.5 * hold, least);
    put(option, OptionWord.LoweredAt, now);
  }
  put(option, OptionWord.HoldMs, hold);
  return hold;
}

function forget(option: usize): void {
  remember(option, NaN, NaN);
}

function remember(option: usize, since: f64, needed: f64): void {
  put(option, OptionWord.LowerSince, since);
  put(option, OptionWord.LowerNeeded, needed);
}

/** Share of the requests in time where `replicas` of option `i` take its forecast rate. */
export function attainmentOf(planner: Planner, i: i32, replicas: f64): f64 {
  const size = sizeAt(planner, i);
  if (!isTraffic(size.rate)) return 1;
  if (size.unlearned) return NaN;
  if (replicas <= 0) return 0;
  if (size.unreachable) return 0;
  const option = optionAt(planner, i);
  const load = planner.load;
  load.option = option;
  load.parallel = get(option, OptionWord.Parallel);
  load.batch = size.batch;
  load.spread = size.spread;
  load.within = get(planner.problem, ProblemWord.SloMs);
  const each = size.rate / replicas;
  weigh(load, each / 1000.0);
  // Beyond capacity the companions serve what can be in time and put off the rest, nearly up to the bound.
  const overloaded = each > size.tight ? (OVERLOAD_SHARE * size.tight) / each : 0;
  return max(load.inTime, overloaded);
}

const OVERLOAD_SHARE: f64 = 0.97;
