import type { CompanionSignals } from './parse-signals.ts';

/** A companion that runs later than this share of the objective measures its node and not its model. */
const lagShare = 0.1;
/** Half a cgroup's scheduling period: below that lag is a sweep of the heap. */
const lagLeastMs = 50;

/** Whether a companion was so late itself of late that the times it measured are not its model's. */
export function isStarved({ eventLoopLagMs }: CompanionSignals, sloMs: number): boolean {
  return eventLoopLagMs > Math.max(lagLeastMs, lagShare * sloMs);
}
