/** What the number of replicas of a revision of our class follows from. */
export interface ReplicaOrder {
  /** Of the plan; undefined where nothing was planned: then they stay. */
  readonly planned: number | undefined;
  /** What a rollout wants to be kept. */
  readonly floor: number;
  /** What its Deployment asks for now. */
  readonly current: number;
  /** The bounds of its PodAutoscaler; a maximum of 0 is none. */
  readonly minScale: number;
  readonly maxScale: number;
  /** Replicas that a new revision is made with. */
  readonly initialScale: number;
  /** Whether it had them once. */
  readonly initialized: boolean;
  /** Whether a Route leads there. */
  readonly reachable: boolean;
  /** It did not come up within its deadline. */
  readonly failed: boolean;
}

/**
 * Replicas of a revision whose class is ours: as planned within its bounds, and at least one where a Route leads to it,
 * because the activator tells nobody but Knative's own autoscaler that a request waits. Each step down halves at most.
 * A revision that no Route leads to, or that never came up, needs none. Pure.
 */
export function classReplicas(order: ReplicaOrder): number {
  const { planned, floor, current, minScale, maxScale, initialScale, initialized, reachable, failed } = order;
  if (failed) return 0;
  if (!reachable) return Math.min(floor, maxScale > 0 ? maxScale : floor);
  const least = Math.max(1, minScale, initialized ? 0 : initialScale);
  const most = maxScale > 0 ? Math.max(maxScale, least) : Number.POSITIVE_INFINITY;
  const wanted = Math.max(planned ?? current, floor);
  const step = wanted < current ? Math.max(wanted, Math.ceil(current / 2)) : wanted;
  return Math.min(Math.max(step, least), most);
}
