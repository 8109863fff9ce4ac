import { OptionWord, PlanWord, ProblemWord, ShareWord } from './codes';
import { clamp, get, put } from './memory';
import { mostReplicas, Planner, Size } from './problem';
import { costOf } from './budget';

/** The target in force stays while the new one differs by less than this share: each write wakes three controllers. */
const TARGET_HOLDS: f64 = 0.15;
/** Share of the best capacity that the target assumes at least: Knative knows no doubt, and would start a replica for each request that waits. */
const BELIEVED: f64 = 0.5;

/** What is known to wait may raise the target by this factor at most, so that the autoscaler follows where we are gone. */
const CROWDED_MOST: f64 = 8.0;

/**
 * What Knative's autoscaler is told about an option.
 *
 * Little's law: requests inside a replica = rate x time inside. Those that wait to be batched are inside too, as long as
 * the objective allows, so a replica at its capacity c may rightly hold c x SLO of them. Knative aims at target x
 * utilization; a target of c x SLO / utilization makes it start replicas only when there are more than that, which means
 * that the rate is above capacity, and never because waiting was intended.
 *
 * A queue that the planned replicas are there to work off raises the target, in steps of two: otherwise Knative's panic
 * starts a replica for every few that wait, several times what is planned, and keeps them for a minute.
 *
 * Burst capacity: companions queue and refuse by themselves, so the activator need not stand in the path while a replica
 * is ready (0). With a hard concurrency queue-proxy refuses beyond 11 times of it: then the activator holds what may
 * arrive during a cold start.
 */
export function tellKnative(planner: Planner, option: usize, share: usize, size: Size): void {
  const problem = planner.problem;
  const slo = get(problem, ProblemWord.SloMs);
  const parallel = get(option, OptionWord.Parallel);
  const concurrency = get(problem, ProblemWord.ContainerConcurrency);
  const cold = get(problem, ProblemWord.ColdMs);
  // Until something is learned: two batches for each one that runs, one inside and one that gathers.
  const inside = size.unlearned ? 2.0 * size.batch * parallel : (max(size.tight, BELIEVED * size.best) * slo) / 1000.0;
  const utilization = get(problem, ProblemWord.Utilization);
  let target = max(Math.floor(inside / utilization), 1);
  const crowded = size.unlearned ? 0 : get(option, OptionWord.Waiting) / (utilization * max(size.replicas, 1));
  for (let factor: f64 = 1; target < crowded && factor < CROWDED_MOST; factor *= 2.0) target *= 2.0;
  if (concurrency > 0) target = min(target, concurrency);
  const before = get(option, OptionWord.Target);
  if (before > 0 && Math.abs(target - before) <= TARGET_HOLDS * before) target = before;
  put(share, ShareWord.Target, target);
  put(share, ShareWord.MinScale, size.replicas);
  put(share, ShareWord.MaxScale, largestScale(planner, option, size));
  const burst = Math.ceil((size.rate * cold) / 1000.0);
  put(share, ShareWord.BurstCapacity, concurrency > 0 ? max(burst, 1) : 0);
  // A window shorter than a cold start judges replicas that are not there yet.
  const window = get(problem, ProblemWord.StableWindowMs);
  put(share, ShareWord.Window, cold > window ? clamp(Math.ceil((2.0 * cold) / 1000.0), 6, 3600) : NaN);
  const fits = 2.0 * size.batch * parallel;
  put(share, ShareWord.Concurrency, concurrency > 0 && concurrency < fits ? fits : NaN);
}

/** 0 for no bound: what the user allows, and what the rest of the budget pays for, divided among the options. */
function largestScale(planner: Planner, option: usize, size: Size): f64 {
  const problem = planner.problem;
  const budget = get(problem, ProblemWord.Budget);
  const price = get(option, OptionWord.Price);
  const bounded = get(problem, ProblemWord.MaxReplicas) > 0;
  let most = mostReplicas(planner);
  if (budget == budget && price > 0) {
    const left = max(budget - costOf(planner), 0);
    const sharing = get(problem, ProblemWord.Choose) == 1 ? 1 : planner.count;
    return max(min(most, size.replicas + Math.floor(left / (price * <f64>sharing) + 1e-9)), 1);
  }
  return bounded ? most : 0;
}
