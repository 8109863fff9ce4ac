import { planRollout, type RolloutPlan } from '../../src/controller/rollout/rollout.ts';
import { readRolloutState, rolloutStateText } from '../../src/controller/rollout/state.ts';
import type { RevisionView, RolloutView } from '../../src/controller/rollout/view.ts';
import { RolloutEvidence, RolloutReason } from '../../src/kernels/rollout-evidence.ts';
import { Random } from '../../src/simulator/random.ts';
import { calls } from './instant-walk.ts';
import type { KServeTraffic } from './kserve-traffic.ts';

/** How a model behaves: probabilities that a request is late or fails, and the ms of a batch of n items. */
export interface Behaviour {
  readonly late: number;
  readonly failed?: number;
  readonly baseMs?: number;
  readonly itemMs?: number;
  readonly accuracy?: number;
}

export interface DriveOptions {
  readonly models: Readonly<Record<string, Behaviour>>;
  readonly seed?: number;
  /** Requests a second. */
  readonly rate?: number;
  readonly view?: Partial<RolloutView>;
}

/**
 * Plays a controller, its users' requests and seconds over KServe's bookkeeping. What is remembered is written out and
 * read back at every look, so that every look is also a restart.
 */
export class RolloutDrive {
  nowMs = 1_000_000;
  stored: string | undefined;
  readonly reasons: string[] = [];
  readonly writes: number[] = [];
  /** Replicas follow the floors; a test may hold them. */
  holdReplicas = false;
  signals = true;
  /** Crashes after the state is stored, before the share is written. */
  crash = false;
  last: RolloutPlan | undefined;
  readonly replicas = new Map<string, number>();
  readonly #random: Random;
  readonly #kernel = new RolloutEvidence();

  constructor(
    readonly kserve: KServeTraffic,
    readonly options: DriveOptions,
  ) {
    this.#random = new Random(options.seed ?? 1);
    for (const { name } of kserve.revisions) this.replicas.set(name, options.view?.plannedReplicas ?? 2);
  }

  /** Seconds of traffic, reconciling and looking, one after the other; `each` sees every second. */
  run(seconds: number, each?: () => void): void {
    for (let second = 0; second < seconds; second++) {
      this.nowMs += 1000;
      this.look();
      this.kserve.reconcileAll();
      each?.();
    }
  }

  /** Until the plan's reason is this one, or throws after so many seconds. */
  until(reason: RolloutReason, seconds = 900): void {
    for (let second = 0; second < seconds; second++) {
      this.run(1);
      if (this.last?.reason === reason) return;
    }
    throw new Error(`no ${RolloutReason[reason]} in ${seconds} s, but ${this.reasons.join(' ')}`);
  }

  /** Until this share was written. */
  untilWritten(percent: number): void {
    for (let second = 0; second < 900; second++) {
      if (this.writes.at(-1) === percent) return;
      this.run(1);
    }
    throw new Error(`${percent} % was never written, but ${this.writes.join(' ')}: ${this.reasons.join(' ')}`);
  }

  /** Until the state asks for this share, written or not. */
  untilMeant(percent: number): void {
    for (let second = 0; second < 900; second++) {
      if (this.last?.state?.percent === percent) return;
      this.run(1);
    }
    throw new Error(`${percent} % was never meant`);
  }

  look(): RolloutPlan {
    const { kserve } = this;
    const view: RolloutView = {
      nowMs: this.nowMs,
      consent: true,
      deploymentMode: 'knative',
      percent: kserve.percent,
      predictor: { ...kserve.status },
      quantile: 0.99,
      load: this.options.rate ?? 40,
      plannedReplicas: 2,
      maxReplicas: 0,
      revisions: this.#revisions(),
      ...this.options.view,
    };
    const { latestReadyRevision: ready, latestRolledoutRevision: rolledOut } = view.predictor ?? {};
    const plan = planRollout(readRolloutState(this.stored), view, this.#kernel);
    this.last = plan;
    this.stored = plan.state && rolloutStateText(plan.state);
    const reason = RolloutReason[plan.reason] ?? '';
    if (this.reasons.at(-1) !== reason) this.reasons.push(reason);
    for (const { revision, minReplicas } of plan.floors) {
      const has = this.replicas.get(revision) ?? 1;
      if (!this.holdReplicas) this.replicas.set(revision, Math.max(has, minReplicas));
    }
    if (plan.percent !== undefined) {
      if (plan.percent < 100 && ready === rolledOut)
        throw new Error(`${plan.percent} % would bring back the old model`);
      if (!this.crash) {
        this.writes.push(plan.percent);
        kserve.write(plan.percent);
      }
    }
    return plan;
  }

  #revisions(): Map<string, RevisionView> {
    const views = new Map<string, RevisionView>();
    const serving = this.kserve.serving();
    for (const { name, ready } of this.kserve.revisions) {
      const model = this.kserve.modelOf(name);
      const { late, failed = 0, baseMs = 50, itemMs = 5, accuracy } = this.options.models[model] ?? { late: 0 };
      let requests = 0;
      let missed = 0;
      let broken = 0;
      const mean = ((this.options.rate ?? 40) * (serving[model] ?? 0)) / 100;
      for (let left = this.#random.exponential(1); left < mean; left += this.#random.exponential(1)) {
        requests++;
        if (this.#random.uniform() < failed) broken++;
        else if (this.#random.uniform() < late) missed++;
      }
      const times = [1, 4, 16].map((items) => ({
        items,
        expected: (baseMs + itemMs * items) * this.#random.noise(0.05),
      }));
      views.set(name, {
        readyReplicas: ready ? (this.replicas.get(name) ?? 1) : 0,
        outcomes: this.signals ? { requests, late: missed + broken, failed: broken } : undefined,
        calls: this.signals ? calls(requests, (baseMs + itemMs) / 55, 0.1, this.#random) : undefined,
        latencyMs: times,
        capacity: 40 / ((baseMs + itemMs * 4) / 70),
        ...(accuracy === undefined ? {} : { accuracy }),
      });
    }
    return views;
  }
}
