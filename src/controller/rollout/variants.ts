import type { KubeObject, OwnerReference } from '../../kube/objects.ts';
import type { ServicePlan } from '../../planner/service-plan.ts';
import type { RevisionState, ServiceProblem } from '../../planner/service-problem.ts';
import { splitOf, type VariantGroup } from '../actuators/route.ts';
import type { DeclaredVariant } from '../reconcile/rollout-step.ts';
import { nextSplit, percentages, type SplitTarget } from './split.ts';

/** One variant of a group, as its own pass last saw it. */
export interface Variant {
  readonly owner: OwnerReference;
  /** The revision that was rolled out last; a canary of its own is its own affair. */
  readonly revision: string;
  readonly ready: boolean;
  readonly state: RevisionState;
}

/** What a group is decided from, beside its variants. */
export interface GroupFacts {
  readonly namespace: string;
  /** The group's name: what callers ask for. */
  readonly name: string;
  readonly route: KubeObject | undefined;
  /** Items a second of the whole group. */
  readonly load: number;
  /** All services that name the group. What the Route sends to anything else has left. */
  readonly declared: readonly DeclaredVariant[];
}

/**
 * The next split of a group: the planner says who should serve, `percentages` makes that whole, and `nextSplit` goes
 * there in steps for which there are ready replicas. What has left leaves at once. Empty: no variant is Ready, or nothing
 * can be said yet.
 *
 * @param plan plans the variants as alternatives (`routing: 'choose'`).
 */
export function splitGroup(
  facts: GroupFacts,
  variants: readonly Variant[],
  base: Omit<ServiceProblem, 'revisions' | 'routing'>,
  plan: (problem: ServiceProblem) => ServicePlan,
): { readonly split: readonly SplitTarget[]; readonly plan: ServicePlan | undefined } {
  const ready = variants.filter((each) => each.ready);
  if (ready.length === 0) return { split: [], plan: undefined };
  const planned = plan({ ...base, routing: 'choose', revisions: ready.map(({ state }) => state) });
  const weights = planned.revisions.map(({ name, share }) => ({ revision: name, weight: share }));
  const present = withoutLeavers(facts, variants);
  const room = new Map<string, number>();
  for (const { name, capacityPerReplica } of planned.revisions) {
    const replicas = ready.find(({ revision }) => revision === name)?.state.readyReplicas ?? 0;
    const served = facts.load > 0 ? (100 * replicas * capacityPerReplica) / facts.load : replicas > 0 ? 100 : 0;
    room.set(name, Math.min(served, 100));
  }
  return { split: nextSplit(present, percentages(weights), room), plan: planned };
}

/**
 * The present split without what has left: a service that is gone, or that names the group no more. The others get its
 * share as they have theirs. Knative takes no Route that names a Revision that is not there, so that leaving in steps
 * would only prolong that callers get errors; for the same reason who is not Ready leaves with it.
 */
export function withoutLeavers({ route, declared }: GroupFacts, variants: readonly Variant[]): readonly SplitTarget[] {
  const present = route ? splitOf(route) : [];
  const known = new Set(declared.flatMap(({ revisions }) => revisions));
  for (const { revision } of variants) known.add(revision);
  if (present.every(({ revision }) => known.has(revision))) return present;
  for (const { revision, ready } of variants) if (!ready) known.delete(revision);
  const stays = present.filter(({ revision }) => known.has(revision));
  return percentages(stays.map(({ revision, percent }) => ({ revision, weight: percent })));
}

/**
 * The group as the actuator wants it: present targets that are no variant's last, or whose service tells nothing now, stay
 * members until they left.
 */
export function variantGroup(facts: GroupFacts, variants: readonly Variant[]): VariantGroup {
  const { namespace, name, route, declared } = facts;
  const members = variants.map(({ owner, revision, ready }) => ({ owner, revision, ready }));
  const known = new Set(members.map(({ revision }) => revision));
  for (const { revision } of route ? splitOf(route) : []) {
    const of = declared.find(({ revisions }) => revisions.includes(revision));
    if (!known.has(revision) && of) members.push({ owner: of.owner, revision, ready: true });
  }
  return { namespace, name, members, route };
}
