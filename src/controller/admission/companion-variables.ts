import type { ServicePolicy } from '../../policy/service-policy.ts';
import { formatDuration } from '../../policy/units.ts';

/** Whose companion it is, as far as it is known when a pod is made. */
export interface CompanionIdentity {
  readonly namespace: string;
  /** The InferenceService or plain Knative Service. */
  readonly name: string;
  readonly uid?: string | undefined;
  readonly revision?: string | undefined;
  /** Public keys of policy documents: base64 of SPKI DER, the current one first. */
  readonly policyKeys: readonly string[];
}

/**
 * The companion's options of one pod, by name of variable. Everything is rendered from parsed values, so that no text of
 * an annotation reaches a variable as it was written; where it listens and forwards to is not the policy's to say.
 */
export function companionVariables(policy: ServicePolicy, identity: CompanionIdentity): Record<string, string> {
  const values: Record<string, string | undefined> = {
    PACELINE_SLO: formatDuration(policy.sloMs),
    PACELINE_SLO_PERCENTILE: String(Number((policy.sloQuantile * 100).toPrecision(12))),
    PACELINE_MODE: policy.mode,
    PACELINE_PATIENCE: String(policy.patience),
    PACELINE_MAX_BATCH_SIZE: String(policy.maxBatchSize),
    PACELINE_LATE: policy.late,
    PACELINE_LATE_TIMEOUT: formatDuration(policy.lateTimeoutMs),
    PACELINE_TRUST_HEADERS: String(policy.trustHeaders),
    PACELINE_SHARE_ACROSS_HEADERS: policy.shareAcrossHeaders.join(','),
    PACELINE_ISVC: `${identity.namespace}/${identity.name}`,
    PACELINE_ISVC_UID: identity.uid,
    PACELINE_REVISION: identity.revision,
    PACELINE_POLICY_KEYS: identity.policyKeys.join(','),
    // KServe serves a model under the name of its InferenceService.
    ...(policy.variantOf && policy.variantOf !== identity.name
      ? { PACELINE_VARIANT_OF: policy.variantOf, PACELINE_MODEL_NAME: identity.name }
      : {}),
  };
  return Object.fromEntries(Object.entries(values).filter((entry): entry is [string, string] => Boolean(entry[1])));
}
