import { OptionWord, PlanReason, PlanWord, ProblemWord } from './codes';
import { expectedMs } from './curve';
import { clamp, get, put } from './memory';
import { mostReplicas, Offer, optionAt, Planner, sizeAt } from './problem';
import { known } from './replicas';
import { attainmentOf, stabiliseMs } from './sizing';

/** A change pays back within this long, or it is not made. */
const PAYBACK_MS: f64 = 600000.0;
/** And saves at least this share. */
const WORTHWHILE: f64 = 0.05;
/** Differences below this share are none. */
const EQUAL: f64 = 1e-6;

/** Offer of option `i`, whose needs are worked out. */
export function offerOf(planner: Planner, i: i32, offer: Offer): void {
  const problem = planner.problem;
  const option = optionAt(planner, i);
  const size = sizeAt(planner, i);
  const price = get(option, OptionWord.Price);
  const least = get(problem, ProblemWord.MinReplicas);
  const budget = get(problem, ProblemWord.Budget);
  const pays = price > 0 && budget == budget ? Math.floor(budget / price + 1e-9) : Infinity;
  const most = max(min(mostReplicas(planner), pays), least);
  offer.replicas = clamp(size.need, least, most);
  offer.cost = offer.replicas * price;
  offer.attainment = attainmentOf(planner, i, offer.replicas);
  if (belowFloor(planner, i)) offer.rank = 3;
  else if (size.unlearned) offer.rank = 2;
  else offer.rank = size.unreachable || offer.replicas < size.needTight || least > pays ? 1 : 0;
}

export function belowFloor(planner: Planner, i: i32): bool {
  const floor = get(planner.problem, ProblemWord.MinAccuracy);
  if (!(floor == floor)) return false;
  // Without a declared accuracy there is nothing that says it is enough.
  return !(get(optionAt(planner, i), OptionWord.Accuracy) >= floor - 1e-12);
}

/** What a change to option `i` costs an hour, spread over the time in which it has to pay back. */
function surcharge(planner: Planner, cost: f64): f64 {
  return cost * (WORTHWHILE + get(planner.problem, ProblemWord.ColdMs) / PAYBACK_MS);
}

/**
 * Why option `b` with its offer loses against `a`, or None if it does not: the promise first, then cost, then accuracy,
 * then speed, then order. `current` is cheaper by what a change would cost.
 */
export function whyLoses(planner: Planner, a: i32, one: Offer, b: i32, other: Offer, current: i32): PlanReason {
  if (one.rank != other.rank) {
    if (one.rank > other.rank) return PlanReason.None;
    return other.rank == 3 ? PlanReason.BelowFloor : other.rank == 2 ? PlanReason.MissesPromise : missReason(planner, b, other);
  }
  if (one.rank == 3) {
    const ours = known(get(optionAt(planner, a), OptionWord.Accuracy), -Infinity);
    const theirs = known(get(optionAt(planner, b), OptionWord.Accuracy), -Infinity);
    if (ours != theirs) return ours > theirs ? PlanReason.BelowFloor : PlanReason.None;
  }
  if (one.rank == 2) return a == current || (b != current && a < b) ? PlanReason.MissesPromise : PlanReason.None;
  if (one.rank == 1 && Math.abs(one.attainment - other.attainment) > EQUAL) {
    return one.attainment > other.attainment ? missReason(planner, b, other) : PlanReason.None;
  }
  const ours = a == current || current < 0 ? one.cost : one.cost + surcharge(planner, one.cost);
  const theirs = b == current || current < 0 ? other.cost : other.cost + surcharge(planner, other.cost);
  if (Math.abs(ours - theirs) > EQUAL * max(ours, theirs)) {
    if (ours > theirs) return PlanReason.None;
    return other.cost < one.cost * (1.0 - EQUAL) ? PlanReason.ChangeCosts : PlanReason.CostsMore;
  }
  const accuracy = known(get(optionAt(planner, a), OptionWord.Accuracy), 0) - known(get(optionAt(planner, b), OptionWord.Accuracy), 0);
  if (accuracy != 0) return accuracy > 0 ? PlanReason.LessAccurate : PlanReason.None;
  const slower = speed(planner, b) - speed(planner, a);
  if (slower != 0) return slower > 0 ? PlanReason.Slower : PlanReason.None;
  return a < b ? PlanReason.Slower : PlanReason.None;
}

function speed(planner: Planner, i: i32): f64 {
  return get(optionAt(planner, i), OptionWord.Points) > 0 ? expectedMs(optionAt(planner, i), 1) : Infinity;
}

function missReason(planner: Planner, i: i32, offer: Offer): PlanReason {
  const size = sizeAt(planner, i);
  const budget = get(planner.problem, ProblemWord.Budget);
  const needs = size.needTight * get(optionAt(planner, i), OptionWord.Price);
  return needs > budget ? PlanReason.OverBudget : PlanReason.MissesPromise;
}

/**
 * Gives all traffic to one option. A change of an option that still does its work waits for the time of stabilisation,
 * so that one odd minute changes no model. Returns why it is this one, None if it is the one that was chosen before.
 */
export function chooseOption(planner: Planner): PlanReason {
  const problem = planner.problem;
  const plan = planner.plan;
  const now = get(problem, ProblemWord.Now);
  const current = <i32>get(problem, ProblemWord.Chosen);
  let best = 0;
  for (let i = 0; i < planner.count; i++) {
    offerOf(planner, i, offerAt(planner, i));
    if (i > 0 && whyLoses(planner, i, offerAt(planner, i), best, offerAt(planner, best), current) != PlanReason.None) best = i;
  }
  put(plan, PlanWord.BetterSince, NaN);
  put(plan, PlanWord.Better, -1);
  let reason = PlanReason.None;
  if (current >= 0 && current < planner.count && best != current) {
    const was = offerAt(planner, current);
    const better = offerAt(planner, best);
    reason = reasonToChange(planner, current, was, best, better);
    const same = <i32>get(problem, ProblemWord.Better) == best;
    const since = same ? known(get(problem, ProblemWord.BetterSince), now) : now;
    if (was.rank == 0 && now - since < stabiliseMs(planner)) {
      put(plan, PlanWord.BetterSince, since);
      put(plan, PlanWord.Better, best);
      best = current;
      reason = PlanReason.SwitchingCost;
    }
  }
  put(plan, PlanWord.Chosen, best);
  return reason;
}

function reasonToChange(planner: Planner, from: i32, was: Offer, to: i32, better: Offer): PlanReason {
  if (better.rank == 3) return PlanReason.AccuracyFloor;
  if (was.rank != 0) {
    const budget = get(planner.problem, ProblemWord.Budget);
    const needed = sizeAt(planner, from).needTight * get(optionAt(planner, from), OptionWord.Price);
    return was.rank == 1 && needed > budget ? PlanReason.BudgetVariant : PlanReason.VariantReplaced;
  }
  return better.cost < was.cost * (1.0 - EQUAL) ? PlanReason.CheaperVariant : PlanReason.MoreAccurateVariant;
}

/** The best of the others, and why it lost against the chosen one. */
export function nameRunnerUp(planner: Planner): void {
  const plan = planner.plan;
  const chosen = <i32>get(plan, PlanWord.Chosen);
  const current = <i32>get(planner.problem, ProblemWord.Chosen);
  let second = -1;
  for (let i = 0; i < planner.count; i++) {
    if (i == chosen) continue;
    if (second < 0 || whyLoses(planner, i, offerAt(planner, i), second, offerAt(planner, second), current) != PlanReason.None) second = i;
  }
  if (second < 0) return;
  const offer = offerAt(planner, second);
  const why = whyLoses(planner, chosen, offerAt(planner, chosen), second, offer, current);
  put(plan, PlanWord.RunnerUp, second);
  put(plan, PlanWord.RunnerReplicas, offer.replicas);
  // The chosen one wins by order only where the change has to wait.
  put(plan, PlanWord.RunnerReason, why == PlanReason.None ? PlanReason.ChangeCosts : why);
  put(plan, PlanWord.RunnerAttainment, offer.attainment);
  put(plan, PlanWord.RunnerCost, offer.cost);
  const size = sizeAt(planner, second);
  put(plan, PlanWord.RunnerUtilisation, offer.replicas > 0 ? size.rate / (offer.replicas * size.tight) : 0);
}

// @ts-ignore: decorator
@inline
function offerAt(planner: Planner, i: i32): Offer {
  return changetype<Offer>(planner.offers + <usize>i * offsetof<Offer>());
}
