import type { Choice } from './choice.ts';
import { ownerOf, serviceKeyOf, type Target } from './projections.ts';
import type { DeclaredVariant } from './rollout-step.ts';
import type { StoredPolicy } from './stored-policies.ts';
import type { World } from './world.ts';

/**
 * The services of a namespace whose policy names this group. One that ends is none of them any more; one of which
 * something else is written wrongly still is, or a slip of the pen would take its requests away.
 */
export function declaredVariants(
  world: Pick<World, 'targetsIn' | 'policies' | 'revisionNames'>,
  choiceOf: (target: Target, policies: readonly StoredPolicy[]) => Choice,
  namespace: string,
  group: string,
): DeclaredVariant[] {
  const declared: DeclaredVariant[] = [];
  for (const target of world.targetsIn(namespace)) {
    if (target.ending || target.annotations['paceline.dev/slo'] === undefined) continue;
    const service = serviceKeyOf(target.target);
    const { policy, chosen } = choiceOf(target, world.policies(service));
    const written = chosen?.value.spec.variantOf ?? target.annotations['paceline.dev/variant-of'];
    if ((policy ? policy.variantOf : written) !== group) continue;
    const rolledOut = target.deploymentMode === 'knative' && (target.latestRolledoutRevision ?? '') !== '';
    declared.push({
      owner: ownerOf(target),
      revisions: world.revisionNames(service),
      passes: rolledOut && policy !== undefined && policy.mode !== 'off',
    });
  }
  return declared;
}
