import { checkTogether, readAnnotations } from '../../policy/annotations.ts';
import { chooseInferencePolicy, mergePolicy } from '../../policy/inference-policy.ts';
import { refuses } from '../../policy/problem.ts';
import type { ServicePolicy } from '../../policy/service-policy.ts';
import type { Target } from './projections.ts';
import type { Finding } from './status.ts';
import type { StoredPolicy } from './stored-policies.ts';

/** Which policy holds for a service, and what is said about it and the others. */
export interface Choice {
  /** Undefined: the service has not opted in, or what it says is wrong. */
  readonly policy: ServicePolicy | undefined;
  /** Whether the service asks for us at all. */
  readonly optedIn: boolean;
  /** The InferencePolicy that holds. */
  readonly chosen: StoredPolicy | undefined;
  readonly others: readonly StoredPolicy[];
  readonly accepted: Finding;
}

/** Annotations opt in, the oldest InferencePolicy overrides them; admission may have missed either. Pure. */
export function choose(target: Target, policies: readonly StoredPolicy[]): Choice {
  const choice = chooseInferencePolicy(policies.map(({ value }) => value));
  const stored = (name: string) => policies.find((each) => each.name === name) as StoredPolicy;
  const chosen = choice && stored(choice.chosen.metadata.name);
  const others = (choice?.others ?? []).map(({ metadata }) => stored(metadata.name));
  const optedIn = target.annotations['paceline.dev/slo'] !== undefined;
  const { policy, problems } = readAnnotations(target.annotations);
  const wrong = problems.filter(({ severity }) => severity === 'error');
  if (!optedIn) {
    const message = `${target.target.kind} ${target.target.name} has no annotation paceline.dev/slo`;
    return { policy: undefined, optedIn, chosen, others, accepted: finding('False', 'NotAnnotated', message) };
  }
  if (policy === undefined || refuses(problems)) {
    const message = wrong.map(({ field, message: what }) => `${field}: ${what}`).join('; ');
    return { policy: undefined, optedIn, chosen, others, accepted: finding('False', 'InvalidAnnotations', message) };
  }
  const merged = chosen ? mergePolicy(policy, chosen.value.spec) : policy;
  // Each alone may be right, and both together not.
  const together = checkTogether(merged, (field) => ({ field })).filter(({ severity }) => severity === 'error');
  if (together.length > 0) {
    const message = together.map(({ field, message: what }) => `${field}: ${what}`).join('; ');
    return { policy: undefined, optedIn, chosen, others, accepted: finding('False', 'InvalidPolicy', message) };
  }
  return { policy: merged, optedIn, chosen, others, accepted: finding('True', 'Accepted', 'the policy is in force') };
}

export function finding(status: Finding['status'], reason: string, message: string): Finding {
  return { status, reason, message };
}
