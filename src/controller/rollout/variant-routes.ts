import { isNotFound, KubeError } from '../../kube/kube-error.ts';
import { kinds } from '../../kube/objects.ts';
import { planService } from '../../planner/plan-service.ts';
import type { ServicePlan } from '../../planner/service-plan.ts';
import type { ServiceProblem } from '../../planner/service-problem.ts';
import { splitOf, VariantRoute } from '../actuators/route.ts';
import { ownerOf } from '../reconcile/projections.ts';
import type { DeclaredVariant, RolloutInput } from '../reconcile/rollout-step.ts';
import type { RevisionFloor } from './floors.ts';
import { type GroupFacts, splitGroup, type Variant, variantGroup, withoutLeavers } from './variants.ts';

/** A variant whose pass was longer ago than this tells nothing any more. So long it is waited for, too, where a leader is new. */
const memberMs = 60_000;
/** A group is planned as often as a service at rest. */
const groupEveryMs = 10_000;

/** What becomes an event. */
interface Note {
  readonly reason: string;
  readonly message: string;
}

interface Member extends Variant {
  readonly uid: string;
  readonly seenMs: number;
  readonly arrivals: readonly number[];
}

interface Group {
  readonly members: Map<string, Member>;
  /** When its first member was met. Times are on the monotonic clock. */
  readonly sinceMs: number;
  /** The lease's transitions then: what was told while another led is old. */
  readonly transitions: number;
  decidedMs: number;
  plan: ServicePlan | undefined;
  /** What revisions keep until they have the share that they are to have. */
  floors: readonly RevisionFloor[];
  /** Why the Route stands as it is, where that was said: it is said once. */
  said: string;
}

/**
 * Splits the requests of each group of variants. Every member's pass tells what it saw; whichever comes first when the
 * group is due decides for all, from what was told last. Nothing is decided before all have been heard that name the
 * group, or had the time to be: half a group would give everything to whoever passes first.
 */
export class VariantRoutes {
  readonly #groups = new Map<string, Group>();
  readonly #route = new VariantRoute();

  /** @returns what becomes an event, and what this service's revision is to keep. */
  async look(input: RolloutInput): Promise<{ notes: Note[]; floors: readonly RevisionFloor[] }> {
    const notes = await this.#look(input);
    const { observed, policy } = input;
    const group = this.#groups.get(`${observed.target.namespace}/${policy.variantOf}`);
    const floors = group?.floors.filter(({ revision }) => revision === observed.latestRolledoutRevision) ?? [];
    return { notes, floors };
  }

  async #look(input: RolloutInput): Promise<Note[]> {
    const { observed, policy, context } = input;
    const { namespace } = observed.target;
    const notes = this.#leave(observed.uid, policy.variantOf && `${namespace}/${policy.variantOf}`);
    const revision = observed.latestRolledoutRevision ?? '';
    if (!policy.variantOf || revision === '' || observed.deploymentMode !== 'knative') return notes;
    const key = `${namespace}/${policy.variantOf}`;
    const now = context.monotonicMs;
    const known = this.#groups.get(key);
    const group = known?.transitions === context.transitions ? known : this.#begin(key, now, context.transitions);
    const member = memberOf(input, revision, group.members.get(observed.uid));
    if (member) group.members.set(observed.uid, member);
    if (now - group.decidedMs < groupEveryMs) return notes;
    const declared = input.variantsOf(policy.variantOf);
    const named = new Set(declared.map(({ owner }) => owner.uid));
    for (const [uid, { seenMs }] of group.members) {
      if (!named.has(uid) || now - seenMs > memberMs) group.members.delete(uid);
    }
    const gathered = declared.every(({ passes, owner }) => !passes || group.members.has(owner.uid));
    if (!gathered && now - group.sinceMs < memberMs) return notes;
    group.decidedMs = now;
    try {
      return [...notes, ...(await this.#decide(namespace, policy.variantOf, group, declared, input))];
    } catch (error) {
      // The service has replicas that are to be scaled, whatever becomes of its group's Route.
      if (!(error instanceof KubeError)) throw error;
      const message = `Route ${key} stands as it is: it cannot be read or written: ${error.message}`;
      return [...notes, ...saidOnce(group, 'VariantsHeld', message)];
    }
  }

  async #decide(
    namespace: string,
    name: string,
    group: Group,
    declared: readonly DeclaredVariant[],
    { observed, policy, plan: own, context }: RolloutInput,
  ): Promise<Note[]> {
    const route = await context.api.get(kinds.route, { namespace, name }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    // By revision, so that the same members are the same problem, whoever's pass it is.
    const members = [...group.members.values()].sort((one, other) => (one.revision < other.revision ? -1 : 1));
    const load = members.reduce((sum, { state }) => sum + state.arrivalRate, 0);
    const facts = { namespace, name, route, load, declared };
    const base: Omit<ServiceProblem, 'revisions' | 'routing'> = {
      now: context.monotonicMs,
      policy,
      demand: { perSecond: addedUp(members.map(({ arrivals }) => arrivals)) },
      prices: own?.currency === undefined ? {} : { currency: own.currency },
      bounds: {
        minReplicas: 1,
        maxReplicas: observed.maxReplicas,
        containerConcurrency: observed.containerConcurrency,
      },
      coldStart: { p50Ms: 0, p95Ms: 0, count: 0 },
      previous: group.plan,
      autoscaler: { kind: 'knative', stableWindowMs: 60_000, targetUtilization: 0.7, tbc: 200 },
      planEveryMs: groupEveryMs,
    };
    const silent = silentOf(facts, group);
    let split = withoutLeavers(facts, members);
    if (silent === undefined) {
      const next = splitGroup(facts, members, base, planService);
      split = next.split;
      group.plan = next.plan;
      group.floors = next.floors;
    }
    if (policy.mode !== 'act') return [];
    const stands = `Route ${namespace}/${name} stands as it is`;
    if (split.length === 0) return route ? saidOnce(group, 'VariantsHeld', `${stands}: no variant is Ready`) : [];
    const { changes, refused } = await this.#route.apply({ split }, variantGroup(facts, members), context);
    if (refused) return saidOnce(group, refused.reason, refused.message);
    const notes = changes.map((message) => ({ reason: 'VariantsSplit', message }));
    if (silent !== undefined && notes.length === 0)
      return saidOnce(group, 'VariantsHeld', `${stands}: nothing is heard of ${silent}`);
    group.said = '';
    return notes;
  }

  /** Groups whose services are gone, or want us no more, are told of by nobody: they go when another one comes. */
  #begin(key: string, now: number, transitions: number): Group {
    for (const [other, { members }] of this.#groups) {
      if ([...members.values()].every(({ seenMs }) => now - seenMs > memberMs)) this.#groups.delete(other);
    }
    const decidedMs = Number.NEGATIVE_INFINITY;
    const group: Group = {
      members: new Map(),
      sinceMs: now,
      transitions,
      decidedMs,
      plan: undefined,
      floors: [],
      said: '',
    };
    this.#groups.set(key, group);
    return group;
  }

  /**
   * A service that names another group, or none, is a member of no other one. Where nobody is left the Route stands as it
   * is: its callers know no other name.
   */
  #leave(uid: string, key: string | undefined): Note[] {
    const notes: Note[] = [];
    for (const [other, { members }] of this.#groups) {
      if (other === key || !members.delete(uid) || members.size > 0) continue;
      this.#groups.delete(other);
      const message = `a Route ${other} stands as it is: nobody is left who names its group, and it is yours from now on`;
      notes.push({ reason: 'VariantsHeld', message });
    }
    return notes;
  }
}

/** A variant that has a share and tells nothing, as in mode `off`: nothing can be said of the others' shares then. */
function silentOf({ route, declared }: GroupFacts, { members }: Group): string | undefined {
  const present = new Set((route ? splitOf(route) : []).map(({ revision }) => revision));
  const served = declared.filter(({ revisions }) => revisions.some((revision) => present.has(revision)));
  return served.find(({ owner }) => !members.has(owner.uid))?.owner.name;
}

function saidOnce(group: Group, reason: string, message: string): Note[] {
  if (group.said === message) return [];
  group.said = message;
  return [{ reason, message }];
}

/** Undefined where nothing was heard yet. What is known stays as it was while nobody is heard, until that is too old. */
function memberOf(
  { observed, problem, context }: RolloutInput,
  revision: string,
  known: Member | undefined,
): Member | undefined {
  const ready = observed.revisions.find(({ name }) => name === revision)?.ready ?? false;
  const state = problem?.revisions.find(({ name }) => name === revision);
  if (!problem || !state) return known?.revision === revision ? { ...known, ready } : undefined;
  return {
    uid: observed.uid,
    owner: ownerOf(observed),
    revision,
    ready,
    state,
    seenMs: context.monotonicMs,
    arrivals: problem.demand.perSecond,
  };
}

/** Sums of lists that end at the same second. */
function addedUp(lists: readonly (readonly number[])[]): number[] {
  const length = Math.max(0, ...lists.map((list) => list.length));
  const sums = new Array<number>(length).fill(0);
  for (const list of lists) {
    for (const [index, value] of list.entries()) {
      const at = index + length - list.length;
      sums[at] = (sums[at] ?? 0) + value;
    }
  }
  return sums;
}
