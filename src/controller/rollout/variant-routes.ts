import type { KubeApi } from '../../kube/kube-api.ts';
import { isNotFound } from '../../kube/kube-error.ts';
import { apiVersionOf, type KubeObject, kinds, type ObjectName } from '../../kube/objects.ts';
import { planService } from '../../planner/plan-service.ts';
import type { ServicePlan } from '../../planner/service-plan.ts';
import type { RevisionState, ServiceProblem } from '../../planner/service-problem.ts';
import { splitOf, type VariantGroup, VariantRoute } from '../actuators/route.ts';
import { serviceOf } from '../pod-identity.ts';
import type { HeardPod, RolloutInput } from '../reconcile/rollout-step.ts';
import { splitGroup, type Variant, variantGroup } from './variants.ts';

/** A variant whose pass was longer ago than this has left its group, or is no longer served by us. */
const memberMs = 60_000;
/** A group is planned as often as a service at rest. */
const groupEveryMs = 10_000;
const gatheringEveryMs = 1_000;
/** Within which every member of a group has had a pass of its own, where nothing says who they are yet. */
const gatheredMs = 12_000;

interface Member extends Variant {
  readonly uid: string;
  readonly seenMs: number;
  readonly arrivals: readonly number[];
}

interface Group {
  readonly members: Map<string, Member>;
  /** Names of services that have left it. */
  readonly left: Set<string>;
  /** When its first member was met. Times are on the monotonic clock. */
  readonly sinceMs: number;
  decidedMs: number;
  plan: ServicePlan | undefined;
}

/**
 * Splits the requests of each group of variants. Every member's pass tells what it saw; whichever comes first when the
 * group is due decides for all, from what was told last. Nothing is decided before all have been heard that own the Route,
 * or had the time to be: half a group would give everything to whoever passes first.
 */
export class VariantRoutes {
  readonly #groups = new Map<string, Group>();
  readonly #route = new VariantRoute();

  async look(input: RolloutInput): Promise<{ reason: string; message: string }[]> {
    const { observed, policy, context } = input;
    const { namespace } = observed.target;
    this.#leave(observed.uid, policy.variantOf && `${namespace}/${policy.variantOf}`);
    const revision = observed.latestRolledoutRevision ?? '';
    if (!policy.variantOf || revision === '' || observed.deploymentMode !== 'knative') return [];
    const key = `${namespace}/${policy.variantOf}`;
    const now = context.monotonicMs;
    const group = this.#groups.get(key) ?? newGroup(now);
    this.#groups.set(key, group);
    group.members.set(observed.uid, memberOf(input, revision));
    group.left.delete(observed.target.name);
    for (const [uid, member] of group.members) {
      if (now - member.seenMs > memberMs) group.members.delete(uid);
    }
    if (now - group.decidedMs < groupEveryMs) return [];
    group.decidedMs = now;
    return await this.#decide(namespace, policy.variantOf, group, input);
  }

  async #decide(
    namespace: string,
    name: string,
    group: Group,
    { observed, policy, plan: own, context }: RolloutInput,
  ): Promise<{ reason: string; message: string }[]> {
    const route = await context.api.get(kinds.route, { namespace, name }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (!isGathered(group, route, context.monotonicMs)) {
      group.decidedMs = context.monotonicMs - groupEveryMs + gatheringEveryMs;
      return [];
    }
    // By revision, so that the same members are the same problem, whoever's pass it is.
    const members = [...group.members.values()].sort((one, other) => (one.revision < other.revision ? -1 : 1));
    const load = members.reduce((sum, { state }) => sum + state.arrivalRate, 0);
    const known = { namespace, name, route, load };
    const absent = await absentees(variantGroup(known, members), group.left, context.api);
    // Without knowing how it does nothing can be said of the others' shares.
    if (absent.silent.length > 0) return [];
    const facts = { ...known, gone: absent.gone };
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
    const { split, plan } = splitGroup(facts, members, base, planService);
    group.plan = plan;
    if (split.length === 0 || policy.mode !== 'act') return [];
    const { changes, refused } = await this.#route.apply({ split }, variantGroup(facts, members), context);
    if (refused) return [{ reason: refused.reason, message: refused.message }];
    return changes.map((message) => ({ reason: 'VariantsSplit', message }));
  }

  /** A service that names another group, or none, is a member of no other one. */
  #leave(uid: string, key: string | undefined): void {
    for (const [other, group] of this.#groups) {
      const member = other === key ? undefined : group.members.get(uid);
      if (!member) continue;
      group.members.delete(uid);
      group.left.add(member.owner.name);
      if (group.members.size === 0) this.#groups.delete(other);
    }
  }
}

/**
 * Revisions that the Route still names and that are no member's. Gone are those whose services are deleted, or variants of another
 * group; the others are only silent, as in mode `off`.
 */
async function absentees(
  { namespace, name, route, members }: VariantGroup,
  left: ReadonlySet<string>,
  api: KubeApi,
): Promise<{ gone: Set<string>; silent: string[] }> {
  const gone = new Set<string>();
  const silent: string[] = [];
  for (const { revision } of route ? splitOf(route) : []) {
    if (members.some((member) => member.revision === revision)) continue;
    const service = await serviceOfRevision(api, { namespace, name: revision });
    const group = service?.metadata.annotations?.['paceline.dev/variant-of'];
    if (!service || left.has(service.metadata.name) || (group !== undefined && group !== name)) gone.add(revision);
    else silent.push(revision);
  }
  return { gone, silent };
}

function newGroup(nowMs: number): Group {
  return { members: new Map(), left: new Set(), sinceMs: nowMs, decidedMs: Number.NEGATIVE_INFINITY, plan: undefined };
}

function isGathered({ members, sinceMs }: Group, route: KubeObject | undefined, nowMs: number): boolean {
  const owners = route?.metadata.ownerReferences ?? [];
  if (owners.length > 0 && owners.every(({ uid }) => members.has(uid))) return true;
  return nowMs - sinceMs >= (owners.length > 0 ? memberMs : gatheredMs);
}

/** The service that made a revision; undefined where one of them is gone. */
async function serviceOfRevision(api: KubeApi, revision: ObjectName): Promise<KubeObject | undefined> {
  try {
    const { metadata } = await api.get(kinds.revision, revision);
    const service = serviceOf(metadata);
    if (!service) return undefined;
    const kind = service.kind === 'Service' ? kinds.knativeService : kinds.inferenceService;
    return await api.get(kind, { namespace: revision.namespace, name: service.name });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function memberOf({ observed, policy, plan, pods, prices, context }: RolloutInput, revision: string): Member {
  const kind = observed.target.kind === 'Service' ? kinds.knativeService : kinds.inferenceService;
  const own = pods.filter((pod) => pod.revision === revision);
  const readyReplicas = own.filter(({ ready }) => ready).length;
  const state: RevisionState = {
    name: revision,
    latencyMs: own.find(({ signals }) => (signals?.latencyMs.length ?? 0) > 0)?.signals?.latencyMs ?? [],
    parallel: Math.max(1, ...own.map(({ signals }) => signals?.inFlightLimit ?? 1)),
    capacityPerReplica: plan?.revisions.find(({ name }) => name === revision)?.capacityPerReplica ?? 0,
    arrivalRate: sumOf(own, (pod) => pod.signals?.arrivalRate ?? 0),
    attainment: Number.NaN,
    waiting: sumOf(own, (pod) => pod.signals?.waiting ?? 0),
    readyReplicas,
    pendingReplicas: own.length - readyReplicas,
    price: prices.get(revision),
    accuracy: policy.accuracy,
  };
  return {
    uid: observed.uid,
    owner: { apiVersion: apiVersionOf(kind), kind: kind.kind, name: observed.target.name, uid: observed.uid },
    revision,
    ready: observed.revisions.find(({ name }) => name === revision)?.ready ?? false,
    state,
    seenMs: context.monotonicMs,
    arrivals: addedUp(own.map(({ signals }) => signals?.arrivals ?? [])),
  };
}

function sumOf(pods: readonly HeardPod[], value: (pod: HeardPod) => number): number {
  return pods.reduce((sum, pod) => sum + value(pod), 0);
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
