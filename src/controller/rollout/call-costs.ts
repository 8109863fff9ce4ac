import type { CallCosts } from '../../kernels/rollout-evidence.ts';
import type { RevisionView } from './view.ts';

/** A request may cost half as much again before that alone speaks against a candidate. */
export const costTolerance = 1.5;

type Curve = RevisionView['latencyMs'];

/** What the calls of both revisions cost since the last look, as the test compares them. */
export interface ComparedCosts {
  readonly candidate: CallCosts;
  readonly stable: CallCosts;
  /** The candidate's price as a multiple of the stable one's. */
  readonly prices: number;
}

/**
 * Puts the time that calls of the model took beside what the curves of both revisions say for calls of these sizes.
 * Undefined where there is nothing to compare: a companion that does not tell its calls, or no curve yet.
 */
export function comparedCosts(candidate: RevisionView, stable: RevisionView): ComparedCosts | undefined {
  const { latencyMs: own } = candidate;
  const { latencyMs: baseline } = stable;
  if (!candidate.calls || !stable.calls || own.length === 0 || baseline.length === 0) return undefined;
  const costs = ({ calls, items, tookMs }: NonNullable<RevisionView['calls']>): CallCosts => {
    // Times grow evenly with the size, so that those of different sizes add up to those of their mean.
    const mean = calls > 0 ? items / calls : 1;
    return { calls, tookMs, byBaselineMs: calls * timeAt(baseline, mean), byCandidateMs: calls * timeAt(own, mean) };
  };
  return { candidate: costs(candidate.calls), stable: costs(stable.calls), prices: priceRatio(candidate, stable) };
}

/** The candidate's price as a multiple of the stable one's; 1 where either is not known. */
export function priceRatio(candidate: RevisionView, stable: RevisionView): number {
  return candidate.price && stable.price ? candidate.price / stable.price : 1;
}

/** Ms of a call with so many items: straight between the points of a curve, and on in the same line beyond them. */
function timeAt(curve: Curve, items: number): number {
  const sorted = curve.toSorted((one, other) => one.items - other.items);
  const after = sorted.findIndex((point) => point.items >= items);
  const at = Math.max(1, after < 0 ? sorted.length - 1 : after);
  const [low, high] = [sorted[at - 1], sorted[at]];
  if (!low) return Number.NaN;
  if (!high || high.items === low.items) return low.expected;
  const slope = (high.expected - low.expected) / (high.items - low.items);
  return Math.max(low.expected + slope * (items - low.items), leastMs);
}

/** No call takes less: a line through noise may lead below nothing. */
const leastMs = 0.01;
