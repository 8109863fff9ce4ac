import type { KubeApi } from '../../kube/kube-api.ts';
import { isConflict, isNotFound, KubeError } from '../../kube/kube-error.ts';
import { kinds } from '../../kube/objects.ts';
import { madeByControllerLabel } from '../../policy/inference-policy.ts';
import type { Target } from './projections.ts';
import type { StoredPolicy } from './stored-policies.ts';

/** The name of the InferencePolicy that the controller makes for a service. */
export function policyNameOf({ kind, name }: Pick<Target['target'], 'kind' | 'name'>): string {
  return kind === 'InferenceService' ? name : `${name}-service`;
}

/**
 * Makes the InferencePolicy of an annotated service, which has none. It says nothing but whom it is for: what a user
 * adds overrides the annotations. It goes with its service, by its owner reference.
 *
 * @throws {KubeError} status 409 where a policy of that name is somebody else's and for another service.
 */
export async function makePolicy(api: KubeApi, { target, uid }: Target): Promise<void> {
  const { group, kind, namespace, name } = target;
  const version = group === 'serving.kserve.io' ? 'v1beta1' : 'v1';
  try {
    await api.create(kinds.inferencePolicy, {
      metadata: {
        name: policyNameOf(target),
        namespace,
        labels: { [madeByControllerLabel]: 'true' },
        ownerReferences: [{ apiVersion: `${group}/${version}`, kind, name, uid }],
      },
      spec: { targetRef: { group, kind, name } },
    });
  } catch (error) {
    if (!isConflict(error)) throw error;
    const there = await api.get(kinds.inferencePolicy, { namespace, name: policyNameOf(target) });
    const { targetRef } = (there.spec ?? {}) as { targetRef?: { name?: string; kind?: string } };
    // The informer has not told us of it yet.
    if (targetRef?.name === name && (targetRef.kind ?? 'InferenceService') === kind) return;
    throw new KubeError(
      409,
      'NameTaken',
      `InferencePolicy ${namespace}/${policyNameOf(target)} is for another service`,
    );
  }
}

/** Takes our own policy away, once the service has opted out and nothing is held any more. */
export async function removePolicy(api: KubeApi, policy: StoredPolicy): Promise<void> {
  if (!isOurs(policy)) return;
  try {
    await api.delete(kinds.inferencePolicy, policy);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

export function isOurs({ value }: StoredPolicy): boolean {
  return value.metadata.labels?.[madeByControllerLabel] === 'true';
}
