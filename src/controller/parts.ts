import { RolloutEvidence } from '../kernels/rollout-evidence.ts';
import type { LeaderPart } from './part.ts';
import { ReconcilePart } from './reconcile/part.ts';
import { Rollout } from './rollout/step.ts';

/** Everything that the leader runs, in the order in which it is started. */
export function leaderParts(): LeaderPart[] {
  return [new ReconcilePart({ rollout: new Rollout(new RolloutEvidence()) })];
}
