import { isNotFound } from '../../kube/kube-error.ts';
import { apiVersionOf, kinds } from '../../kube/objects.ts';
import { planService } from '../../planner/plan-service.ts';
import type { ServicePlan } from '../../planner/service-plan.ts';
import type { RevisionState, ServiceProblem } from '../../planner/service-problem.ts';
import { VariantRoute } from '../actuators/route.ts';
import type { HeardPod, RolloutInput } from '../reconcile/rollout-step.ts';
import { splitGroup, type Variant, variantGroup } from './variants.ts';

/** A variant whose pass was longer ago than this has left its group, or is no longer served by us. */
const memberMs = 60_000;
/** A group is planned as often as a service at rest. */
const groupEveryMs = 10_000;

interface Member extends Variant {
  readonly uid: string;
  readonly seenMs: number;
  readonly arrivals: readonly number[];
}

interface Group {
  readonly members: Map<string, Member>;
  decidedMs: number;
  plan: ServicePlan | undefined;
}

/**
 * Splits the requests of each group of variants. Every member's pass tells what it saw; whichever comes first when the
 * group is due decides for all, from what was told last.
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
    const group = this.#groups.get(key) ?? { members: new Map(), decidedMs: 0, plan: undefined };
    this.#groups.set(key, group);
    group.members.set(observed.uid, memberOf(input, revision));
    for (const [uid, member] of group.members) {
      if (context.nowMs - member.seenMs > memberMs) group.members.delete(uid);
    }
    if (context.nowMs - group.decidedMs < groupEveryMs) return [];
    group.decidedMs = context.nowMs;
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
    // By revision, so that the same members are the same problem, whoever's pass it is.
    const members = [...group.members.values()].sort((one, other) => (one.revision < other.revision ? -1 : 1));
    const load = members.reduce((sum, { state }) => sum + state.arrivalRate, 0);
    const facts = { namespace, name, route, load };
    const base: Omit<ServiceProblem, 'revisions' | 'routing'> = {
      now: context.nowMs,
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
      if (other === key || !group.members.delete(uid)) continue;
      if (group.members.size === 0) this.#groups.delete(other);
    }
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
    seenMs: context.nowMs,
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
