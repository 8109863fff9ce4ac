/** How many replicas a revision is to keep at least, whatever its own traffic would ask for. */
export interface RevisionFloor {
  readonly revision: string;
  readonly minReplicas: number;
  /**
   * One word for events: the candidate before its share, the stable one for the way back, a successor before its turn, a
   * variant that its group is to be served by.
   */
  readonly why: 'candidate' | 'wayBack' | 'successor' | 'variant';
}

/**
 * The floors of an ordinary update, in which the newest revision gets `share` of the load as soon as it is Ready. Between
 * being Ready and having its traffic there are seconds, in which it has them still: `serving` is who has the traffic.
 *
 * Without them an update at twenty replicas falls to one: Knative takes a revision for Ready at its own min-scale. With
 * the floor there before it is Ready it becomes Ready with all of its replicas, and only then gets the traffic. The old
 * one keeps its replicas until then. Where the nodes have no room for both, it would never be Ready: it is then given as
 * many replicas as there is room for, and the rest come when the old ones go.
 *
 * @param planned replicas for the whole load; `share` 0 to 1.
 * @param room replicas of the newest one that nodes have room for, where that is known to be less than it wants.
 */
export function successorFloors(
  created: string,
  serving: string,
  planned: number,
  share = 1,
  room = Number.POSITIVE_INFINITY,
): RevisionFloor[] {
  if (created === '' || serving === '' || created === serving || planned < 1) return [];
  const floors: RevisionFloor[] = [{ revision: serving, minReplicas: planned, why: 'wayBack' }];
  const successor = Math.min(Math.ceil(planned * share), Math.max(room, 1));
  if (successor > 0) floors.unshift({ revision: created, minReplicas: successor, why: 'successor' });
  return floors;
}
