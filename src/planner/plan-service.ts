import {
  PlacementKernel,
  type PlacementPlan,
  type PlacementProblem,
  type PlacementShare,
  placementLimits,
} from '../kernels/placement.ts';
import { isGuessed, placementOption, sharesOf } from './options.ts';
import type { Expectation, RevisionPlan, RunnerUp, ServicePlan } from './service-plan.ts';
import type { RevisionState, ServiceProblem } from './service-problem.ts';

/** Signals older than this, or than three plans, are too old to act on. */
const staleAfterMs = 30_000;
const planEveryMs = 10_000;
/** Believed until cold starts have been seen: what a small container takes on a node that has its image. */
const coldStartGuessMs = 10_000;

let shared: PlacementKernel | undefined;

/**
 * Plans one service: replicas, batch and Knative's settings of each revision, or which variant serves. Pure: the same
 * problem gives the same plan, on every build of the kernel. Takes about a tenth of a millisecond a revision.
 *
 * @throws {RangeError} if there is no revision, or more than 32.
 * @throws {Error} a trap of the kernel, if a number of the policy or the bounds is out of range.
 */
export function planService(problem: ServiceProblem, kernel?: PlacementKernel): ServicePlan {
  if (problem.revisions.length === 0) throw new RangeError('a service without revisions cannot be planned');
  if (!kernel) shared ??= new PlacementKernel();
  return planOf(problem, ((kernel ?? shared) as PlacementKernel).plan(placementProblem(problem)));
}

/** The problem in the kernel's numbers. */
export function placementProblem(problem: ServiceProblem): PlacementProblem {
  const { policy, bounds, demand, autoscaler, previous } = problem;
  const every = problem.planEveryMs ?? planEveryMs;
  const shares = sharesOf(problem);
  const name = (wanted: string | undefined) => problem.revisions.findIndex((revision) => revision.name === wanted);
  return {
    now: problem.now,
    sloMs: policy.sloMs,
    sloQuantile: policy.sloQuantile,
    patience: policy.patience === 'auto' ? -1 : policy.patience,
    maxBatch: Math.min(policy.maxBatchSize, placementLimits.batch),
    budget: budgetIgnored(problem) ? Number.NaN : (policy.budget?.perHour ?? Number.NaN),
    minAccuracy: policy.minAccuracy ?? Number.NaN,
    minReplicas: Math.min(bounds.minReplicas, placementLimits.replicas),
    maxReplicas: Math.min(bounds.maxReplicas, placementLimits.replicas),
    containerConcurrency: Math.min(bounds.containerConcurrency, placementLimits.concurrency),
    coldMs: problem.coldStart.count > 0 ? Math.min(problem.coldStart.p95Ms, placementLimits.coldMs) : coldStartGuessMs,
    planEveryMs: every,
    choose: problem.routing === 'choose',
    stale: (demand.ageMs ?? 0) > Math.max(staleAfterMs, 3 * every),
    utilization: autoscaler.targetUtilization,
    stableWindowMs: autoscaler.stableWindowMs,
    chosen: name(previous?.revision),
    betterSince: previous?.memory.betterSince ?? Number.NaN,
    better: name(previous?.memory.better),
    rate: Math.min(
      problem.revisions.reduce((sum, revision) => sum + revision.arrivalRate, 0),
      placementLimits.rate,
    ),
    seconds: demand.perSecond.map((items) => Math.min(items, placementLimits.rate)),
    minutes: demand.perMinute ?? [],
    options: problem.revisions.map((revision, i) =>
      placementOption(revision, shares[i] as number, previous, problem.now),
    ),
  };
}

/** Money is compared with prices in the same currency only, and with none where a price is missing. */
function budgetIgnored({ policy: { budget }, prices, revisions }: ServiceProblem): boolean {
  if (budget === undefined) return false;
  const foreign = budget.currency !== undefined && budget.currency !== prices.currency;
  return foreign || revisions.some(({ price }) => price === undefined);
}

function planOf(problem: ServiceProblem, plan: PlacementPlan): ServicePlan {
  const names = problem.revisions.map((revision) => revision.name);
  const revisions = plan.shares.map((share, i) =>
    revisionPlan(problem.revisions[i] as RevisionState, share, problem.previous),
  );
  const chosen = revisions[plan.chosen] as RevisionPlan;
  return {
    at: problem.now,
    reason: plan.reason,
    runnerUp: runnerUpOf(plan, names),
    expect: expectation(plan),
    revision: chosen.name,
    replicas: chosen.replicas,
    batch: chosen.batch,
    knative: chosen.knative,
    revisions,
    demand: plan.demand,
    currency: problem.prices.currency,
    savedPerHour: plan.saved,
    budgetIgnored: budgetIgnored(problem),
    memory: { betterSince: given(plan.betterSince), better: names[plan.better] },
  };
}

function revisionPlan(revision: RevisionState, share: PlacementShare, previous: ServicePlan | undefined): RevisionPlan {
  const { name } = revision;
  const before = previous?.revisions.find((each) => each.name === name);
  return {
    name,
    share: share.share,
    replicas: share.replicas,
    batch: { maxBatchSize: share.maxBatch, patience: share.patience < 0 ? 'auto' : share.patience },
    knative: {
      target: share.target,
      minScale: share.minScale,
      maxScale: share.maxScale,
      targetBurstCapacity: share.burstCapacity,
      windowSec: given(share.windowSec),
      containerConcurrencyAdvice: given(share.concurrency),
    },
    expect: expectation(share),
    capacityPerReplica: share.capacity,
    memory: {
      lowerSince: given(share.lowerSince),
      lowerNeeded: given(share.lowerNeeded),
      extra: share.extra,
      changedAt: share.changedAt,
      holdMs: given(share.holdMs),
      loweredAt: given(share.loweredAt),
      best: given(share.best),
      guessed: isGuessed(revision, before?.memory),
    },
  };
}

function runnerUpOf(plan: PlacementPlan, names: readonly string[]): RunnerUp | undefined {
  const revision = names[plan.runnerUp];
  if (revision === undefined) return undefined;
  return {
    revision,
    replicas: plan.runnerReplicas,
    reason: plan.runnerReason,
    expect: {
      attainment: plan.runnerAttainment,
      costPerHour: plan.runnerCost,
      replicas: plan.runnerReplicas,
      utilisation: plan.runnerUtilisation,
    },
  };
}

function expectation(of: { attainment: number; cost: number; replicas: number; utilisation: number }): Expectation {
  return { attainment: of.attainment, costPerHour: of.cost, replicas: of.replicas, utilisation: of.utilisation };
}

/** A kernel's NaN is nothing here. */
function given(value: number): number | undefined {
  return Number.isNaN(value) ? undefined : value;
}
