import { kinds } from '../../kube/objects.ts';
import { classKey } from '../actuators/autoscaler-class.ts';
import { originalKey, parseHolding } from '../actuators/originals.ts';
import type { ProjectedPodAutoscaler } from './pod-autoscalers.ts';
import type { ProjectedRevision } from './projections.ts';
import type { StoredPolicy } from './stored-policies.ts';

// Which changes of an object are a reason to look at its service at once. What we wrote ourselves at the end of a pass is
// none: thousands of services would be planned for twice because something was planned for them.

/** Whether a policy changed in anything but its status: in its spec, what it holds for us, or whose it is. */
export function isNewsOfPolicy(now: StoredPolicy, before: StoredPolicy): boolean {
  const essence = ({ service, generation, holding, value }: StoredPolicy) =>
    JSON.stringify([service, generation, holding, value.metadata.labels, value.metadata.uid]);
  return essence(now) !== essence(before);
}

/** Whether a Revision changed in anything but the annotations that we steer it by. */
export function isNewsOfRevision(now: ProjectedRevision, before: ProjectedRevision): boolean {
  const essence = ({ service, uid, ready, reachable, annotations }: ProjectedRevision) =>
    JSON.stringify([service, uid, ready, reachable, withoutOurs(annotations)]);
  return essence(now) !== essence(before);
}

/** A Revision's annotations as they were without us, and those of ours that somebody else has changed. */
function withoutOurs({ [revisionKey]: text, ...present }: ProjectedRevision['annotations']): unknown[] {
  const held = parseHolding(text);
  const without: Record<string, string> = present;
  const foreign: string[] = [];
  for (const [field, applied] of Object.entries(held?.applied ?? {})) {
    const key = `autoscaling.knative.dev/${field}`;
    const original = held?.original[field];
    if (without[key] !== applied) foreign.push(field);
    else if (typeof original === 'string') without[key] = original;
    else delete without[key];
  }
  return [Object.entries(without).sort(), foreign];
}

const revisionKey = originalKey(kinds.revision);

/**
 * Of a PodAutoscaler that Knative answers for only the class matters at once: its scale moves all the time, and what was
 * carried over to it is looked at with the next pass.
 */
export function isNewsOfPodAutoscaler(now: ProjectedPodAutoscaler, before: ProjectedPodAutoscaler): boolean {
  const ours = now.own !== undefined || before.own !== undefined;
  return ours || now.service !== before.service || now.annotations[classKey] !== before.annotations[classKey];
}
