import { isConflict, isNotFound } from '../../kube/kube-error.ts';
import { kinds } from '../../kube/objects.ts';
import type { ServicePlan } from '../../planner/service-plan.ts';
import { podAutoscalerClass } from '../../policy/service-view.ts';
import type { AutoscalerStatus, ObservedRevision, ObservedService, OwnAutoscaler } from '../reconcile/observed.ts';
import type { Actuation, ActuationContext, ActuationRefusal, Actuator } from './actuator.ts';
import {
  classKey,
  classOf,
  handedOverKey,
  handOverAnnotations,
  knativeClass,
  ownAutoscalerOf,
} from './autoscaler-class.ts';
import { classReplicas, type ReplicaOrder } from './class-replicas.ts';
import { type Floor, floorOf } from './floor.ts';
import { revertsMax } from './foreign-writes.ts';
import { autoscalerStatus, conditionOf, isTrue } from './pod-autoscaler-status.ts';
import { holdServerlessService, modeFor } from './serverless-service.ts';
import { Since } from './since.ts';
import { WriteLimit } from './write-limit.ts';

/** What the class actuator carries out. Without a plan replicas stay as they are. */
export interface ClassPlan {
  readonly plan: ServicePlan | undefined;
  readonly floors: readonly Floor[];
}

/** What is known of one revision's Deployment. */
interface Scaled {
  /** What its Deployment asked for when it was last read or written, and what was being written then. */
  readonly replicas: number;
  readonly writing: number;
  readonly readMs: number;
  /** How often somebody else changed it. */
  readonly reverts: number;
}

const readEveryMs = 60_000;
/** Replicas that differ from what was written show in the pods; so soon that is looked into. */
const rereadMs = 5_000;
/** Knative's activation buffer: its Revision reconciler sees the Deployment's own deadline before ours is over. */
const bufferMs = 30_000;
/** So long requests that were on their way to a revision may still arrive after its Route has left it. */
const graceMs = 30_000;
/** A revision that nothing is planned for any more keeps its replicas for this long: Knative's stable window. */
const unplannedMs = 60_000;
const remembered = 20_000;

/**
 * Answers for the PodAutoscalers of our own class, as Knative's autoscalers do for theirs: their ServerlessService, their
 * Deployment's replicas and their status. Nobody else does, so this goes on whatever the plan is: a new Revision becomes
 * Ready only through that status. With the controller gone replicas stay, and only new Revisions wait for it.
 *
 * It gives back by handing a Revision to Knative's own autoscaler, which goes on from the replicas that it finds.
 */
export class OwnClass implements Actuator<ClassPlan, ObservedService> {
  readonly name = 'class';
  readonly #limit = new WriteLimit();
  /** By the UID of a Revision. */
  readonly #scaled = new Map<string, Scaled>();
  /** Since when a revision has been coming up. */
  readonly #coming = new Since(remembered);
  /** Since when nothing has been planned for a revision. */
  readonly #unplanned = new Since(remembered);

  async apply(plan: ClassPlan, observed: ObservedService, context: ActuationContext): Promise<Actuation> {
    const results: Actuation[] = [];
    for (const revision of observed.revisions) {
      if (revision.annotations[handedOverKey] !== undefined) results.push(await this.#takeBack(revision, context));
      else results.push(await this.#attend(revision, plan, observed, context));
    }
    const refused = results.find((each) => each.refused)?.refused;
    const changes = results.flatMap((each) => each.changes);
    return refused ? { changes, refused } : { changes };
  }

  /** Answers for what is ours while nothing can be decided: replicas stay, and new Revisions become Ready. */
  async keep(observed: ObservedService, context: ActuationContext): Promise<void> {
    const nothing = { plan: undefined, floors: [] };
    for (const revision of observed.revisions) await this.#attend(revision, nothing, observed, context);
  }

  /** Until it is applied again. */
  async giveBack(observed: ObservedService, context: ActuationContext): Promise<void> {
    await this.#handOver(observed, { [handedOverKey]: podAutoscalerClass }, context);
  }

  /** For good: nothing of ours stays on the Revision. */
  async leave(observed: ObservedService, context: ActuationContext): Promise<void> {
    await this.#handOver(observed, { [handedOverKey]: null }, context);
  }

  async #handOver(
    { revisions }: ObservedService,
    note: Record<string, string | null>,
    context: ActuationContext,
  ): Promise<void> {
    for (const revision of revisions) {
      const ours = revision.annotations[classKey] === podAutoscalerClass || classOf(revision) === podAutoscalerClass;
      const noted = revision.annotations[handedOverKey] ?? null;
      // What Knative has not carried over yet is on its way.
      const handed = revision.annotations[classKey] === knativeClass;
      if ((!ours || handed) && (noted === null || noted === note[handedOverKey])) continue;
      await annotate(revision, { ...handOverAnnotations(revision.annotations), ...note }, context);
      this.#scaled.delete(revision.uid);
    }
  }

  async #takeBack(revision: ObservedRevision, context: ActuationContext): Promise<Actuation> {
    if (!context.leads()) return refusal('NotLeader', 'the lease was lost');
    await annotate(revision, { [classKey]: podAutoscalerClass, [handedOverKey]: null }, context);
    this.#scaled.delete(revision.uid);
    return { changes: [`revision ${revision.name}: class ${knativeClass} -> ${podAutoscalerClass}`] };
  }

  async #attend(
    revision: ObservedRevision,
    plan: ClassPlan,
    observed: ObservedService,
    context: ActuationContext,
  ): Promise<Actuation> {
    const own = ownAutoscalerOf(revision);
    if (!own || !context.leads()) return { changes: [] };
    const pods = observed.pods.filter((pod) => pod.revision === revision.name && !pod.ending);
    const ready = pods.filter(({ readyMs }) => readyMs !== undefined).length;
    try {
      const before = await this.#replicas(own, revision, pods.length, context);
      const planned = plan.plan?.revisions.find(({ name }) => name === revision.name);
      const order: ReplicaOrder = {
        ...boundsOf(own, revision, observed),
        planned: planned?.replicas ?? this.#replicasUnplanned(revision, plan, context),
        floor: floorOf(plan.floors, revision.name),
        current: before.replicas,
        failed: this.#failed(own, revision, ready, context),
      };
      const lost = before.reverts >= revertsMax;
      const wanted = lost ? before.replicas : classReplicas(order);
      const mode = modeFor(
        wanted,
        ready,
        observed.containerConcurrency,
        planned ? planned.knative.targetBurstCapacity : undefined,
        revision.serverlessService?.mode ?? 'Serve',
      );
      const service = await holdServerlessService(revision, own, mode, context);
      const scaled = lost
        ? refusal('ForeignWriter', `${revision.name}: somebody else changed its replicas three times`)
        : await this.#scale(own, revision, wanted, before, context);
      await this.#report(own, revision, {
        status: autoscalerStatus(own, {
          nowMs: context.nowMs,
          wanted,
          ready,
          threshold: thresholdOf(order),
          serverlessService: service === 'held' ? revision.serverlessService : undefined,
          notOwned: service === 'foreign',
          failed: order.failed,
        }),
        context,
      });
      return scaled;
    } catch (error) {
      // The revision goes, or somebody wrote in between: what is new wakes us.
      if (isNotFound(error) || isConflict(error)) return { changes: [] };
      throw error;
    }
  }

  /** What the Deployment asks for: read when it is not known, when the pods say otherwise, and now and then. */
  async #replicas(
    { scaleTargetRef }: OwnAutoscaler,
    { namespace, uid }: ObservedRevision,
    pods: number,
    { api, monotonicMs }: ActuationContext,
  ): Promise<Scaled> {
    const known = this.#scaled.get(uid);
    const ageMs = known ? monotonicMs - known.readMs : Number.POSITIVE_INFINITY;
    const settled = known && known.replicas === known.writing;
    if (known && settled && ageMs < (pods === known.replicas ? readEveryMs : rereadMs)) return known;
    const { spec } = await api.get(kinds.deployment, { namespace, name: String(scaleTargetRef.name) });
    const replicas = (spec as { replicas?: number } | undefined)?.replicas ?? 1;
    const foreign = known !== undefined && replicas !== known.replicas && replicas !== known.writing;
    const reverts = (known?.reverts ?? 0) + (foreign ? 1 : 0);
    return this.#remember(uid, { replicas, writing: replicas, readMs: monotonicMs, reverts });
  }

  async #scale(
    { scaleTargetRef, status }: OwnAutoscaler,
    { namespace, name, uid, serverlessService }: ObservedRevision,
    wanted: number,
    before: Scaled,
    { api, leads, nowMs }: ActuationContext,
  ): Promise<Actuation> {
    if (wanted === before.replicas) return { changes: [] };
    if (wanted === 0 && !isIdle(status, serverlessService?.mode, nowMs)) return { changes: [] };
    if (!leads()) return refusal('NotLeader', 'the lease was lost');
    if (wanted < before.replicas && !this.#limit.take(uid, nowMs)) {
      return refusal('RateLimited', `${name}: written too often`);
    }
    // An answer that is lost must not make our own write look like somebody else's.
    this.#remember(uid, { ...before, writing: wanted });
    await api.scale(kinds.deployment, { namespace, name: String(scaleTargetRef.name) }, wanted);
    this.#remember(uid, { ...before, replicas: wanted, writing: wanted });
    return { changes: [`revision ${name}: replicas ${before.replicas} -> ${wanted}`] };
  }

  async #report(
    { resourceVersion, status: said }: OwnAutoscaler,
    { namespace, name }: ObservedRevision,
    { status, context }: { readonly status: AutoscalerStatus; readonly context: ActuationContext },
  ): Promise<void> {
    // Both have their fields in the same order: what was read was put in that of what is written.
    if (JSON.stringify(said) === JSON.stringify(status) || !context.leads()) return;
    await context.api.mergePatch(
      kinds.podAutoscaler,
      { namespace, name },
      { metadata: { resourceVersion }, status },
      { subresource: 'status' },
    );
  }

  /** Whether a revision did not come up in time, with not one replica Ready. It stays so: only a new one helps. */
  #failed(own: OwnAutoscaler, { uid }: ObservedRevision, ready: number, { monotonicMs }: ActuationContext): boolean {
    if (isTrue(own, 'ScaleTargetInitialized') || ready > 0) {
      this.#coming.end(uid);
      return false;
    }
    if (conditionOf(own, 'Active')?.reason === 'TimedOut') return true;
    return this.#coming.lastsMs(uid, monotonicMs) > own.progressDeadlineMs + bufferMs;
  }

  /** Where there is a plan, and it has nothing to say about a revision for long: none. */
  #replicasUnplanned({ uid, name }: ObservedRevision, { plan }: ClassPlan, context: ActuationContext) {
    if (!plan || plan.revisions.some((each) => each.name === name)) this.#unplanned.end(uid);
    else if (this.#unplanned.lastsMs(uid, context.monotonicMs) >= unplannedMs) return 0;
    return undefined;
  }

  #remember(uid: string, scaled: Scaled): Scaled {
    this.#scaled.delete(uid);
    this.#scaled.set(uid, scaled);
    if (this.#scaled.size > remembered) this.#scaled.delete(this.#scaled.keys().next().value as string);
    return scaled;
  }
}

/** Ready replicas from which on Knative counts a revision as active (kpa.go, activeThreshold). */
function thresholdOf({ minScale, initialScale, initialized, reachable }: ReplicaOrder): number {
  return Math.max(reachable ? minScale : 0, initialized ? 1 : initialScale, 1);
}

function boundsOf(own: OwnAutoscaler, { reachable }: ObservedRevision, { knative }: ObservedService) {
  // Knative reads a hyphenated key before its alias in camel case.
  const read = (...names: string[]) => {
    const text = names.map((name) => own.annotations[`autoscaling.knative.dev/${name}`]).find((each) => each);
    return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
  };
  return {
    minScale: read('min-scale', 'minScale') ?? knative.minScale,
    maxScale: read('max-scale', 'maxScale') ?? knative.maxScale,
    initialScale: read('initial-scale', 'initialScale') ?? knative.initialScale,
    initialized: isTrue(own, 'ScaleTargetInitialized'),
    reachable,
  };
}

/** Whether no request can be on its way to the pods of a revision any more. */
function isIdle({ conditions }: AutoscalerStatus, mode: 'Serve' | 'Proxy' | undefined, nowMs: number): boolean {
  const active = conditions.find(({ type }) => type === 'Active');
  if (active?.status !== 'False' || mode !== 'Proxy') return false;
  return nowMs - Date.parse(active.lastTransitionTime) >= graceMs;
}

async function annotate(
  { namespace, name, resourceVersion }: ObservedRevision,
  annotations: Record<string, string | null>,
  { api, leads }: ActuationContext,
): Promise<void> {
  if (!leads()) return;
  try {
    await api.mergePatch(kinds.revision, { namespace, name }, { metadata: { resourceVersion, annotations } });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

function refusal(reason: ActuationRefusal, message: string): Actuation {
  return { changes: [], refused: { reason, message } };
}
