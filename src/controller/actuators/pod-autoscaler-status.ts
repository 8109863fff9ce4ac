import type {
  AutoscalerCondition,
  AutoscalerStatus,
  ObservedServerlessService,
  OwnAutoscaler,
} from '../reconcile/observed.ts';

export interface AutoscalerFacts {
  readonly nowMs: number;
  /** Replicas that are wanted, and those that are Ready. */
  readonly wanted: number;
  readonly ready: number;
  /** Ready replicas from which on the revision counts as active: at least one. */
  readonly threshold: number;
  /** Undefined where there is none yet. */
  readonly serverlessService: ObservedServerlessService | undefined;
  /** Somebody else's ServerlessService has its name. */
  readonly notOwned: boolean;
  /** It did not come up within its deadline. */
  readonly failed: boolean;
}

type Said = Pick<AutoscalerCondition, 'status' | 'reason' | 'message'>;

const yes: Said = { status: 'True' };

/**
 * The status that Knative's Revision reconciler waits for, by the rules of Knative's own autoscaler
 * (pkg/reconciler/autoscaling/kpa/kpa.go, computeActiveCondition): a Revision becomes Ready only once
 * ScaleTargetInitialized is True and there is a service name. Pure.
 */
export function autoscalerStatus(own: OwnAutoscaler, facts: AutoscalerFacts): AutoscalerStatus {
  const { wanted, ready, threshold, serverlessService } = facts;
  const serviceName = serverlessService?.serviceName ?? '';
  const initialized = isTrue(own, 'ScaleTargetInitialized') || (ready >= threshold && serviceName !== '');
  const said: Record<string, Said> = {
    Active: activeOf(facts),
    SKSReady: serverlessService?.ready
      ? yes
      : { status: 'Unknown', reason: 'NotReady', message: 'The ServerlessService is not ready yet.' },
    ScaleTargetInitialized: initialized ? yes : { status: 'Unknown' },
  };
  said.Ready = rollUp(Object.values(said));
  return {
    observedGeneration: own.generation,
    serviceName,
    metricsServiceName: serverlessService?.privateServiceName ?? '',
    desiredScale: wanted,
    actualScale: ready,
    conditions: Object.entries(said)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([type, condition]) => ({ type, ...condition, lastTransitionTime: sinceOf(own, type, condition, facts) })),
  };
}

export function conditionOf(own: OwnAutoscaler, type: string): AutoscalerCondition | undefined {
  return own.status.conditions.find((each) => each.type === type);
}

export function isTrue(own: OwnAutoscaler, type: string): boolean {
  return conditionOf(own, type)?.status === 'True';
}

function activeOf({ wanted, ready, threshold, notOwned, failed }: AutoscalerFacts): Said {
  if (notOwned) {
    const message = 'There is an existing ServerlessService of this name that we do not own.';
    return { status: 'False', reason: 'NotOwned', message };
  }
  if (failed) return { status: 'False', reason: 'TimedOut', message: 'The target could not be activated.' };
  if (wanted === 0) {
    return { status: 'False', reason: 'NoTraffic', message: 'The target is not receiving traffic.' };
  }
  if (ready >= threshold) return yes;
  const message = 'Requests to the target are being buffered as resources are provisioned.';
  return { status: 'Unknown', reason: 'Queued', message };
}

/** False beats Unknown, which beats True. */
function rollUp(dependents: readonly Said[]): Said {
  return (
    dependents.find(({ status }) => status === 'False') ?? dependents.find(({ status }) => status === 'Unknown') ?? yes
  );
}

/** Since when a condition says what it says. */
function sinceOf(own: OwnAutoscaler, type: string, now: Said, { nowMs }: AutoscalerFacts): string {
  const before = conditionOf(own, type);
  const same = before?.status === now.status && before.reason === now.reason && before.message === now.message;
  return same && before ? before.lastTransitionTime : new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
