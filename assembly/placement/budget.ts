import { OptionWord, PlanReason, ProblemWord } from './codes';
import { get } from './memory';
import { optionAt, Planner, sizeAt } from './problem';
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
 * up. Each time the replica goes whose loss of requests in time is the smallest for its price: beyond capacity the share
 * in time is proportional to the replicas, so that this is the best that whole replicas allow but for the last one.
 */
export function holdBudget(planner: Planner): PlanReason {
  const budget = get(planner.problem, ProblemWord.Budget);
  if (!(costOf(planner) > budget * (1.0 + 1e-9))) return PlanReason.None;
  const least = get(planner.problem, ProblemWord.MinReplicas);
  while (costOf(planner) > budget * (1.0 + 1e-9)) {
    const victim = cheapestLoss(planner, least);
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

/** The option whose last replica is missed least for its price, or -1 if none may lose one. */
function cheapestLoss(planner: Planner, least: f64): i32 {
  let victim = -1;
  let smallest: f64 = Infinity;
  for (let i = 0; i < planner.count; i++) {
    const size = sizeAt(planner, i);
    const price = get(optionAt(planner, i), OptionWord.Price);
    if (size.replicas <= least || price <= 0) continue;
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
