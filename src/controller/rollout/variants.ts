import type { KubeObject, OwnerReference } from '../../kube/objects.ts';
import type { ServicePlan } from '../../planner/service-plan.ts';
import type { RevisionState, ServiceProblem } from '../../planner/service-problem.ts';
import { splitOf, type VariantGroup } from '../actuators/route.ts';
import type { DeclaredVariant } from '../reconcile/rollout-step.ts';
import { rolloutSteps } from './facts.ts';
import type { RevisionFloor } from './floors.ts';
import { nextSplit, percentages, pointsAtOnce, type SplitTarget } from './split.ts';

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

/** What a variant gets at least that has not shown yet how long it takes: as much as the first step of a rollout. */
const trialPercent = rolloutSteps[0] as number;
/** And so many items a second, which hardly any model has too many of: twenty batches are seen within a minute. */
const trialRate = 0.5;

interface NextSplit {
  readonly split: readonly SplitTarget[];
  readonly plan: ServicePlan | undefined;
  /** What the variant keeps that is to serve, until it has all of its share: its own requests ask for too few, or for none. */
  readonly floors: readonly RevisionFloor[];
}

/**
 * The next split of a group: the planner says who should serve, who has shown nothing yet is tried, `percentages` makes
 * that whole, and `nextSplit` goes there in steps for which there are ready replicas. What has left leaves at once. Empty:
 * no variant is Ready, or nothing can be said yet.
 *
 * @param plan plans the variants as alternatives (`routing: 'choose'`).
 */
export function splitGroup(
  facts: GroupFacts,
  variants: readonly Variant[],
  base: Omit<ServiceProblem, 'revisions' | 'routing'>,
  plan: (problem: ServiceProblem) => ServicePlan,
): NextSplit {
  const ready = variants.filter((each) => each.ready);
  if (ready.length === 0) return { split: [], plan: undefined, floors: [] };
  const planned = plan({ ...base, routing: 'choose', revisions: ready.map(({ state }) => state) });
  const replicasOf = new Map(ready.map(({ revision, state }) => [revision, state.readyReplicas]));
  const untried = new Set(planned.revisions.filter(({ memory }) => memory.guessed).map(({ name }) => name));
  const trial = facts.load > 0 ? Math.max(trialPercent, (100 * trialRate) / facts.load) : 100;
  const wanted = percentages(
    withTrials(planned, ready, untried, Math.min(trial, pointsAtOnce), base.policy.minAccuracy),
  );
  const room = new Map<string, number>();
  for (const { name, capacityPerReplica } of planned.revisions) {
    const replicas = replicasOf.get(name) ?? 0;
    const served = facts.load > 0 ? (100 * replicas * capacityPerReplica) / facts.load : 100;
    // The capacity of what was never tried is a guess at the best.
    room.set(name, replicas > 0 ? Math.min(untried.has(name) ? trial : served, 100) : 0);
  }
  const split = nextSplit(withoutLeavers(facts, variants), wanted, room);
  return { split, plan: planned, floors: floorsUntil(wanted, split, planned) };
}

/** What the planner says, but for a share of those of whom it can say nothing: nobody would ever know of them otherwise. */
function withTrials(
  planned: ServicePlan,
  ready: readonly Variant[],
  untried: ReadonlySet<string>,
  trial: number,
  minAccuracy: number | undefined,
): { revision: string; weight: number }[] {
  const tried = ready
    .filter(({ revision, state }) => untried.has(revision) && state.readyReplicas > 0)
    // Without a declared accuracy there is nothing that says it is enough.
    .filter(({ state: { accuracy } }) => minAccuracy === undefined || (accuracy ?? -1) >= minAccuracy)
    .map(({ revision }) => revision)
    .filter((revision) => revision !== planned.revision)
    // All trials together are no more than what moves at once.
    .slice(0, Math.floor(pointsAtOnce / trial));
  const rest = 100 - tried.length * trial;
  return planned.revisions.map(({ name, share }) => ({
    revision: name,
    weight: rest * share + (tried.includes(name) ? trial : 0),
  }));
}

function floorsUntil(
  wanted: readonly SplitTarget[],
  split: readonly SplitTarget[],
  { revision, revisions }: ServicePlan,
): RevisionFloor[] {
  const percentOf = (of: readonly SplitTarget[]) => of.find((each) => each.revision === revision)?.percent ?? 0;
  const minReplicas = revisions.find(({ name }) => name === revision)?.replicas ?? 0;
  if (minReplicas < 1 || percentOf(split) >= percentOf(wanted)) return [];
  return [{ revision, minReplicas, why: 'variant' }];
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
