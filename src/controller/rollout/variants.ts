import type { KubeObject, OwnerReference } from '../../kube/objects.ts';
import type { ServicePlan } from '../../planner/service-plan.ts';
import type { RevisionState, ServiceProblem } from '../../planner/service-problem.ts';
import { splitOf, type VariantGroup } from '../actuators/route.ts';
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
  /** Revisions in the Route whose services are no variants any more. */
  readonly gone?: ReadonlySet<string>;
}

/**
 * The next split of a group: the planner says who should serve, `percentages` makes that whole, and `nextSplit` goes
 * there in steps for which there are ready replicas. What is gone leaves at once: nobody may be behind it. Empty: no variant
 * is Ready, or nothing can be said yet.
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
  const present = splitOf(facts.route ?? { metadata: { name: facts.name } });
  const room = new Map<string, number>();
  for (const { name, capacityPerReplica } of planned.revisions) {
    const replicas = ready.find(({ revision }) => revision === name)?.state.readyReplicas ?? 0;
    const served = facts.load > 0 ? (100 * replicas * capacityPerReplica) / facts.load : replicas > 0 ? 100 : 0;
    room.set(name, Math.min(served, 100));
  }
  const stays = present.filter(({ revision }) => !facts.gone?.has(revision));
  const without = percentages(stays.map(({ revision, percent }) => ({ revision, weight: percent })));
  return { split: nextSplit(without, percentages(weights), room), plan: planned };
}

/** The group as the actuator wants it: present targets that are no longer a variant's last stay members until they left. */
export function variantGroup(facts: GroupFacts, variants: readonly Variant[]): VariantGroup {
  const { namespace, name, route } = facts;
  const members = variants.map(({ owner, revision, ready }) => ({ owner, revision, ready }));
  const known = new Set(members.map(({ revision }) => revision));
  const [first] = members;
  for (const { revision } of route && first ? splitOf(route) : []) {
    // Revisions are named after their service: KServe's end in -predictor-00001, Knative's in -00001.
    const of = members.find(({ owner }) => new RegExp(`^${escaped(owner.name)}(-predictor)?-\\d+$`).test(revision));
    if (!known.has(revision) && of) members.push({ owner: of.owner, revision, ready: true });
  }
  return { namespace, name, members, route };
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
