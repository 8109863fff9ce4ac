import type { ServicePlan } from './service-plan.ts';

/** A price: so much an hour, in a currency, or in replica-seconds where none is given. */
export interface HourlyRate {
  readonly perHour: number;
  readonly currency?: string | undefined;
}

/** What planning reads of a service's policy. A `ServicePolicy` is one. */
export interface PlanningPolicy {
  /** Latency objective of one request, in ms. */
  readonly sloMs: number;
  /** Share of requests that must meet it, 0 to 1. */
  readonly sloQuantile: number;
  /** 0 (dispatch at once) to 1 (use all slack). */
  readonly patience: number | 'auto';
  /** Upper bound of a batch, in items. */
  readonly maxBatchSize: number;
  /** Bound on the spend of the whole service. In another currency than the prices it cannot be compared and is reported as ignored. */
  readonly budget?: HourlyRate | undefined;
  /** Least accuracy of the group of variants, in the unit of `RevisionState.accuracy`. */
  readonly minAccuracy?: number | undefined;
}

/** Measured time of a batch of so many items, in ms. */
export interface LatencyPoint {
  readonly items: number;
  readonly expected: number;
  /** The ms that the promised share of such batches stays below. */
  readonly quantile: number;
}

/** One revision, or one variant of a group, as its companions and pods report it. */
export interface RevisionState {
  readonly name: string;
  /** In any order; empty while nothing has been learned. */
  readonly latencyMs: readonly LatencyPoint[];
  /** Batches that the companion which has seen most of this revision has sent; undefined: enough to trust its curve. */
  readonly batchesSeen?: number | undefined;
  /** Batches that one replica runs at once. */
  readonly parallel: number;
  /** Items a second that one replica was seen to serve within the objective; 0 if unknown. The plan's own estimate counts; this one is reported beside it. */
  readonly capacityPerReplica: number;
  /** Items a second that arrive now, over all replicas. */
  readonly arrivalRate: number;
  /** Share of the recent requests that met the objective; NaN if there were none. */
  readonly attainment: number;
  /** Requests that wait, in companions and before them. */
  readonly waiting: number;
  readonly readyReplicas: number;
  /** Started, but not ready. */
  readonly pendingReplicas: number;
  /** Of one replica an hour, in the currency of `ServiceProblem.prices`; undefined: 3,600 replica-seconds. */
  readonly price?: number | undefined;
  readonly accuracy?: number | undefined;
  /** Share of the traffic that is routed to it, 0 to 1. All shares missing: by `arrivalRate`. */
  readonly trafficShare?: number | undefined;
}

/** The recorded arrivals of the whole service. */
export interface DemandState {
  /** Items that arrived in each whole second, oldest first; the last one ended at most a second before `now`. The last 60 count. */
  readonly perSecond: readonly number[];
  /** Items that arrived in each whole minute, oldest first, for how long the service is idle; the last 1,440 count. */
  readonly perMinute?: readonly number[] | undefined;
  /** How old the newest signal is, in ms: beyond 30 s, or three plans where those take longer, nothing is changed. */
  readonly ageMs?: number | undefined;
}

/** What the user and Kubernetes allow. */
export interface ReplicaBounds {
  readonly minReplicas: number;
  /** 0: no bound. */
  readonly maxReplicas: number;
  /** 0: no bound. */
  readonly containerConcurrency: number;
}

/** From the decision to a replica that serves, as observed; `count` 0 if none has been seen. */
export interface ColdStart {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly count: number;
}

export interface AutoscalerState {
  readonly kind: 'knative' | 'hpa' | 'keda' | 'external' | 'none';
  /** Knative's stable window; 60,000 unless it says otherwise. */
  readonly stableWindowMs: number;
  /** Share of the target that Knative aims at, 0 to 1; 0.7 unless it says otherwise. */
  readonly targetUtilization: number;
  /** The target burst capacity in force. */
  readonly tbc: number;
}

/** Everything that one plan depends on: the same problem gives the same plan. */
export interface ServiceProblem {
  /** Ms of any clock that all problems of the service share. */
  readonly now: number;
  readonly policy: PlanningPolicy;
  /** At least one. */
  readonly revisions: readonly RevisionState[];
  /**
   * `shares`: each revision keeps its share of the traffic (one revision, or a canary). `choose`: the revisions are variants of
   * each other and the plan gives all traffic to one of them. `shares` unless it is given.
   */
  readonly routing?: 'shares' | 'choose' | undefined;
  readonly demand: DemandState;
  /** The currency of all prices; without it they are replica-seconds. */
  readonly prices: { readonly currency?: string | undefined };
  readonly bounds: ReplicaBounds;
  readonly coldStart: ColdStart;
  /** The last plan that was carried out or advised, for stabilisation and switching cost. */
  readonly previous?: ServicePlan | undefined;
  readonly autoscaler: AutoscalerState;
  /** How often a plan is made, in ms; a replica that is decided on is ready after this and a cold start. 10,000 unless given. */
  readonly planEveryMs?: number | undefined;
}
