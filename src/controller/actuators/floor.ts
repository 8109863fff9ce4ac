/** Replicas that a rollout wants a revision to keep, whatever its own traffic asks for. */
export interface Floor {
  readonly revision: string;
  readonly minReplicas: number;
}

/** The highest floor of a revision; 0 where it has none. */
export function floorOf(floors: readonly Floor[], revision: string): number {
  return floors.reduce((most, each) => (each.revision === revision ? Math.max(most, each.minReplicas) : most), 0);
}
