import { RolloutEvidence } from '../kernels/rollout-evidence.ts';
import type { ControllerOptions } from './controller-options.ts';
import type { LeaderPart } from './part.ts';
import { ReconcilePart } from './reconcile/part.ts';
import { Rollout } from './rollout/step.ts';

/** Everything that the leader runs, in the order in which it is started. */
export function leaderParts({ knativeNamespace }: ControllerOptions): LeaderPart[] {
  return [new ReconcilePart({ rollout: new Rollout(new RolloutEvidence()), knativeNamespace })];
}
