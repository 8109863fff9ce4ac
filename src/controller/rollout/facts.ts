import type { StepFacts } from '../../kernels/rollout-evidence.ts';
import { priceRatio } from './call-costs.ts';
import type { RolloutState } from './state.ts';
import type { RevisionView, RolloutView } from './view.ts';

/** Percentages of a walk. */
export const rolloutSteps: readonly number[] = [5, 10, 25, 50, 100];

/** A share counts from this long after it is in the traffic: requests that began before it are still ending. */
export const settleMs = 3_000;
const leastMs = 15_000;
const leastRequests = 20;
const silentMsMax = 60_000;

/** The percentage after this one. */
export function nextPercent(percent: number): number {
  return rolloutSteps.find((step) => step > percent) ?? 100;
}

const nothingKnown: RevisionView = { readyReplicas: 0, latencyMs: [] };

/**
 * What the way back needs: what the stable revision has, where that is not more than is planned for everything. A plan
 * that asks for more than runs is for the steering of that revision, not for the other one.
 */
export function replicasToKeep(view: RolloutView, revision: string): number {
  const running = view.revisions.get(revision)?.readyReplicas ?? 0;
  return running > 0 ? Math.min(view.plannedReplicas, running) : view.plannedReplicas;
}

/** The facts of the step that a walk is at, for the kernel. */
export function factsOf(state: RolloutState, view: RolloutView): StepFacts {
  const candidate = view.revisions.get(state.candidate) ?? nothingKnown;
  const stable = view.revisions.get(state.stable) ?? nothingKnown;
  const percent = state.percent ?? 0;
  // A clock that went back counts as no time.
  const onStepMs = state.settledMs === null ? undefined : view.nowMs - state.settledMs - settleMs;
  const heardMs = Math.min(state.candidateMs, state.stableMs);
  return {
    share: percent / 100,
    nextShare: nextPercent(percent) / 100,
    onStepMs,
    leastMs,
    leastRequests,
    silentMs: Math.max(view.nowMs - heardMs, 0),
    silentMsMax,
    ready: candidate.readyReplicas,
    load: view.load,
    // Before it has served anything its own capacity is a guess; the stable one's is the better one.
    capacity: percent > 0 && candidate.capacity ? candidate.capacity : stable.capacity || undefined,
    baselineReady: stable.readyReplicas > 0 ? stable.readyReplicas : view.plannedReplicas,
    costRatio: percent > 0 ? costRatio(candidate, stable) : undefined,
    cost: costOfAll(candidate, view),
    budget: view.budget,
    accuracy: candidate.accuracy,
    baselineAccuracy: stable.accuracy,
    accuracyFloor: view.accuracyFloor,
    quantile: view.quantile,
    maxReplicas: view.maxReplicas > 0 ? view.maxReplicas : undefined,
  };
}

/**
 * Cost of a request at the candidate, as a multiple of the stable one's: the ratio of the times of batches of equal
 * size, times the ratio of the prices. What either runs at present would not compare, because a small share makes small
 * batches, which are dear. The least ratio over the sizes counts: one that is dearer is so at all of them.
 */
export function costRatio(candidate: RevisionView, stable: RevisionView): number | undefined {
  const times = new Map(stable.latencyMs.map(({ items, expected }) => [items, expected]));
  let least: number | undefined;
  for (const { items, expected } of candidate.latencyMs) {
    const other = times.get(items);
    if (!other || !(expected > 0)) continue;
    least = Math.min(least ?? Number.POSITIVE_INFINITY, expected / other);
  }
  if (least === undefined) return undefined;
  return least * priceRatio(candidate, stable);
}

function costOfAll(candidate: RevisionView, view: RolloutView): number | undefined {
  if (!candidate.capacity || view.load === undefined || candidate.price === undefined) return undefined;
  return Math.max(Math.ceil(view.load / candidate.capacity), 1) * candidate.price;
}
