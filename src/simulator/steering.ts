import type { PlacementKernel } from '../kernels/placement.ts';
import { planService } from '../planner/plan-service.ts';
import type { ServicePlan } from '../planner/service-plan.ts';
import type { ColdStart, PlanningPolicy, RevisionState, ServiceProblem } from '../planner/service-problem.ts';
import type { Fleet } from './fleet.ts';
import { PacelinePolicy } from './paceline.ts';

const sizes = [1, 4, 16, 32, 64];

/** The controller in virtual time: polls the companions, plans, and steers Knative's autoscaler by annotations. */
export class Steering {
  readonly plans: ServicePlan[] = [];
  readonly #policy: PlanningPolicy;
  readonly #everySec: number;
  readonly #kernel: PlacementKernel | undefined;
  #due: ServicePlan | undefined;
  readonly #phase: number;
  #second = 0;

  /** Plans every `everySec` seconds, `phase` seconds off the start; what is decided reaches the autoscaler a second later. */
  constructor(policy: PlanningPolicy, everySec: number, phase = 0, kernel?: PlacementKernel) {
    this.#policy = policy;
    this.#everySec = everySec;
    this.#phase = phase;
    this.#kernel = kernel;
  }

  everySecond(fleet: Fleet, now: number): void {
    if (this.#due) this.#steer(fleet, now, this.#due);
    this.#due = undefined;
    if ((this.#second++ + this.#phase) % this.#everySec !== 0) return;
    const plan = planService(this.#problem(fleet, now), this.#kernel);
    this.plans.push(plan);
    this.#due = plan;
  }

  #steer(fleet: Fleet, now: number, plan: ServicePlan): void {
    const { target, minScale, maxScale, windowSec } = plan.knative;
    const { settings } = fleet.kpa;
    fleet.kpa.settings = {
      ...settings,
      target,
      minScale,
      maxScale,
      stableWindowSec: windowSec ?? settings.stableWindowSec,
    };
    fleet.scaleTo(now, fleet.kpa.bounded());
  }

  #problem(fleet: Fleet, now: number): ServiceProblem {
    const ready = fleet.ready(now);
    const pending = fleet.alive().length - ready.length;
    const perSecond = fleet.arrivals.slice(0, this.#second).slice(-60);
    const { settings } = fleet.kpa;
    return {
      now,
      policy: this.#policy,
      revisions: [revisionOf(fleet, now, pending)],
      demand: { perSecond },
      prices: {},
      bounds: { minReplicas: 1, maxReplicas: 0, containerConcurrency: 0 },
      coldStart: coldStartOf(fleet.coldStarts),
      previous: this.plans.at(-1),
      autoscaler: {
        kind: 'knative',
        stableWindowMs: 1000 * settings.stableWindowSec,
        targetUtilization: settings.utilization,
        tbc: 0,
      },
      planEveryMs: 1000 * this.#everySec,
    };
  }
}

/** What was seen so far. */
function coldStartOf(seen: readonly number[]): ColdStart {
  const sorted = seen.toSorted((one, other) => one - other);
  const quantile = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
  return { p50Ms: quantile(0.5), p95Ms: quantile(0.95), count: sorted.length };
}

/** What the companions report: curve and slots of the one that has served longest. */
function revisionOf(fleet: Fleet, now: number, pending: number): RevisionState {
  const ready = fleet.ready(now);
  const oldest = ready[0]?.policy;
  const signals = oldest instanceof PacelinePolicy ? oldest.domain.signals : undefined;
  return {
    name: 'model',
    latencyMs: signals
      ? sizes.map((items) => ({
          items,
          expected: signals.expectedMs(0, items),
          quantile: signals.quantileMs(0, items),
        }))
      : [],
    batchesSeen: Math.max(
      ...ready.map(({ policy }) => (policy instanceof PacelinePolicy ? policy.answeredBatches : 0)),
    ),
    parallel: signals?.parallelLimit() ?? 1,
    capacityPerReplica: 0,
    arrivalRate: fleet.arrivals.at(-2) ?? 0,
    attainment: Number.NaN,
    waiting: ready.reduce((sum, replica) => sum + replica.inside, 0),
    readyReplicas: ready.length,
    pendingReplicas: pending,
  };
}
