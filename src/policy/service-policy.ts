import type { OptionKind } from './option-kinds.ts';
import { parseRate, type Rate } from './rates.ts';

export type { Rate };

/** What one service is promised and allowed, whatever it was written in: annotations, an InferencePolicy, or both. */
export interface ServicePolicy {
  /** Latency objective of one request. */
  readonly sloMs: number;
  /** Share of requests that must meet it, 0.5 to 0.9999. */
  readonly sloQuantile: number;
  /** `advise`: everything is decided and reported, nothing changed. `off`: companions pass through. */
  readonly mode: 'act' | 'advise' | 'off';
  /** 0 dispatches at once, 1 uses all slack to save model time. */
  readonly patience: number | 'auto';
  /** Upper bound in items; the real size is learned. */
  readonly maxBatchSize: number;
  /** What becomes of requests that cannot meet the SLO. */
  readonly late: 'defer' | 'shed';
  /** When a request that has no answer yet gets 504. */
  readonly lateTimeoutMs: number;
  /** Price of one replica, over a PriceList's. */
  readonly replicaCost?: Rate;
  /** Bound on the spend of all revisions together. */
  readonly budget?: Rate;
  /** Measured accuracy of this variant, 0 to 1. */
  readonly accuracy?: number;
  /** The group of variants that this service belongs to: the name its callers use. */
  readonly variantOf?: string;
  /** Least accuracy of the group, 0 to 1. */
  readonly minAccuracy?: number;
  /** `auto`: canaries are walked on evidence, which is consent to own `canaryTrafficPercent`. */
  readonly rollout: 'auto' | 'manual';
  readonly trustHeaders: boolean;
  /** In lower case. */
  readonly shareAcrossHeaders: readonly string[];
}

/** How many SLOs a request may take where nobody says: then it gets 504. */
export const lateTimeoutPerSlo = 5;

/** A rate of money. */
export const rate: OptionKind = {
  placeholder: 'rate',
  accepts: 'an amount per h, day or month, such as 0.40/h or 0.40 USD/h',
  parse: (text) => parseRate(text),
};
