import { type CurvePoint, type PlacementOption, placementLimits } from '../kernels/placement.ts';
import type { RevisionMemory, ServicePlan } from './service-plan.ts';
import type { LatencyPoint, RevisionState, ServiceProblem } from './service-problem.ts';

/** The best capacity seen is believed half as much after this long: a model that stays slower is slower. */
const bestHalfLifeMs = 600_000;
/**
 * So soon where it is by a curve that was mostly assumed, which says little of what a model of an unknown kind does with larger
 * batches; over one more than the batches that were seen since: each of them says more than what was assumed.
 */
const guessHalfLifeMs = 10_000;
/** Batches after which a companion's curve is its model's. */
const trustedBatches = 20;
/** Without a price a replica costs its seconds. */
const replicaSecondsPerHour = 3600;

/** One revision in the kernel's numbers, with what the last plan said about it. */
export function placementOption(
  revision: RevisionState,
  share: number,
  previous: ServicePlan | undefined,
  now: number,
): PlacementOption {
  const before = previous?.revisions.find((each) => each.name === revision.name);
  return {
    curve: curveOf(revision.latencyMs),
    parallel: Math.min(Math.max(1, Math.round(revision.parallel)), placementLimits.parallel),
    price: Math.min(revision.price ?? replicaSecondsPerHour, placementLimits.price),
    accuracy: revision.accuracy ?? Number.NaN,
    share,
    attainment: revision.attainment,
    ready: Math.min(revision.readyReplicas, placementLimits.replicas),
    pending: Math.min(revision.pendingReplicas, placementLimits.replicas),
    planned: before?.replicas ?? Number.NaN,
    target: before?.knative.target ?? Number.NaN,
    lowerSince: before?.memory.lowerSince ?? Number.NaN,
    lowerNeeded: before?.memory.lowerNeeded ?? Number.NaN,
    extra: before?.memory.extra ?? 0,
    holdMs: before?.memory.holdMs ?? Number.NaN,
    loweredAt: before?.memory.loweredAt ?? Number.NaN,
    // What is seen for the first time has just changed: it gets its time to settle.
    changedAt: before?.memory.changedAt ?? Number.POSITIVE_INFINITY,
    waiting: Math.min(revision.waiting, placementLimits.waiting),
    best: bestBefore(revision, before?.memory, Math.max(0, now - (previous?.at ?? now))),
  };
}

/** Whether what is known of a revision's capacity is still mostly assumed. Once it was measured, fresh pods change nothing. */
export function isGuessed({ batchesSeen, latencyMs }: RevisionState, before: RevisionMemory | undefined): boolean {
  if (before?.guessed === false) return false;
  // Before there is a curve nothing has been measured, whoever is silent about it.
  return latencyMs.length === 0 || (batchesSeen !== undefined && batchesSeen < trustedBatches);
}

/** What is still believed of the best capacity. A guess is forgotten as soon as there is a measure. */
function bestBefore(revision: RevisionState, before: RevisionMemory | undefined, elapsedMs: number): number {
  if (before?.best === undefined) return Number.NaN;
  if (!before.guessed) return before.best * 0.5 ** (elapsedMs / bestHalfLifeMs);
  if (!isGuessed(revision, before)) return Number.NaN;
  return before.best * 0.5 ** ((elapsedMs / guessHalfLifeMs) * (1 + (revision.batchesSeen ?? 0)));
}

/**
 * Measured points in order, as the kernel wants them: a time that is shorter than that of a smaller batch is noise, and
 * so is a quantile below the mean. Points that are no numbers are left out, and beyond 32 the ones in between.
 */
export function curveOf(points: readonly LatencyPoint[]): CurvePoint[] {
  const sorted = points
    .filter(
      ({ items, expected, quantile }) =>
        items >= 1 && expected > 0 && quantile > 0 && items + expected + quantile < 1e8,
    )
    .toSorted((one, other) => one.items - other.items)
    .filter((point, i, all) => i === 0 || point.items > (all[i - 1] as LatencyPoint).items);
  const step = Math.max(1, (sorted.length - 1) / (placementLimits.points - 1));
  const count = Math.min(sorted.length, placementLimits.points);
  let expected = 1e-3;
  let quantile = 0;
  return Array.from({ length: count }, (_, i) => {
    const point = sorted[Math.round(i * step)] as LatencyPoint;
    expected = Math.max(expected, point.expected);
    quantile = Math.max(quantile, point.quantile, expected);
    return { items: point.items, expected, quantile };
  });
}

/** The share of each revision: as routed, else by what arrives, else even. Variants that are chosen among have none. */
export function sharesOf(problem: ServiceProblem): number[] {
  const { revisions } = problem;
  const normal = (values: readonly number[]) => {
    const sum = values.reduce((total, value) => total + value, 0);
    return sum > 0 ? values.map((value) => value / sum) : undefined;
  };
  const routed = revisions.every((revision) => revision.trafficShare !== undefined);
  return (
    (routed ? normal(revisions.map((revision) => revision.trafficShare as number)) : undefined) ??
    normal(revisions.map((revision) => revision.arrivalRate)) ??
    revisions.map(() => 1 / revisions.length)
  );
}
