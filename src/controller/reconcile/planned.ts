import { planReasonName } from '../../kernels/plan-reasons.ts';
import type { ServicePlan } from '../../planner/service-plan.ts';
import type { ServiceProblem } from '../../planner/service-problem.ts';
import { finding } from './choice.ts';
import { type Finding, planMessage } from './status.ts';
import type { Warnings } from './warnings.ts';

/** What one pass has planned, from what, and what the condition `Planned` says of it. */
export interface Planned {
  readonly plan: ServicePlan | undefined;
  readonly problem: ServiceProblem | undefined;
  readonly planned: Finding;
}

const nothing = { plan: undefined, problem: undefined } as const;

export const plannedOff: Planned = { ...nothing, planned: finding('False', 'Off', 'mode off: nothing is planned') };

/** Nothing can be planned now, for this reason. */
export function nothingPlanned(reason: string, message: string): Planned {
  return { ...nothing, planned: finding('Unknown', reason, message) };
}

export function plannedFrom(problem: ServiceProblem, plan: ServicePlan): Planned {
  return { problem, plan, planned: finding('True', planReasonName(plan.reason), planMessage(plan)) };
}

/** What hurts stands behind the plan: both have room in a message. */
export function withWarnings(planned: Finding, { text }: Warnings): Finding {
  return text === '' ? planned : { ...planned, message: `${planned.message}. ${text}` };
}
