import { podAutoscalerClass } from '../../policy/service-view.ts';
import type { ObservedRevision, OwnAutoscaler } from '../reconcile/observed.ts';

/** Knative's own autoscaler. */
export const knativeClass = 'kpa.autoscaling.knative.dev';

/** The annotation of a Revision that says who answers for its PodAutoscaler; Knative carries it over to that. */
export const classKey = 'autoscaling.knative.dev/class';

/**
 * What an autoscaler goes by. Knative's defaulting gives a PodAutoscaler of a class that it does not know an empty one, which
 * its own validation then refuses to Knative's class: a Revision that changes over has to name one.
 */
export const metricKey = 'autoscaling.knative.dev/metric';

/** What Knative's own autoscaler goes by where nothing is said. */
export const knativeMetric = 'concurrency';

/** On a Revision of our class that was handed to Knative's autoscaler for a while: it can be taken back. */
export const handedOverKey = 'autoscaling.knative.dev/paceline-handed-over';

/** The label of ServerlessServices that we answer for. */
export const ownClassLabel = 'paceline.dev/class';

/** What a Revision has to say for Knative's own autoscaler to take it over, which goes on from the replicas that it finds. */
export function handOverAnnotations(annotations: Readonly<Record<string, string>>): Record<string, string> {
  return { [classKey]: knativeClass, [metricKey]: annotations[metricKey] || knativeMetric };
}

/**
 * Who scales a revision at this moment. What its PodAutoscaler says counts: that is where each autoscaler looks whether
 * it is meant, and it follows the Revision's annotation a moment later.
 */
export function classOf({ podAutoscaler, annotations }: ObservedRevision): string {
  return podAutoscaler?.annotations[classKey] ?? annotations[classKey] ?? knativeClass;
}

/** The PodAutoscaler that we answer for; undefined where somebody else does. */
export function ownAutoscalerOf({ podAutoscaler, uid }: ObservedRevision): OwnAutoscaler | undefined {
  const own = podAutoscaler?.own;
  // One that Knative did not make for this revision could name any Deployment as its target.
  return own && own.controllerUid === uid ? own : undefined;
}

/** Whether a revision is for the class actuator: its class is ours, or was until we handed it over. */
export function isForOwnClass(revision: ObservedRevision): boolean {
  return classOf(revision) === podAutoscalerClass || revision.annotations[handedOverKey] !== undefined;
}
