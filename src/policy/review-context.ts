import type { InferencePolicy } from './inference-policy.ts';
import type { PriceList } from './price-list.ts';
import type { Place } from './problem.ts';
import type { ServicePolicy } from './service-policy.ts';
import type { ServiceView } from './service-view.ts';

/** What companions have measured of a service, in ms and items. */
export interface Observations {
  /** `quantile` is the time that the promised share of such batches stays below. */
  readonly latencyMs?: readonly { readonly items: number; readonly expected: number; readonly quantile: number }[];
  /** The request header that keeps most requests apart, and how many lanes it made. */
  readonly splittingHeader?: { readonly name: string; readonly lanes: number } | undefined;
  /** From a request at zero replicas to its answer, the median. */
  readonly coldStartMs?: number | undefined;
}

/** All that is known when one service is judged. What is absent is unknown, and is not complained of as missing. */
export interface ServiceReview {
  readonly service: ServiceView;
  /** InferencePolicies; those of other services are passed over. */
  readonly policies?: readonly InferencePolicy[] | undefined;
  /** All of the cluster. An empty list says that there are none. */
  readonly priceLists?: readonly PriceList[] | undefined;
  /** Where the service does not say: the cluster's default. Undefined: unknown. */
  readonly deploymentMode?: 'knative' | 'standard' | undefined;
  /** What its companions have measured. */
  readonly observed?: Observations | undefined;
  /** Whether the canary's share is what the controller itself wrote. */
  readonly canaryIsOurs?: boolean | undefined;
}

/** What one rule looks at. */
export interface ReviewContext extends ServiceReview {
  readonly policy: ServicePolicy;
  /** Undefined: unknown. */
  readonly mode: 'knative' | 'standard' | undefined;
  readonly minReplicas: number;
  /** Where the setting with this annotation's name was written. */
  readonly where: (name: string) => Place;
}
