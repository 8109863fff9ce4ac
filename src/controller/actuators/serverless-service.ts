import { isConflict } from '../../kube/kube-error.ts';
import { kinds } from '../../kube/objects.ts';
import type { ObservedRevision, ObservedServerlessService, OwnAutoscaler } from '../reconcile/observed.ts';
import type { ActuationContext } from './actuator.ts';
import { ownClassLabel } from './autoscaler-class.ts';

type Mode = ObservedServerlessService['mode'];

/** Requests that companions of one replica may hold before more of a burst belongs into the activator. */
const leave = 1.25;

/**
 * Whether requests go to the pods, or first to Knative's activator, which holds what a hard concurrency would refuse.
 * Without such a limit companions queue and refuse by themselves. It changes back only with a quarter to spare. Pure.
 *
 * @param burst requests that may arrive during a cold start; 0: the activator is not needed
 */
export function modeFor(
  wanted: number,
  ready: number,
  containerConcurrency: number,
  burst: number | undefined,
  now: Mode,
): Mode {
  if (wanted === 0) return 'Proxy';
  if (burst === undefined) return now;
  if (containerConcurrency === 0 || burst <= 0) return 'Serve';
  const spare = ready * containerConcurrency;
  return spare < burst || (now === 'Proxy' && spare < leave * burst) ? 'Proxy' : 'Serve';
}

/**
 * Makes a revision's ServerlessService, or brings it to what it should be, as Knative's autoscalers do
 * (pkg/reconciler/autoscaling/reconciler.go). Says `foreign` where one of that name is somebody else's.
 *
 * It is found by a label of ours; one that Knative's autoscaler made before us gets that label. `blockOwnerDeletion` is left
 * out, because some clusters ask for a right of its own for it.
 */
export async function holdServerlessService(
  { namespace, name, serverlessService: there }: ObservedRevision,
  own: OwnAutoscaler,
  mode: Mode,
  { api, leads }: ActuationContext,
): Promise<'held' | 'foreign'> {
  if (there && there.controllerUid !== own.uid) return 'foreign';
  const { scaleTargetRef, protocolType } = own;
  // 0 activators are all of them.
  const spec = { mode, objectRef: scaleTargetRef, protocolType, numActivators: 0 };
  if (there) {
    const same =
      there.mode === mode &&
      there.numActivators === 0 &&
      there.protocolType === protocolType &&
      there.target === scaleTargetRef.name;
    if (!same && leads()) await api.mergePatch(kinds.serverlessService, { namespace, name }, { spec });
    return 'held';
  }
  if (!leads()) return 'held';
  const { 'autoscaling.knative.dev/metric': _, ...annotations } = own.annotations;
  const owner = { apiVersion: 'autoscaling.internal.knative.dev/v1alpha1', kind: 'PodAutoscaler', name, uid: own.uid };
  try {
    await api.create(kinds.serverlessService, {
      metadata: {
        namespace,
        name,
        labels: { ...own.labels, [ownClassLabel]: 'true' },
        annotations,
        ownerReferences: [{ ...owner, controller: true }],
      },
      spec,
    });
  } catch (error) {
    if (!isConflict(error)) throw error;
    const { metadata } = await api.get(kinds.serverlessService, { namespace, name });
    if (!metadata.ownerReferences?.some(({ uid, controller }) => controller && uid === own.uid)) return 'foreign';
    if (metadata.labels?.[ownClassLabel] !== 'true') {
      const labels = { [ownClassLabel]: 'true' };
      await api.mergePatch(kinds.serverlessService, { namespace, name }, { metadata: { labels }, spec });
    }
  }
  return 'held';
}
