/**
 * What the rollout reads of an InferenceService (serving.kserve.io/v1beta1). Everything else passes through untouched,
 * so an object of the API fits without a cast.
 */
export interface CanaryService {
  readonly metadata: {
    readonly annotations?: Readonly<Record<string, string>> | undefined;
    readonly labels?: Readonly<Record<string, string>> | undefined;
  };
  readonly spec: {
    readonly predictor: {
      readonly canaryTrafficPercent?: number | null | undefined;
      readonly [field: string]: unknown;
    };
  };
  readonly status?:
    | {
        readonly deploymentMode?: string | undefined;
        readonly components?: { readonly predictor?: PredictorStatus | undefined } | undefined;
      }
    | undefined;
}

/** KServe's bookkeeping of a predictor in Knative mode; in Standard mode the fields stay empty. */
export interface PredictorStatus {
  readonly latestCreatedRevision?: string | undefined;
  readonly latestReadyRevision?: string | undefined;
  readonly latestRolledoutRevision?: string | undefined;
  readonly previousRolledoutRevision?: string | undefined;
  readonly traffic?: readonly TrafficTarget[] | undefined;
}

/** One entry of Knative's `traffic`. */
export interface TrafficTarget {
  readonly revisionName?: string | undefined;
  readonly configurationName?: string | undefined;
  readonly latestRevision?: boolean | undefined;
  readonly percent?: number | undefined;
  readonly tag?: string | undefined;
}
