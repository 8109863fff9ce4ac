import type { RevisionPlan, ServicePlan } from '../../planner/service-plan.ts';

/** What a plan may do, given what is known. */
export interface Restraint {
  /**
   * Whether it may lower anything. Down needs agreement: every Ready pod with a companion was heard of late, and this
   * leader has watched the service for longer than a stable window.
   */
  readonly mayLower: boolean;
  /** Replicas that are asked for now, by revision. */
  readonly current: ReadonlyMap<string, number>;
}

/** The plan within what it may do: replicas and min-scale are kept where they may not fall. Pure. */
export function restrained(plan: ServicePlan, { mayLower, current }: Restraint): ServicePlan {
  if (mayLower) return plan;
  const revisions = plan.revisions.map((revision) => raised(revision, current.get(revision.name) ?? 0));
  const main = revisions.find(({ name }) => name === plan.revision);
  return main ? { ...plan, revisions, replicas: main.replicas, knative: main.knative } : { ...plan, revisions };
}

function raised(revision: RevisionPlan, least: number): RevisionPlan {
  const { knative } = revision;
  const replicas = Math.max(revision.replicas, least);
  const minScale = Math.max(knative.minScale, least);
  const maxScale = knative.maxScale > 0 ? Math.max(knative.maxScale, minScale) : 0;
  return { ...revision, replicas, knative: { ...knative, minScale, maxScale } };
}
