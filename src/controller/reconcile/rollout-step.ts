import type { OwnerReference } from '../../kube/objects.ts';
import type { ServicePlan } from '../../planner/service-plan.ts';
import type { ServiceProblem } from '../../planner/service-problem.ts';
import type { InferencePolicyStatus } from '../../policy/inference-policy.ts';
import type { ServicePolicy } from '../../policy/service-policy.ts';
import type { ActuationContext } from '../actuators/actuator.ts';
import type { CompanionSignals } from '../signals/parse-signals.ts';
import type { ObservedService } from './observed.ts';

/** A pod with what its companion said last, where that is fresh. */
export interface HeardPod {
  readonly name: string;
  readonly uid: string;
  readonly revision: string;
  readonly ready: boolean;
  readonly signals: CompanionSignals | undefined;
}

/** A service that names a group of variants, whether or not a pass over it has told anything yet. */
export interface DeclaredVariant {
  readonly owner: OwnerReference;
  /** Names of its Revisions that there are. */
  readonly revisions: readonly string[];
  /** Whether passes over it tell what the group is decided from: none does while it is off or has rolled nothing out. */
  readonly passes: boolean;
}

/** What a rollout sees in one pass over its service. */
export interface RolloutInput {
  readonly observed: ObservedService;
  readonly policy: ServicePolicy;
  readonly plan: ServicePlan | undefined;
  /** What was planned from; undefined where nothing runs, or nobody was heard of late. */
  readonly problem: ServiceProblem | undefined;
  readonly pods: readonly HeardPod[];
  /** Price of one replica an hour, by revision. */
  readonly prices: ReadonlyMap<string, number>;
  /** The services of this namespace that name a group of variants. */
  readonly variantsOf: (group: string) => readonly DeclaredVariant[];
  /** What was stored last. */
  readonly status: InferencePolicyStatus['rollout'];
  /** Stores before anything is written. @throws {KubeError} where it could not: then nothing may be written. */
  readonly store: (status: NonNullable<InferencePolicyStatus['rollout']>) => Promise<void>;
  readonly context: ActuationContext;
}

/** What a rollout asks of the rest of the pass. */
export interface RolloutOutcome {
  /** Replicas that revisions keep at least, whatever their own traffic asks for. */
  readonly floors: readonly { readonly revision: string; readonly minReplicas: number; readonly why: string }[];
  /** When to look again at the latest. */
  readonly pollMs?: number | undefined;
  /** What changed, one sentence each: becomes events and log lines with this reason. */
  readonly changes?: readonly { readonly reason: string; readonly message: string }[];
}

/** The part of a pass that walks canaries. It acts only in mode `act`; `giveBack` restores what it owned. */
export interface RolloutStep {
  look(input: RolloutInput): Promise<RolloutOutcome>;
  giveBack(input: Omit<RolloutInput, 'policy' | 'plan' | 'problem' | 'prices' | 'variantsOf'>): Promise<void>;
}
