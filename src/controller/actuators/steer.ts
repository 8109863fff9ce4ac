import { isNotFound } from '../../kube/kube-error.ts';
import { kinds } from '../../kube/objects.ts';
import type { KnativePlan, ServicePlan } from '../../planner/service-plan.ts';
import type { ObservedRevision, ObservedService } from '../reconcile/observed.ts';
import type { Actuation, ActuationContext, ActuationRefusal, Actuator } from './actuator.ts';
import { type Floor, floorOf } from './floor.ts';
import { claim } from './foreign-writes.ts';
import { type Holding, holdingText, originalKey, parseHolding } from './originals.ts';
import { WriteLimit } from './write-limit.ts';

/** The plan with the replicas that a rollout wants to be kept. */
export interface SteerPlan {
  readonly plan: ServicePlan;
  readonly floors: readonly Floor[];
}

const prefix = 'autoscaling.knative.dev/';
const ownKey = originalKey(kinds.revision);
/** Knative wants at least this, and more than six digits would never be the same twice. */
const targetMin = 0.01;
/** A target that moves by less is not written: learned latencies are never twice the same. */
const deadband = 0.1;
/**
 * How long nothing of ours may arrive at a PodAutoscaler, to which Knative carries annotations over. Its client allows itself
 * some forty writes a second: with thousands of services that we meet for the first time it is busy for minutes.
 */
const carriedWithinMs = 180_000;
const behindMax = 50_000;

/**
 * Steers Knative's own autoscaler by annotations of Revisions, which are carried over to the PodAutoscaler live since
 * Knative 1.21. No write makes a revision, and none touches a pod's template.
 */
export class Steer implements Actuator<SteerPlan, ObservedService> {
  readonly name = 'steer';
  readonly #limit = new WriteLimit();
  /**
   * Of revisions whose PodAutoscaler lacks something of ours, by UID, since when it says the same: it never follows if it says so
   * for long, however often we write meanwhile.
   */
  readonly #behind = new Map<string, { readonly sinceMs: number; readonly said: string }>();

  async apply({ plan, floors }: SteerPlan, observed: ObservedService, context: ActuationContext): Promise<Actuation> {
    const changes: string[] = [];
    let refused: Actuation['refused'];
    for (const revision of observed.revisions) {
      const wanted = wantedFor(revision, plan, floors, observed);
      const result = wanted
        ? await this.#hold(revision, wanted, context)
        : { changes: await this.#release(revision, context) };
      changes.push(...result.changes);
      refused ??= 'refused' in result ? result.refused : undefined;
    }
    return refused ? { changes, refused } : { changes };
  }

  async giveBack(observed: ObservedService, context: ActuationContext): Promise<void> {
    for (const revision of observed.revisions) await this.#release(revision, context);
  }

  async #hold(
    revision: ObservedRevision,
    wanted: Record<string, string>,
    context: ActuationContext,
  ): Promise<Actuation> {
    const held = parseHolding(revision.annotations[ownKey]);
    const settled = held ? settle(held.applied, wanted) : wanted;
    const fields = new Set([settled, held?.applied ?? {}, held?.original ?? {}].flatMap(Object.keys));
    const present = Object.fromEntries(
      [...fields].map((field) => [field, revision.annotations[prefix + field] ?? null]),
    );
    const { write, lost, foreign } = claim(held, present, settled);
    const follows = this.#behindMs(revision, held?.applied ?? {}, context.monotonicMs) < carriedWithinMs;
    const unsupported = follows ? {} : { refused: neverFollows(revision) };
    if (!write) {
      if (lost) return refusal('ForeignWriter', `${revision.name}: somebody else writes the autoscaling annotations`);
      return { changes: [], ...unsupported };
    }
    if (!context.leads()) return refusal('NotLeader', 'the lease was lost');
    // More replicas never wait: a promise is at stake, and the plan has its own brake.
    const raises = Number(settled['min-scale']) > Number(present['min-scale'] ?? 0);
    if (!raises && !this.#limit.take(revision.uid, context.nowMs))
      return refusal('RateLimited', `${revision.name}: written too often`);
    await this.#write(revision, write, context);
    if (lost) {
      return refusal('ForeignWriter', `${revision.name}: somebody else changed ${foreign.join(', ')} three times`);
    }
    return {
      changes: Object.entries(settled).flatMap(([field, value]) => told(revision, field, present[field], value)),
      ...unsupported,
    };
  }

  /**
   * Server-side apply: a field that is no longer named is taken out by it. One that we let go of, and that had a value
   * before us, is therefore named with that value for as long as it keeps it.
   */
  async #write(revision: ObservedRevision, holding: Holding, { api }: ActuationContext): Promise<void> {
    const { namespace, name, resourceVersion } = revision;
    const annotations: Record<string, string> = { [ownKey]: holdingText(holding) };
    for (const [field, value] of Object.entries(holding.applied)) annotations[prefix + field] = value;
    for (const [field, value] of Object.entries(holding.original)) {
      if (!Object.hasOwn(holding.applied, field) && value !== null) annotations[prefix + field] = value;
    }
    // What we decided is about the revision as we saw it: with its version a change in between is a conflict.
    await api.apply(kinds.revision, { metadata: { namespace, name, resourceVersion, annotations } }, { force: true });
  }

  /** For how long its PodAutoscaler has said the same, which is not what we applied; ms. 0 where it follows. */
  #behindMs({ uid, podAutoscaler }: ObservedRevision, applied: Holding['applied'], nowMs: number): number {
    const there = podAutoscaler?.annotations;
    if (!there || Object.entries(applied).every(([field, value]) => there[prefix + field] === value)) {
      this.#behind.delete(uid);
      return 0;
    }
    const said = JSON.stringify(there);
    const known = this.#behind.get(uid);
    if (known?.said === said) return nowMs - known.sinceMs;
    this.#behind.delete(uid);
    this.#behind.set(uid, { sinceMs: nowMs, said });
    if (this.#behind.size > behindMax) this.#behind.delete(this.#behind.keys().next().value as string);
    return 0;
  }

  /** @returns what was given back, one sentence. */
  async #release(revision: ObservedRevision, context: ActuationContext): Promise<string[]> {
    const held = parseHolding(revision.annotations[ownKey]);
    if (!held || !context.leads()) return [];
    const annotations: Record<string, string | null> = { [ownKey]: null };
    for (const [field, written] of Object.entries(held.applied)) {
      // What somebody else wrote since is theirs.
      if (revision.annotations[prefix + field] === written) annotations[prefix + field] = held.original[field] ?? null;
    }
    const { namespace, name, resourceVersion } = revision;
    try {
      await context.api.mergePatch(kinds.revision, { namespace, name }, { metadata: { resourceVersion, annotations } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    this.#behind.delete(revision.uid);
    return [`revision ${name}: given back, nothing is planned for it`];
  }
}

/** What we want on a revision; undefined where it should not be ours. */
function wantedFor(
  revision: ObservedRevision,
  plan: ServicePlan,
  floors: SteerPlan['floors'],
  observed: ObservedService,
): Record<string, string> | undefined {
  const own = plan.revisions.find(({ name }) => name === revision.name);
  const floor = floorOf(floors, revision.name);
  // A revision that nothing is planned for yet is told what its predecessor is told.
  const knative = own?.knative ?? (floor > 0 ? plan.knative : undefined);
  if (!knative) return undefined;
  const { maxReplicas } = observed;
  const least = own ? knative.minScale : 0;
  const minScale = Math.max(least, floor);
  return annotationsOf({ ...knative, minScale: maxReplicas > 0 ? Math.min(minScale, maxReplicas) : minScale });
}

function annotationsOf(plan: KnativePlan): Record<string, string> {
  const { target, minScale, maxScale, targetBurstCapacity, windowSec } = plan;
  return {
    target: String(Number(Math.max(targetMin, target).toPrecision(3))),
    'min-scale': String(Math.max(0, Math.round(minScale))),
    ...(maxScale > 0 ? { 'max-scale': String(Math.round(maxScale)) } : {}),
    'target-burst-capacity': String(Math.max(-1, Math.round(targetBurstCapacity))),
    ...(windowSec === undefined ? {} : { window: `${Math.min(3600, Math.max(6, Math.round(windowSec)))}s` }),
  };
}

/** Keeps what was applied where what is wanted is nearly the same. */
function settle(applied: Readonly<Record<string, string>>, wanted: Record<string, string>): Record<string, string> {
  const result = { ...wanted };
  for (const field of ['target', 'target-burst-capacity'] as const) {
    const [before, now] = [Number(applied[field]), Number(wanted[field])];
    // -1 and 0 mean something of their own.
    if (before > 0 && now > 0 && Math.abs(now - before) <= deadband * before) result[field] = applied[field] as string;
  }
  return result;
}

function told(revision: ObservedRevision, field: string, before: string | null | undefined, now: string): string[] {
  return before === now ? [] : [`revision ${revision.name}: ${field} ${before ?? 'unset'} -> ${now}`];
}

function neverFollows({ name }: ObservedRevision): NonNullable<Actuation['refused']> {
  return {
    reason: 'Unsupported',
    message: `${name}: its PodAutoscaler does not follow its annotations, as before Knative 1.21: update Knative`,
  };
}

function refusal(reason: ActuationRefusal, message: string): Actuation {
  return { changes: [], refused: { reason, message } };
}
