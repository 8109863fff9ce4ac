import type { Outcomes } from '../../kernels/rollout-evidence.ts';
import type { PredictorStatus } from './kserve-view.ts';

/** Everything that one look at a service's rollout depends on: the same view and state give the same plan. */
export interface RolloutView {
  /** ms since 1970. */
  readonly nowMs: number;
  /** `rollout: auto` in mode act or advise. */
  readonly consent: boolean;
  readonly deploymentMode: 'knative' | 'standard';
  /** `spec.predictor.canaryTrafficPercent`. */
  readonly percent: number | undefined;
  /** KServe's bookkeeping; for a plain Knative Service undefined. */
  readonly predictor: PredictorStatus | undefined;
  /** Share of requests that is promised to meet the objective, 0.5 to 0.9999. */
  readonly quantile: number;
  readonly accuracyFloor?: number | undefined;
  /** An hour, in the currency of the prices below. */
  readonly budget?: number | undefined;
  /** Items a second of the whole service. */
  readonly load?: number | undefined;
  /** Replicas that the plan gives the whole load. */
  readonly plannedReplicas: number;
  /** 0: without bound. */
  readonly maxReplicas: number;
  readonly revisions: ReadonlyMap<string, RevisionView>;
}

export interface RevisionView {
  readonly readyReplicas: number;
  /** Replicas that nodes have room for; undefined unless some have waited long for a node. */
  readonly room?: number | undefined;
  /** What ended there since the last look; undefined where nothing could be read. */
  readonly outcomes?: Outcomes | undefined;
  /** Calls of the model that ended there since the last look; undefined where none told them that was not starved itself. */
  readonly calls?: ModelCalls | undefined;
  /** Items a second that one replica serves within the objective. */
  readonly capacity?: number | undefined;
  /** Expected ms of a batch of so many items, as its companions learned it. */
  readonly latencyMs: readonly { readonly items: number; readonly expected: number }[];
  /** Of one replica an hour. */
  readonly price?: number | undefined;
  readonly accuracy?: number | undefined;
}

/** Calls of a model that were answered, with their items and the ms that they took. */
export interface ModelCalls {
  readonly calls: number;
  readonly items: number;
  readonly tookMs: number;
}

/** Percent of the traffic that a revision has, as KServe reports it. */
export function trafficPercent(predictor: PredictorStatus | undefined, revision: string): number {
  let percent = 0;
  for (const target of predictor?.traffic ?? []) {
    if (target.revisionName === revision) percent += target.percent ?? 0;
  }
  return percent;
}
