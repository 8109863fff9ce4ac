import type { ObservingOptions } from './observing-settings.ts';
import type { ReadinessCheck } from './readiness-probe.ts';

/** Whether a companion acts on its decisions. */
export type CompanionMode = 'act' | 'advise' | 'off';

/** What a companion is told. Times in ms, sizes in bytes. */
export interface CompanionOptions extends ObservingOptions {
  readonly port: number;
  readonly host: string;
  readonly adminPort: number;
  readonly upstream: URL;
  /** `advise`: everything passes through, and what would have been decided is reported. */
  readonly mode: CompanionMode;
  readonly sloMs: number;
  readonly sloQuantile: number;
  /** 0 to 1, or -1 for `auto`. */
  readonly patience: number;
  readonly maxBatchSize: number;
  readonly late: 'defer' | 'shed';
  readonly lateTimeoutMs: number;
  readonly maxWaiting: number;
  readonly maxWaitingBytes: number;
  readonly maxInFlight: number;
  /** Bytes of the largest gRPC message that is made of several. */
  readonly grpcMessageMax: number;
  readonly trustHeaders: boolean;
  readonly shareAcrossHeaders: readonly string[];
  readonly readinessPath: string;
  /** What makes the model ready; empty: it counts as ready; null: `readinessPath` is asked. */
  readonly readinessProbe: readonly ReadinessCheck[] | null;
  /** A Knative queue-proxy is in the same pod. */
  readonly queueProxy: boolean;
  /** `namespace/name` of the service, or empty. */
  readonly isvc: string;
  readonly isvcUid: string;
  readonly revision: string;
  /** Ed25519 public keys, base64 of SPKI DER; policy documents are refused without one. */
  readonly policyKeys: readonly string[];
  /** The name that callers use instead of `modelName`; both are empty where there is none. */
  readonly variantOf: string;
  readonly modelName: string;
  readonly bodyTimeoutMs: number;
  readonly drainTimeoutMs: number;
  /** While draining, connections are taken until none has asked for this long. */
  readonly drainQuietMs: number;
  readonly logLevel: string;
}
