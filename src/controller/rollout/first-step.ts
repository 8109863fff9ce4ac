import type { CanaryService } from './kserve-view.ts';
import { changesTemplate } from './template.ts';

/**
 * The share that a new revision gets in the update that makes it.
 *
 * None: until it is Ready, KServe's "latest" is the newest Ready revision, which after a rollback is the bad one; and once
 * it is Ready it may have one cold replica. The walk raises the share when there are replicas for it.
 */
export const firstCanaryPercent = 0;

/** What the webhook writes into `spec.predictor.canaryTrafficPercent`: a percentage, or null to take the field out. */
export interface FirstStep {
  readonly percent: number | null;
  readonly reason: 'NewRevision' | 'WalkKept' | 'ConsentWithdrawn';
}

/** What decides whether the rollout is ours: the merged policy of annotations and InferencePolicy. */
export interface RolloutConsent {
  readonly rollout: 'auto' | 'manual';
  readonly mode: 'act' | 'advise' | 'off';
}

/**
 * The first step of a walk, in the same update that changes the template: KServe would send everything to the new
 * revision as soon as it is Ready. Pure; for the webhook on updates of InferenceServices.
 *
 * It stays away (undefined) where KServe would not split (Standard mode, nothing rolled out yet), where the running
 * revision has no companion to compare with (the update that opts in), from a user's explicit 100, and above all from
 * updates that make no Revision: a value below 100 would then bring back the model before the last.
 *
 * @param consent the effective policy; without it the annotations speak for themselves.
 * @param disallowed the operator's own entries of KServe's `serviceAnnotationDisallowedList`.
 */
export function firstCanaryStep(
  before: CanaryService | undefined,
  after: CanaryService,
  consent?: RolloutConsent,
  disallowed: readonly string[] = [],
): FirstStep | undefined {
  if (!before || !rolledOut(before)) return undefined;
  const old = before.spec.predictor.canaryTrafficPercent ?? undefined;
  const wanted = after.spec.predictor.canaryTrafficPercent ?? undefined;
  const now = consent ?? consentOf(after);
  const split = old !== undefined && old < 100;

  if (now.rollout !== 'auto' || now.mode !== 'act') {
    // What is left of our walk would hold every later update of this service at its share for ever.
    // The wish for the walk may be an annotation of before, or in a policy that is off now.
    const ours = split && (consentOf(before).rollout === 'auto' || now.rollout === 'auto');
    const withdrawn = ours && wanted === old && changesTemplate(before, after, disallowed);
    return withdrawn ? { percent: null, reason: 'ConsentWithdrawn' } : undefined;
  }
  if (!changesTemplate(before, after, disallowed)) {
    // An applied manifest does not have the field. Without it KServe would roll the canary out at once, or the revision
    // that it has not reported yet; who wants that says 100.
    return split && wanted === undefined ? { percent: old, reason: 'WalkKept' } : undefined;
  }
  if (!hasCompanion(before)) return undefined;
  if (wanted === 100 && old !== 100) return undefined;
  return wanted === firstCanaryPercent ? undefined : { percent: firstCanaryPercent, reason: 'NewRevision' };
}

/** KServe splits traffic only where a revision has had all of it, which is never the case in Standard mode. */
function rolledOut(service: CanaryService): boolean {
  const mode = service.status?.deploymentMode ?? '';
  if (mode === 'Standard' || mode === 'RawDeployment') return false;
  return (service.status?.components?.predictor?.latestRolledoutRevision ?? '') !== '';
}

function hasCompanion(service: CanaryService): boolean {
  const annotations = service.metadata.annotations ?? {};
  return 'paceline.dev/slo' in annotations && annotations['paceline.dev/mode'] !== 'off';
}

function consentOf(service: CanaryService): RolloutConsent {
  const annotations = service.metadata.annotations ?? {};
  const mode = annotations['paceline.dev/mode'];
  return {
    rollout: 'paceline.dev/slo' in annotations && annotations['paceline.dev/rollout'] === 'auto' ? 'auto' : 'manual',
    mode: mode === 'advise' || mode === 'off' ? mode : 'act',
  };
}
