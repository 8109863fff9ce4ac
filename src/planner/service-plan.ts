import type { PlanReason } from '../kernels/plan-reasons.ts';

/** What a plan expects, to be compared with what happens. */
export interface Expectation {
  /** Share of requests that meet the objective. */
  readonly attainment: number;
  /** In the currency of the problem's prices, or in replica-seconds. */
  readonly costPerHour: number;
  readonly replicas: number;
  /** Forecast demand over the largest demand at which the promise holds. */
  readonly utilisation: number;
}

/** The batching settings for the companions of a revision. */
export interface BatchPlan {
  readonly maxBatchSize: number;
  readonly patience: number | 'auto';
}

/** The words in which Knative's autoscaler is told (annotations of a Revision). */
export interface KnativePlan {
  /** Soft target of concurrent requests in one replica, waiting ones included. */
  readonly target: number;
  readonly minScale: number;
  /** 0: no bound. */
  readonly maxScale: number;
  readonly targetBurstCapacity: number;
  /** Stable window in seconds, where it should differ from the one in force. */
  readonly windowSec?: number | undefined;
  /** Hard concurrency that would fit the batch size, where the one in force does not: advice, because it makes a revision. */
  readonly containerConcurrencyAdvice?: number | undefined;
}

/** The part of a plan that is about one revision. */
export interface RevisionPlan {
  readonly name: string;
  /** Share of the service's traffic, 0 to 1. */
  readonly share: number;
  readonly replicas: number;
  readonly batch: BatchPlan;
  readonly knative: KnativePlan;
  readonly expect: Expectation;
  /** Largest items a second of one replica at which the promise holds, by the queueing estimate. */
  readonly capacityPerReplica: number;
  readonly memory: RevisionMemory;
}

/** The best of the plans that were not chosen. */
export interface RunnerUp {
  readonly revision: string;
  readonly replicas: number;
  /** Why it lost: one of the codes under "The runner-up lost because". */
  readonly reason: PlanReason;
  readonly expect: Expectation;
}

/** What the next plan has to know of this one besides what it says; the planner's own business. */
export interface PlanMemory {
  /** Since when another variant has been better, and which. */
  readonly betterSince?: number | undefined;
  readonly better?: string | undefined;
}

/** The same about one revision. */
export interface RevisionMemory {
  /** Since when fewer replicas would have done, and the most that was needed since; undefined: they would not. */
  readonly lowerSince?: number | undefined;
  readonly lowerNeeded?: number | undefined;
  /** Replicas that are kept beyond the estimate because the promise was missed. */
  readonly extra: number;
  /** When `extra` or the planned replicas last changed. */
  readonly changedAt: number;
  /** How long fewer replicas must do before they are fewer, and when there were fewer last. */
  readonly holdMs?: number | undefined;
  readonly loweredAt?: number | undefined;
  /** The best capacity that is believed, in items a second of one replica; it fades. */
  readonly best?: number | undefined;
  /** Whether it is by a curve that companions mostly assumed. */
  readonly guessed: boolean;
}

/** One plan for one service. */
export interface ServicePlan {
  readonly at: number;
  readonly reason: PlanReason;
  readonly runnerUp?: RunnerUp | undefined;
  /** Over all revisions. */
  readonly expect: Expectation;
  /** The revision that the fields below are about: the one with most of the traffic. */
  readonly revision: string;
  readonly replicas: number;
  readonly batch: BatchPlan;
  readonly knative: KnativePlan;
  /** Every revision of the problem, in its order. */
  readonly revisions: readonly RevisionPlan[];
  /** Items a second that the plan is made for. */
  readonly demand: number;
  /** Currency of all costs in it; undefined: replica-seconds. */
  readonly currency?: string | undefined;
  /** What the replicas that run now cost an hour, less what the planned ones cost: what `advise` would save. */
  readonly savedPerHour: number;
  /** A budget was given in another currency than the prices, so nothing could be held to it. */
  readonly budgetIgnored: boolean;
  readonly memory: PlanMemory;
}
