import { type RolloutEvidence, RolloutReason } from '../../kernels/rollout-evidence.ts';
import { isNotFound } from '../../kube/kube-error.ts';
import { type KubeObject, kinds } from '../../kube/objects.ts';
import type { InferencePolicyStatus } from '../../policy/inference-policy.ts';
import { Canary } from '../actuators/canary.ts';
import { predictorServiceName } from '../pod-identity.ts';
import type { ObservedPod } from '../reconcile/observed.ts';
import type { HeardPod, RolloutInput, RolloutOutcome, RolloutStep } from '../reconcile/rollout-step.ts';
import { isStarved } from '../signals/starved.ts';
import { bypassedCanaries, bypassMessage, canaryNames } from './bypass.ts';
import { explain } from './explain.ts';
import { OutcomeCounter } from './outcome-counter.ts';
import { planRollout, type RolloutPlan } from './rollout.ts';
import { type RolloutState, readRolloutState, rolloutStateText, sameWalk } from './state.ts';
import { VariantRoutes } from './variant-routes.ts';
import type { RevisionView, RolloutView } from './view.ts';

type RolloutStatus = NonNullable<InferencePolicyStatus['rollout']>;

/** How old the stored evidence may be while nothing else changes: what a restart loses at most. */
const storeEveryMs = 10_000;

/** What is kept of a service between looks, so that not every second's evidence has to be stored. */
interface Kept {
  readonly counter: OutcomeCounter;
  /** The lease's transitions when this was made: another leader may have walked on since. */
  readonly transitions: number;
  state: RolloutState | undefined;
  stored: RolloutState | undefined;
  storedMs: number;
  reason: RolloutReason | undefined;
  /** When canaries of Standard mode were last looked for, and what was said of them. */
  bypassMs: number;
  bypass: string;
}

/** Walks the canaries of all services: looks at each, stores what it means to do, and then does it. */
export class Rollout implements RolloutStep {
  readonly #kernel: RolloutEvidence;
  readonly #canary = new Canary();
  readonly #variants = new VariantRoutes();
  readonly #kept = new Map<string, Kept>();
  /** Declared accuracy by revision, which never changes. */
  readonly #accuracies = new Map<string, number | undefined>();

  constructor(kernel: RolloutEvidence) {
    this.#kernel = kernel;
  }

  async look(input: RolloutInput): Promise<RolloutOutcome> {
    const { observed, context } = input;
    const kept = this.#keptOf(input);
    const view = await this.#viewOf(input, kept);
    const plan = planRollout(kept.state, view, this.#kernel);
    kept.state = plan.state;
    if (plan.state) await this.#store(input, plan.state, plan, kept);
    const changes: { reason: string; message: string }[] = [];
    if (plan.state && kept.reason !== plan.reason && told(plan.reason)) {
      changes.push({ reason: RolloutReason[plan.reason] ?? 'Unknown', message: explain(plan) });
    }
    kept.reason = plan.reason;
    const variants = await this.#variants.look(input);
    changes.push(...variants.notes);
    if (observed.deploymentMode === 'standard' && input.policy.rollout === 'auto') {
      changes.push(...(await this.#bypassed(input, kept)));
    }
    if (input.policy.mode === 'act') {
      const { namespace, name } = observed.target;
      const target = { ...observed, target: { namespace, name } };
      const written = await this.#canary.apply({ percent: plan.percent }, target, context);
      if (written.refused)
        context.log.info({ service: `${namespace}/${name}`, ...written.refused }, 'canary not written');
    }
    return { floors: [...plan.floors, ...variants.floors], pollMs: plan.pollMs, changes };
  }

  async giveBack({
    observed,
    context,
  }: Omit<RolloutInput, 'policy' | 'plan' | 'problem' | 'prices' | 'variantsOf'>): Promise<void> {
    const { namespace, name } = observed.target;
    this.#kept.delete(observed.uid);
    if (observed.target.kind !== 'InferenceService') return;
    await this.#canary.giveBack({ ...observed, target: { namespace, name } }, context);
  }

  #keptOf({ observed, status, context }: RolloutInput): Kept {
    const known = this.#kept.get(observed.uid);
    if (known && known.transitions === context.transitions) return known;
    const state = readRolloutState(status?.state);
    const kept: Kept = {
      counter: new OutcomeCounter(),
      transitions: context.transitions,
      state,
      stored: state,
      storedMs: 0,
      reason: state?.reason,
      bypassMs: Number.NEGATIVE_INFINITY,
      bypass: '',
    };
    // Services that are gone are never looked at again: the one looked at first goes, and is read from its status if need be.
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined && this.#kept.size >= servicesMax) this.#kept.delete(oldest);
    this.#kept.set(observed.uid, kept);
    return kept;
  }

  /** Intent first: a share that is asked for is in the status before it is written. */
  async #store(input: RolloutInput, state: RolloutState, plan: RolloutPlan, kept: Kept): Promise<void> {
    const { nowMs } = input.context;
    const due = kept.stored === undefined || !sameWalk(kept.stored, state);
    const old = nowMs - kept.storedMs >= storeEveryMs && state.phase === 'walking' && kept.stored !== state;
    if (!due && !old) return;
    const status: RolloutStatus = {
      phase: state.phase,
      reason: RolloutReason[plan.reason] ?? 'Unknown',
      message: explain(plan).slice(0, 1024),
      ...(state.percent === null ? {} : { canaryPercent: state.percent }),
      stableRevision: state.stable,
      ...(state.candidate === '' ? {} : { canaryRevision: state.candidate }),
      state: rolloutStateText(state),
    };
    await input.store(status);
    kept.stored = state;
    kept.storedMs = nowMs;
  }

  async #viewOf(input: RolloutInput, kept: Kept): Promise<RolloutView> {
    const { observed, policy, plan, pods, prices } = input;
    const outcomes = kept.counter.take(
      pods.map(({ uid, revision, signals }) => ({
        uid,
        revision,
        uptimeMs: signals?.uptimeMs ?? 0,
        totals: signals?.totals,
        starved: signals !== undefined && isStarved(signals, policy.sloMs),
      })),
    );
    const consent = policy.rollout === 'auto' && observed.target.kind === 'InferenceService';
    const revisions = new Map<string, RevisionView>();
    for (const { name } of observed.revisions) {
      const own = pods.filter((pod) => pod.revision === name);
      const capacity = plan?.revisions.find((each) => each.name === name)?.capacityPerReplica;
      revisions.set(name, {
        readyReplicas: own.filter(({ ready }) => ready).length,
        room: roomFor(
          observed.pods.filter((pod) => pod.revision === name),
          input.context.nowMs,
        ),
        outcomes: outcomes.get(name),
        calls: outcomes.get(name)?.calls,
        capacity: capacity && capacity > 0 ? capacity : undefined,
        latencyMs: curveOf(own),
        price: prices.get(name),
        accuracy: consent ? await this.#accuracyOf(input, name, kept) : undefined,
      });
    }
    return {
      nowMs: input.context.nowMs,
      consent,
      deploymentMode: observed.deploymentMode,
      percent: observed.canaryTrafficPercent,
      predictor: {
        latestCreatedRevision: observed.latestCreatedRevision,
        latestReadyRevision: observed.latestReadyRevision,
        latestRolledoutRevision: observed.latestRolledoutRevision,
        traffic: observed.revisions.map(({ name, trafficPercent, hasLatestTraffic }) => ({
          revisionName: name,
          percent: trafficPercent,
          latestRevision: hasLatestTraffic,
        })),
      },
      quantile: policy.sloQuantile,
      accuracyFloor: policy.minAccuracy,
      budget: plan?.budgetIgnored ? undefined : policy.budget?.perHour,
      load: plan?.demand,
      plannedReplicas:
        plan?.replicas ?? Math.max(observed.pods.filter(({ readyMs }) => readyMs !== undefined).length, 1),
      maxReplicas: observed.maxReplicas,
      revisions,
    };
  }

  /** Canaries of Standard mode whose Service goes around the companion: said when that changes. */
  async #bypassed({ observed, context }: RolloutInput, kept: Kept): Promise<{ reason: string; message: string }[]> {
    if (context.nowMs - kept.bypassMs < bypassEveryMs) return [];
    kept.bypassMs = context.nowMs;
    const { namespace, name } = observed.target;
    const service = await context.api.get(kinds.inferenceService, { namespace, name });
    const services = new Map<string, KubeObject>();
    for (const canary of canaryNames(service)) {
      const own = predictorServiceName(name, canary);
      const found = await context.api.get(kinds.service, { namespace, name: own }).catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      if (found) services.set(own, found);
    }
    const bypassed = bypassedCanaries(service, services);
    const message = bypassed.length === 0 ? '' : bypassMessage(bypassed);
    if (message === kept.bypass) return [];
    kept.bypass = message;
    return message === '' ? [] : [{ reason: 'CanaryBypassed', message }];
  }

  /** A revision's annotations are those that the service had when it was made: both declared accuracies are there. */
  async #accuracyOf(
    { observed, context }: RolloutInput,
    revision: string,
    { state }: Kept,
  ): Promise<number | undefined> {
    if (revision !== state?.candidate && revision !== state?.stable) return undefined;
    const { namespace } = observed.target;
    const key = `${namespace}/${revision}`;
    if (this.#accuracies.has(key)) return this.#accuracies.get(key);
    let accuracy: number | undefined;
    try {
      const { metadata } = await context.api.get(kinds.revision, { namespace, name: revision });
      const declared = Number(metadata.annotations?.['paceline.dev/accuracy'] ?? Number.NaN);
      accuracy = declared >= 0 && declared <= 1 ? declared : undefined;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    if (this.#accuracies.size >= accuraciesMax) this.#accuracies.clear();
    this.#accuracies.set(key, accuracy);
    return accuracy;
  }
}

/** Canaries of Standard mode come and go with the service's spec, which is rarely edited. */
const bypassEveryMs = 60_000;
const accuraciesMax = 10_000;
const servicesMax = 20_000;

/** Reasons that are events. The others are how a walk always goes: they are in the status. */
function told(reason: RolloutReason): boolean {
  return reason !== RolloutReason.Idle && reason !== RolloutReason.Settling && reason !== RolloutReason.Gathering;
}

/** So long an autoscaler of nodes may take to add one. */
const nodeWithinMs = 300_000;

/** How many of these have a node, where others have waited too long for one. */
function roomFor(pods: readonly ObservedPod[], nowMs: number): number | undefined {
  const live = pods.filter(({ ending }) => !ending);
  const waits = live.some(({ node, createdMs }) => node === undefined && nowMs - createdMs > nodeWithinMs);
  return waits ? live.filter(({ node }) => node !== undefined).length : undefined;
}

/** The learned time by batch size, as the mean over the pods that were heard. */
function curveOf(pods: readonly HeardPod[]): { items: number; expected: number }[] {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const { signals } of pods) {
    // A companion that has seen nothing tells its prior.
    if (!signals || (signals.totals?.batches ?? 0) < 10) continue;
    for (const { items, expected } of signals.latencyMs) {
      const { sum, count } = sums.get(items) ?? { sum: 0, count: 0 };
      sums.set(items, { sum: sum + expected, count: count + 1 });
    }
  }
  return [...sums].map(([items, { sum, count }]) => ({ items, expected: sum / count }));
}
