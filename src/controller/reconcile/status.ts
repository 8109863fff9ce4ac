import { planReasonLabel, planReasonName } from '../../kernels/plan-reasons.ts';
import type { ServicePlan } from '../../planner/service-plan.ts';
import type { Condition } from '../../policy/crd-schema.ts';
import type { InferencePolicyCondition, InferencePolicyStatus } from '../../policy/inference-policy.ts';
import type { ServicePolicy } from '../../policy/service-policy.ts';

/** A condition before it is known since when it holds. */
export interface Finding {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

export type Findings = Readonly<Partial<Record<InferencePolicyCondition, Finding>>>;

export interface Observations {
  readonly attainment: number | undefined;
  readonly heldUpstream: number;
  readonly arrivalRate: number;
  readonly readyReplicas: number;
  readonly costPerHour: number | undefined;
  readonly currency: string | undefined;
}

export interface StatusInput {
  readonly nowMs: number;
  readonly generation: number;
  readonly findings: Findings;
  readonly policy: ServicePolicy | undefined;
  readonly plan: ServicePlan | undefined;
  readonly observed: Observations | undefined;
  readonly saving: InferencePolicyStatus['saving'];
  readonly rollout: InferencePolicyStatus['rollout'];
  readonly previous: InferencePolicyStatus | undefined;
}

/** The status of an InferencePolicy: what was decided, why, with what else was possible. Pure. */
export function statusOf(input: StatusInput): InferencePolicyStatus {
  const { nowMs, generation, policy, plan, observed, saving, rollout } = input;
  return {
    observedGeneration: generation,
    conditions: conditionsOf(input),
    ...(policy ? { mode: policy.mode, slo: sloText(policy) } : {}),
    ...(plan
      ? {
          decidedAt: new Date(nowMs).toISOString(),
          plan: {
            reason: planReasonName(plan.reason),
            message: planMessage(plan),
            replicas: plan.replicas,
            maxBatchSize: plan.batch.maxBatchSize,
            ...(plan.batch.patience === 'auto' ? {} : { patience: plan.batch.patience }),
            ...shownExpectation(plan.expect),
          },
          ...(plan.runnerUp
            ? {
                runnerUp: {
                  reason: planReasonName(plan.runnerUp.reason),
                  message: `${plan.runnerUp.revision} with ${plan.runnerUp.replicas} replicas: ${planReasonLabel(plan.runnerUp.reason)}`,
                  replicas: plan.runnerUp.replicas,
                  ...shownExpectation(plan.runnerUp.expect),
                },
              }
            : {}),
        }
      : {}),
    ...(observed ? { observed: shownObservations(observed) } : {}),
    ...(saving ? { saving } : {}),
    ...(rollout ? { rollout } : {}),
  };
}

/** One sentence for people: events, logs and status say the same. */
export function planMessage(plan: ServicePlan): string {
  const { expect, runnerUp, budgetIgnored, currency = 'replica-seconds' } = plan;
  const unheld = budgetIgnored ? '; the budget bounds nothing, because no price in its currency is known' : '';
  const second = runnerUp
    ? `; runner-up ${runnerUp.revision} with ${runnerUp.replicas}: ${planReasonLabel(runnerUp.reason)}`
    : '';
  return (
    `${planReasonLabel(plan.reason)}: ${plan.replicas} replicas of ${plan.revision} for ${round(plan.demand)} items/s, ` +
    `batches of at most ${plan.batch.maxBatchSize}; expects ${round(expect.attainment * 100, 4)} % in time, ` +
    `${round(expect.costPerHour)} ${currency} an hour, ${round(expect.utilisation * 100)} % used${second}${unheld}`
  );
}

/** Values that move by less are the same: a status that changes by itself would be written for ever. */
const rateDeadband = 0.25;
const attainmentDeadband = 0.01;

/** Whether a status says something else than what was written. */
export function differs(written: InferencePolicyStatus, now: InferencePolicyStatus): boolean {
  return JSON.stringify(essence(written)) !== JSON.stringify(essence(now)) || observationsDiffer(written, now);
}

function essence(status: InferencePolicyStatus): object {
  const { observedGeneration, conditions = [], mode, slo, plan, runnerUp, rollout, saving } = status;
  const states = conditions.map(({ type, status: state, reason, observedGeneration: of, message }) => [
    type,
    state,
    reason,
    of,
    // Figures in a message change with every pass; the problems that it names do not.
    message.match(/\bPL_[A-Z_]+/g),
  ]);
  return [
    observedGeneration,
    states,
    mode,
    slo,
    plan && [plan.reason, plan.replicas, plan.maxBatchSize],
    runnerUp && [runnerUp.reason],
    rollout,
    saving?.since,
  ];
}

function observationsDiffer(
  { observed: one = {} }: InferencePolicyStatus,
  { observed: other = {} }: InferencePolicyStatus,
): boolean {
  const far = (a = 0, b = 0) => Math.abs(a - b) > rateDeadband * Math.max(a, b) + 1e-9 && Math.abs(a - b) > 1;
  return (
    one.readyReplicas !== other.readyReplicas ||
    Math.abs((one.attainment ?? 1) - (other.attainment ?? 1)) > attainmentDeadband ||
    far(one.arrivalRate, other.arrivalRate) ||
    far(one.heldUpstream, other.heldUpstream)
  );
}

function conditionsOf({ findings, generation, nowMs, previous }: StatusInput): Condition[] {
  return (Object.entries(findings) as [InferencePolicyCondition, Finding][]).map(([type, finding]) => {
    const before = previous?.conditions?.find((each) => each.type === type);
    const since = before?.status === finding.status ? before.lastTransitionTime : apiTime(nowMs);
    return {
      type,
      status: finding.status,
      reason: finding.reason,
      message: finding.message.slice(0, 1024),
      lastTransitionTime: since,
      observedGeneration: generation,
    };
  });
}

function shownExpectation({ attainment, costPerHour, utilisation }: ServicePlan['expect']) {
  return {
    attainment: round(Math.min(1, Math.max(0, attainment)), 4),
    costPerHour: round(costPerHour, 4),
    utilisation: round(utilisation),
  };
}

function shownObservations({
  attainment,
  heldUpstream,
  arrivalRate,
  readyReplicas,
  costPerHour,
  currency,
}: Observations) {
  return {
    // Nothing is claimed about requests that nobody has measured yet.
    ...(attainment === undefined || heldUpstream > 0 ? {} : { attainment: round(attainment, 4) }),
    heldUpstream,
    arrivalRate: round(arrivalRate),
    readyReplicas,
    ...(costPerHour === undefined ? {} : { costPerHour: round(costPerHour, 4) }),
    ...(currency === undefined ? {} : { currency }),
  };
}

function sloText({ sloMs, sloQuantile }: ServicePolicy): string {
  return `${sloMs}ms at ${round(sloQuantile * 100, 6)} %`;
}

function apiTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

function round(value: number, digits = 3): number {
  return Number.isFinite(value) ? Number(value.toPrecision(digits)) : 0;
}
