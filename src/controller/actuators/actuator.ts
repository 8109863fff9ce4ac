import type { KubeApi } from '../../kube/kube-api.ts';
import type { Log } from '../../telemetry/log.ts';

/** What an actuator works with. It never reads the service's mode: the reconciler decides whether to call it. */
export interface ActuationContext {
  readonly api: KubeApi;
  readonly log: Log;
  /** ms since 1970. */
  readonly nowMs: number;
  /** ms of this process, by a clock that never jumps. */
  readonly monotonicMs: number;
  /** Whether this process still leads. Asked before every write: a leader that lost its lease writes nothing more. */
  readonly leads: () => boolean;
  /** How often the lease changed hands: part of every policy document's sequence. */
  readonly transitions: number;
}

/** Why an actuator did not do what the plan asks. The same words are condition reasons of an InferencePolicy. */
export type ActuationRefusal =
  /** Somebody else writes our fields: after three reverts we leave them alone. */
  | 'ForeignWriter'
  /** What scales this service is not ours to set (HPA, KEDA, none): scaling is advice only. */
  | 'AdviceOnly'
  /** The cluster does not carry this change (such as Knative before 1.21). */
  | 'Unsupported'
  /** The lease was lost on the way. */
  | 'NotLeader'
  /** Written too often lately; it will be tried again. */
  | 'RateLimited'
  /** Pods that run can be told nothing any more: only new ones can. */
  | 'RestartRequired'
  /** The request failed; it will be tried again. */
  | 'WriteFailed';

export interface Actuation {
  /** What was written, one short sentence each, such as `revision a-00002: min-scale 1 -> 3`. Empty at steady state. */
  readonly changes: readonly string[];
  readonly refused?: { readonly reason: ActuationRefusal; readonly message: string };
}

/**
 * Carries out one kind of decision. Before its first write to an object it stores the original values there
 * (originals.ts), and `giveBack` restores them. Calling `apply` twice with the same plan writes once.
 */
export interface Actuator<Plan, Observed> {
  readonly name: string;
  apply(plan: Plan, observed: Observed, context: ActuationContext): Promise<Actuation>;
  /** Restores what was there before us. Succeeds too where nothing is left to restore. */
  giveBack(observed: Observed, context: ActuationContext): Promise<void>;
}
