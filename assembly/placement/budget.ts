import { OptionWord, PlanReason, ProblemWord } from './codes';
import { get } from './memory';
import { leastOf, optionAt, Planner, sizeAt } from './problem';
import { attainmentOf } from './sizing';

/** What all replicas cost an hour. */
export function costOf(planner: Planner): f64 {
  let cost: f64 = 0;
  for (let i = 0; i < planner.count; i++) {
    cost += sizeAt(planner, i).replicas * get(optionAt(planner, i), OptionWord.Price);
  }
  return cost;
}

/**
 * Takes replicas away until the budget pays for the rest, never below the least of each option, and says what was given
 * up. Two options are split exactly, by trying every number of the first. Beyond that each time the replica goes whose
 * loss of requests in time is the smallest for its price: beyond capacity the share in time is proportional to the
 * replicas, so that this is the best that whole replicas allow but for the last ones.
 */
export function holdBudget(planner: Planner): PlanReason {
  const budget = get(planner.problem, ProblemWord.Budget);
  if (!(costOf(planner) > budget * (1.0 + 1e-9))) return PlanReason.None;
  const least = get(planner.problem, ProblemWord.MinReplicas);
  if (planner.count == 2 && get(planner.problem, ProblemWord.Choose) == 0) splitBetweenTwo(planner, budget, least);
  while (costOf(planner) > budget * (1.0 + 1e-9)) {
    const victim = cheapestLoss(planner);
    if (victim < 0) return PlanReason.BudgetBelowMinimum;
    const size = sizeAt(planner, victim);
    size.replicas -= 1.0;
    size.held = 0;
    size.patient = 1;
  }
  for (let i = 0; i < planner.count; i++) {
    const size = sizeAt(planner, i);
    if (size.patient && size.replicas < size.needTight) return PlanReason.BudgetReplicas;
  }
  for (let i = 0; i < planner.count; i++) {
    if (sizeAt(planner, i).replicas < sizeAt(planner, i).need) return PlanReason.BudgetPatience;
  }
  return PlanReason.None;
}

/** More than this many replicas of one option are not tried one by one. */
const TRIES_MAX: f64 = 512.0;

/** The pair within the budget with the most requests in time, the cheaper one of equals; nothing where not even the least fits. */
function splitBetweenTwo(planner: Planner, budget: f64, least: f64): void {
  const one = sizeAt(planner, 0);
  const other = sizeAt(planner, 1);
  const price = get(optionAt(planner, 0), OptionWord.Price);
  const otherPrice = get(optionAt(planner, 1), OptionWord.Price);
  if (one.unlearned || other.unlearned || price <= 0 || otherPrice <= 0 || one.replicas > TRIES_MAX) return;
  const from = max(one.replicas, least);
  const otherMost = max(other.replicas, least);
  let best: f64 = -1;
  let cheapest: f64 = 0;
  let mine: f64 = -1;
  let theirs: f64 = -1;
  for (let tried = least; tried <= from; tried += 1.0) {
    const pays = Math.floor((budget - tried * price) / otherPrice + 1e-9);
    if (pays < least) break;
    const rest = min(pays, otherMost);
    const good = one.rate * attainmentOf(planner, 0, tried) + other.rate * attainmentOf(planner, 1, rest);
    const cost = tried * price + rest * otherPrice;
    if (good < best - 1e-9 || (good <= best + 1e-9 && cost >= cheapest)) continue;
    best = good;
    cheapest = cost;
    mine = tried;
    theirs = rest;
  }
  if (mine < 0) return;
  one.patient = mine < one.replicas ? 1 : 0;
  other.patient = theirs < other.replicas ? 1 : 0;
  one.replicas = mine;
  other.replicas = theirs;
}

/** The option whose last replica is missed least for its price, or -1 if none may lose one. */
function cheapestLoss(planner: Planner): i32 {
  let victim = -1;
  let smallest: f64 = Infinity;
  for (let i = 0; i < planner.count; i++) {
    const size = sizeAt(planner, i);
    const price = get(optionAt(planner, i), OptionWord.Price);
    if (size.replicas <= leastOf(planner, i) || price <= 0) continue;
    // Where nothing is lost yet, replicas that are not needed go first, then those beyond the tight need.
    const idle = size.replicas > size.need ? -2.0 : size.replicas > size.needTight ? -1.0 : 0.0;
    const lost = size.unlearned ? size.rate : size.rate * (attainmentOf(planner, i, size.replicas) - attainmentOf(planner, i, size.replicas - 1.0));
    const loss = idle < 0 ? idle - price : lost / price;
    if (loss < smallest) {
      smallest = loss;
      victim = i;
    }
  }
  return victim;
}
