import { type Chance, jittered } from '../../kube/clock.ts';
import { EventRecorder } from '../../kube/event-recorder.ts';
import { FencedApi } from '../../kube/fenced-api.ts';
import type { KubeApi } from '../../kube/kube-api.ts';
import { isNotFound } from '../../kube/kube-error.ts';
import { kinds, type ResourceKind } from '../../kube/objects.ts';
import { type Again, WorkQueue } from '../../kube/work-queue.ts';
import { planService } from '../../planner/plan-service.ts';
import type { ServicePlan } from '../../planner/service-plan.ts';
import type { ServiceProblem } from '../../planner/service-problem.ts';
import { Batch } from '../actuators/batch.ts';
import { OwnClass } from '../actuators/class.ts';
import { ScaleDeployment } from '../actuators/deployment.ts';
import { Steer } from '../actuators/steer.ts';
import type { LeaderPart, PartContext } from '../part.ts';
import { SignalError } from '../signals/parse-signals.ts';
import { callPod, type PodCall } from '../signals/pod-call.ts';
import { SignalPoller } from '../signals/signal-poller.ts';
import { ColdStarts } from './cold-starts.ts';
import { Enforcement } from './enforcement.ts';
import { ReconcileMetrics } from './metrics.ts';
import type { ProjectedPod } from './projections.ts';
import { Reconciler } from './reconciler.ts';
import type { RolloutStep } from './rollout-step.ts';
import { World } from './world.ts';

/** What a test may put in place of the real thing. */
export interface ReconcilePartOptions {
  readonly rollout: RolloutStep;
  readonly call?: PodCall;
  readonly chance?: Chance;
  readonly plan?: (problem: ServiceProblem) => ServicePlan;
  /** Where Knative runs: its usual namespace unless given. */
  readonly knativeNamespace?: string;
}

/** They mostly wait for answers. */
const workers = 32;
/** Services that wait for a worker beyond which there is more to do than to ask: some seconds' work. */
const busyFrom = 1_000;
const withoutLeadMs = 1_000;
/** How often it is asked whether what was not there is there now. */
const lookAgainMs = 60_000;
/** Services are looked at again after this long, whatever the watches say. */
const resyncMs = 600_000;
/** A service whose signals show that its last plan is outdated is looked at before its turn. */
const demandJump = 1.25;

/** The leader's work on services: watches, asks companions, plans and carries out. */
export class ReconcilePart implements LeaderPart {
  readonly name = 'reconcile';
  readonly #options: ReconcilePartOptions;
  #running: Running | undefined;
  #wanted = false;
  #cancelLook: (() => void) | undefined;

  constructor(options: ReconcilePartOptions) {
    this.#options = options;
  }

  async start(context: PartContext): Promise<void> {
    const found = await kindsOf(context.api);
    if (!found.knative && !found.kserve) {
      context.log.warn({}, 'the cluster has neither KServe nor Knative yet: there is nothing to do');
    }
    this.#wanted = true;
    this.#begin(context, found);
  }

  async stop(): Promise<void> {
    this.#wanted = false;
    this.#cancelLook?.();
    await this.#running?.stop();
    this.#running = undefined;
  }

  #begin(context: PartContext, found: Found): void {
    this.#running = new Running(context, this.#options, found);
    this.#running.start();
    if (found.knative && found.kserve) return;
    // What is installed after us is served too.
    this.#cancelLook = context.clock.after(lookAgainMs, () => void this.#lookAgain(context, found));
  }

  async #lookAgain(context: PartContext, before: Found): Promise<void> {
    const found = await kindsOf(context.api).catch((error: unknown) => {
      context.log.warn({ error: String(error) }, 'whether KServe and Knative are there could not be asked');
      return before;
    });
    if (!this.#wanted) return;
    if (found.knative === before.knative && found.kserve === before.kserve) {
      this.#cancelLook = context.clock.after(lookAgainMs, () => void this.#lookAgain(context, before));
      return;
    }
    context.log.info({ ...found }, 'KServe or Knative has been installed: everything is watched anew');
    await this.#running?.stop();
    if (this.#wanted) this.#begin(context, found);
  }
}

class Running {
  readonly #context: PartContext;
  readonly #chance: Chance;
  readonly #world: World;
  readonly #queue: WorkQueue;
  readonly #poller: SignalPoller;
  readonly #reconciler: Reconciler;
  readonly #events: EventRecorder;
  readonly #metrics: ReconcileMetrics;
  readonly #allColdStarts = new ColdStarts();
  /** Pods that were seen before they were Ready, with when; and pods whose start has been counted. */
  readonly #born = new Map<string, number>();
  #ready = false;
  #stopped = false;
  #cancelResync: (() => void) | undefined;

  constructor(context: PartContext, options: ReconcilePartOptions, has: Found) {
    const { clock, log, policyKeys, leaseTransitions } = context;
    const leads = () => !this.#stopped && context.leads();
    const api = new FencedApi(context.api, leads);
    const chance = options.chance ?? Math.random;
    const call = options.call ?? callPod;
    this.#context = context;
    this.#chance = chance;
    this.#world = new World({
      ...has,
      knativeNamespace: options.knativeNamespace ?? 'knative-serving',
      api,
      clock,
      chance,
      log,
      onService: (service) => this.#wake(service),
      onPod: (now, before) => this.#pod(now, before),
      onPrices: () => this.#all(),
    });
    this.#poller = new SignalPoller({
      call,
      clock,
      chance,
      busy: () => this.#queue.waiting > busyFrom,
      onReport: (service, pod, { signals, atMs }) => {
        const memory = this.#reconciler.memoryOf(service);
        const first = memory.heardMs === undefined;
        memory.heardMs = atMs;
        memory.demand.take(pod.key, signals.arrivals, atMs);
        const { plan } = memory;
        const lately = memory.demand.lately(atMs);
        const jump = plan && lately > demandJump * plan.demand && lately > plan.demand + 3 * Math.sqrt(plan.demand + 1);
        const missed = plan && signals.attainment !== undefined && signals.attainment < plan.expect.attainment - 0.05;
        if (first || jump || missed) this.#wake(service);
        // The others are asked at once what they get; the next pass says how often from then on.
        if (memory.demand.isRising(atMs)) this.#poller.setFast(service, true);
      },
      onFailure: (_, error) => this.#metrics.failed(error instanceof SignalError ? 'refused' : 'unreachable'),
    });
    this.#queue = new WorkQueue({ work: (key) => this.#work(key), clock, chance, log, parallel: workers });
    this.#metrics = new ReconcileMetrics(context.metrics, {
      pods: () => this.#poller.size,
      waiting: () => this.#queue.waiting,
    });
    this.#events = new EventRecorder({ api, clock, log, component: 'paceline' });
    this.#reconciler = new Reconciler({
      api,
      clock,
      chance,
      log,
      world: this.#world,
      poller: this.#poller,
      events: this.#events,
      metrics: this.#metrics,
      enforcement: new Enforcement({
        steer: new Steer(),
        ownClass: new OwnClass(),
        deployment: new ScaleDeployment(),
        batch: new Batch(call, () => policyKeys.signingKeyPem()),
        rollout: options.rollout,
      }),
      allColdStarts: this.#allColdStarts,
      plan: options.plan ?? planService,
      leads,
      transitions: leaseTransitions,
    });
  }

  /** Begins to watch. Nothing is decided before everything was listed once: half a picture looks like a small service. */
  start(): void {
    this.#world.start();
    void this.#world.whenSynced().then(() => {
      if (this.#stopped) return;
      this.#ready = true;
      this.#all();
      this.#resync();
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelResync?.();
    this.#poller.stop();
    this.#events.stop();
    await Promise.all([this.#queue.stop(), this.#world.stop()]);
    this.#metrics.close();
  }

  async #work(key: string): Promise<Again | undefined> {
    // A leader of before that was not told yet only waits.
    if (!this.#context.leads()) return { afterMs: withoutLeadMs };
    return await this.#reconciler.reconcile(key);
  }

  #wake(service: string): void {
    if (this.#ready) this.#queue.add(service);
  }

  #all(): void {
    if (!this.#ready) return;
    for (const service of this.#world.services()) this.#queue.add(service);
  }

  #resync(): void {
    this.#cancelResync = this.#context.clock.after(jittered(resyncMs, 0.1, this.#chance), () => {
      this.#all();
      this.#resync();
    });
  }

  #pod(now: ProjectedPod | undefined, before: ProjectedPod | undefined): void {
    const pod = (now ?? before) as ProjectedPod;
    const key = `${pod.namespace}/${pod.name}`;
    this.#learnColdStart(now, before);
    if (now?.companion && now.ip !== undefined && !now.ending) {
      const { service, uid, revision, ip } = now;
      this.#poller.add({ key, service, uid, revision, ip }, this.#ready ? 500 : 10_000);
      return;
    }
    this.#poller.remove(key);
    // Who ends gets no more requests: others get them, and it must not count with its rate of late beside them.
    if (!now || now.ending) this.#reconciler.known(pod.service)?.demand.forget(key);
  }

  /** From a pod's creation to its Ready condition: by our own clock where both were seen, else by the API's seconds. */
  #learnColdStart(now: ProjectedPod | undefined, before: ProjectedPod | undefined): void {
    const { clock } = this.#context;
    if (!now) {
      if (before) this.#born.delete(before.uid);
      return;
    }
    if (now.readyMs === undefined) {
      if (!before && this.#ready) this.#born.set(now.uid, clock.monotonicMs());
      return;
    }
    const born = this.#born.get(now.uid);
    const firstTime = born !== undefined || (!before && !this.#ready);
    this.#born.delete(now.uid);
    // Of services that have not opted in nothing is kept.
    if (!firstTime || !now.companion) return;
    for (const coldStarts of [this.#reconciler.memoryOf(now.service).coldStarts, this.#allColdStarts]) {
      if (born === undefined) coldStarts.addFound(now.readyMs - now.createdMs);
      else coldStarts.add(clock.monotonicMs() - born);
    }
  }
}

/** Which of the two the cluster has. */
interface Found {
  readonly knative: boolean;
  readonly kserve: boolean;
}

async function kindsOf(api: KubeApi): Promise<Found> {
  const [knative, kserve] = await Promise.all([has(api, kinds.revision), has(api, kinds.inferenceService)]);
  return { knative, kserve };
}

async function has(api: KubeApi, kind: ResourceKind): Promise<boolean> {
  try {
    await api.list(kind, {}, 1);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
