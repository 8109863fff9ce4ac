import { isConflict } from '../../kube/kube-error.ts';
import { kinds, type ObjectName } from '../../kube/objects.ts';
import type { Actuation, ActuationContext, Actuator } from './actuator.ts';

/** The share to write; undefined: leave it alone. */
export interface CanaryPlan {
  readonly percent: number | undefined;
}

/** What is written on. */
export interface CanaryTarget {
  readonly target: ObjectName;
  /** Of the InferenceService that was decided about. */
  readonly resourceVersion: string;
  readonly canaryTrafficPercent: number | undefined;
  readonly latestReadyRevision: string | undefined;
  readonly latestRolledoutRevision: string | undefined;
}

/**
 * Writes `spec.predictor.canaryTrafficPercent` of an InferenceService in Knative mode, and nothing else of it: KServe
 * copies its annotations into the revision template, so that a note of ours there would make a Revision. What was there
 * before is kept in the status of the InferencePolicy.
 */
export class Canary implements Actuator<CanaryPlan, CanaryTarget> {
  readonly name = 'canary';

  /**
   * The write carries the version that was decided about: whatever happened to the service since, KServe's own notes in
   * its status included, makes it fail, and the next look decides anew.
   */
  async apply({ percent }: CanaryPlan, observed: CanaryTarget, context: ActuationContext): Promise<Actuation> {
    if (percent === undefined || percent === observed.canaryTrafficPercent) return { changes: [] };
    if (percent < 100 && observed.latestReadyRevision === observed.latestRolledoutRevision) {
      // KServe would take this for the wish to serve the model before the last.
      return refused(
        'Unsupported',
        `${percent} % while the newest Ready revision is rolled out would bring back the one before`,
      );
    }
    if (!context.leads()) return refused('NotLeader', 'the lease was lost');
    return await this.#write(percent, observed, context);
  }

  /**
   * Takes the field out where that moves no traffic. A share below 100 stays: without it KServe would send everything to
   * a candidate that is unproven, or that has lost. It is the user's then, as in any canary of KServe's.
   */
  async giveBack(observed: CanaryTarget, context: ActuationContext): Promise<void> {
    if (observed.canaryTrafficPercent === 100 && context.leads()) await this.#write(null, observed, context);
  }

  async #write(percent: number | null, observed: CanaryTarget, { api }: ActuationContext): Promise<Actuation> {
    const { target, resourceVersion, canaryTrafficPercent } = observed;
    const patch = { metadata: { resourceVersion }, spec: { predictor: { canaryTrafficPercent: percent } } };
    try {
      await api.mergePatch(kinds.inferenceService, target, patch);
    } catch (error) {
      if (isConflict(error)) return refused('WriteFailed', 'the service changed meanwhile: it is looked at again');
      throw error;
    }
    return { changes: [`canaryTrafficPercent ${canaryTrafficPercent ?? 'unset'} -> ${percent ?? 'unset'}`] };
  }
}

function refused(reason: 'Unsupported' | 'NotLeader' | 'WriteFailed', message: string): Actuation {
  return { changes: [], refused: { reason, message } };
}
