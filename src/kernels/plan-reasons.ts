/** Why a plan is what it is: the codes of the placement kernel, and their labels for people. */
export { PlanReason } from '../../assembly/placement/codes.ts';

import { PlanReason } from '../../assembly/placement/codes.ts';

/** The label of a planning reason in status, events, metrics and logs: `PlanReason.KeepWarm` is `keep-warm`. */
export function planReasonLabel(reason: PlanReason): string {
  return labels.get(reason) ?? 'unknown';
}

/** The same as the reason of a Kubernetes condition or event, which is in camel case: `KeepWarm`. */
export function planReasonName(reason: PlanReason): string {
  return PlanReason[reason] ?? 'Unknown';
}

const labels = new Map<number, string>(
  Object.entries(PlanReason).flatMap(([name, code]) =>
    typeof code === 'number' ? [[code, name.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()]] : [],
  ),
);
