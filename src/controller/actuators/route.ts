import { type KubeObject, kinds, type OwnerReference } from '../../kube/objects.ts';
import type { SplitTarget } from '../rollout/split.ts';
import type { Actuation, ActuationContext, ActuationRefusal } from './actuator.ts';

/** The label of Routes that are ours: its value is the group's name. */
export const variantGroupLabel = 'paceline.dev/variant-group';

export interface RoutePlan {
  /** Whole percentages that sum to 100. */
  readonly split: readonly SplitTarget[];
}

/** A group of variants: InferenceServices or Knative Services with the same `variant-of`. */
export interface VariantGroup {
  readonly namespace: string;
  /** What callers ask for; the Route's name. */
  readonly name: string;
  readonly members: readonly VariantMember[];
  /** The Route as it is, whoever made it. */
  readonly route: KubeObject | undefined;
}

export interface VariantMember {
  readonly owner: OwnerReference;
  /**
   * The revision that was rolled out last. While a split moves away from an older one, that is a member of its own with
   * the same owner. No other revision may be in a split.
   */
  readonly revision: string;
  readonly ready: boolean;
}

/**
 * Splits requests over variants by a Route of its own, pinned to each variant's last rolled-out revision. It carries no
 * `serving.knative.dev/service` label, because Knative takes a Route with one for that Service's and reverts it. The
 * variants own it together, so that it goes when the last of them goes.
 *
 * Where a target is not Ready nothing is written: Knative would keep the old split all the same, but call the Route
 * failed. It is never given back: its callers know no other name.
 */
export class VariantRoute {
  async apply({ split }: RoutePlan, group: VariantGroup, context: ActuationContext): Promise<Actuation> {
    const total = split.reduce((sum, { percent }) => sum + percent, 0);
    if (total !== 100 || split.some(({ percent }) => !Number.isInteger(percent) || percent < 1)) {
      throw new RangeError(`a split is of whole percentages that sum to 100, not ${JSON.stringify(split)}`);
    }
    const { namespace, name, members, route } = group;
    if (members.some(({ owner }) => owner.name === name)) {
      return refused(
        'Unsupported',
        `${name} is the name of a service too: KServe and Knative would both make a Service of it`,
      );
    }
    if (route && route.metadata.labels?.[variantGroupLabel] !== name) {
      return refused('ForeignWriter', `Route ${name} is somebody else's: choose another name for variant-of`);
    }
    const known = new Map(members.map((member) => [member.revision, member]));
    for (const { revision } of split) {
      const member = known.get(revision);
      if (!member) return refused('Unsupported', `${revision} is not the last rolled-out revision of a variant`);
      if (!member.ready) return refused('Unsupported', `${revision} is not Ready: the split stays as it is`);
    }
    if (route && textOf(splitOf(route)) === textOf(split) && ownersOf(route) === ownersOf(wanted(group, split))) {
      return { changes: [] };
    }
    if (!context.leads()) return refused('NotLeader', 'the lease was lost');
    await context.api.apply(kinds.route, wanted(group, split), { force: true });
    return { changes: [`Route ${namespace}/${name}: ${route ? textOf(splitOf(route)) : 'none'} -> ${textOf(split)}`] };
  }
}

/** The split that a Route asks for; empty where it asks for anything but pinned revisions. */
export function splitOf(route: KubeObject): SplitTarget[] {
  const { traffic } = (route.spec ?? {}) as { traffic?: unknown };
  if (!Array.isArray(traffic)) return [];
  const split: SplitTarget[] = [];
  for (const target of traffic as { revisionName?: unknown; percent?: unknown }[]) {
    if (typeof target?.revisionName !== 'string' || typeof target.percent !== 'number') return [];
    if (target.percent > 0) split.push({ revision: target.revisionName, percent: target.percent });
  }
  return split;
}

function wanted({ namespace, name, members }: VariantGroup, split: readonly SplitTarget[]): KubeObject {
  const owners = new Map(members.map(({ owner }) => [owner.uid, owner]));
  const ownerReferences = [...owners.values()]
    .map(({ apiVersion, kind, name: ownerName, uid }) => ({ apiVersion, kind, name: ownerName, uid }))
    .sort((one, other) => (one.uid < other.uid ? -1 : 1));
  return {
    metadata: { namespace, name, labels: { [variantGroupLabel]: name }, ownerReferences },
    spec: {
      traffic: split.map(({ revision, percent }) => ({ revisionName: revision, percent, latestRevision: false })),
    },
  };
}

function ownersOf(route: KubeObject): string {
  return (route.metadata.ownerReferences ?? [])
    .map(({ uid }) => uid)
    .sort()
    .join(' ');
}

function textOf(split: readonly SplitTarget[]): string {
  return [...split]
    .sort((one, other) => (one.revision < other.revision ? -1 : 1))
    .map(({ revision, percent }) => `${revision} ${percent} %`)
    .join(', ');
}

function refused(reason: ActuationRefusal, message: string): Actuation {
  return { changes: [], refused: { reason, message } };
}
