import type { KubeApi } from '../../kube/kube-api.ts';
import { kinds } from '../../kube/objects.ts';
import { readAnnotations } from '../../policy/annotations.ts';
import { type InferencePolicy, mergePolicy, readInferencePolicy } from '../../policy/inference-policy.ts';
import { readPriceList } from '../../policy/price-list.ts';
import type { Problem } from '../../policy/problem.ts';
import { error, warning } from '../../policy/problem.ts';
import type { AdmissionRequest, Verdict } from './review.ts';
import { verdictOf } from './service-webhook.ts';

const policiesMax = 500;

/**
 * The validating webhook of InferencePolicies and PriceLists: what their schemas say once more, for API servers that were
 * given older ones, and what no CEL rule can see, because it is in another object.
 */
export async function validatePolicy(request: AdmissionRequest, api: KubeApi): Promise<Verdict> {
  const object = request.object as { metadata?: { deletionTimestamp?: unknown } } | null | undefined;
  if (!object || object.metadata?.deletionTimestamp !== undefined) return { outcome: 'passed', warnings: [] };
  if (request.kind.kind === 'PriceList') return verdictOf(readPriceList(object).problems);
  const { value, problems } = readInferencePolicy(object);
  if (!value) return verdictOf(problems);
  return verdictOf([...problems, ...(await besides(value, request.namespace ?? '', api))]);
}

/** What a policy does to others, and to its target. An API server that does not answer leaves this out. */
async function besides(policy: InferencePolicy, namespace: string, api: KubeApi): Promise<Problem[]> {
  const { targetRef } = policy.spec;
  const problems: Problem[] = [];
  const resource = targetRef.kind === 'InferenceService' ? kinds.inferenceService : kinds.knativeService;
  try {
    const { items } = await api.list(kinds.inferencePolicy, { namespace }, policiesMax);
    const rivals = items.filter(({ metadata, spec }) => {
      const ref = (spec as { targetRef?: { name?: string; kind?: string } } | undefined)?.targetRef;
      const made = metadata.labels?.['paceline.dev/made-by-controller'] === 'true';
      return (
        metadata.name !== policy.metadata.name && !made && ref?.name === targetRef.name && ref.kind === targetRef.kind
      );
    });
    if (rivals.length > 0) {
      const names = rivals.map(({ metadata }) => metadata.name).join(', ');
      const message = `${targetRef.kind} ${targetRef.name} already has ${names}: the oldest holds, this one has no effect`;
      problems.push(warning('PL_POLICY_RIVAL', 'spec.targetRef', message));
    }
    const target = await api.get(resource, { namespace, name: targetRef.name });
    const { policy: asked } = readAnnotations(annotationsOf(target));
    if (!asked) {
      const message = `${targetRef.kind} ${targetRef.name} has no paceline.dev/slo: add it, and its next pods get a companion`;
      problems.push(warning('PL_POLICY_TARGET', 'spec.targetRef', message));
    } else {
      const { sloMs, lateTimeoutMs } = mergePolicy(asked, policy.spec);
      // The two can come from two objects, so that neither of their schemas sees it.
      if (lateTimeoutMs < sloMs) {
        const message = `with the target's annotations the late timeout (${lateTimeoutMs} ms) is shorter than the SLO (${sloMs} ms): set spec.lateTimeout too`;
        problems.push(error('PL_LATE_TIMEOUT', 'spec.slo', message));
      }
    }
  } catch {
    // A target that does not exist yet is no mistake: the controller reports it on the policy.
  }
  return problems;
}

function annotationsOf(target: {
  metadata: { annotations?: Readonly<Record<string, string>> };
  [field: string]: unknown;
}) {
  const template = (target.spec as { template?: { metadata?: { annotations?: Record<string, string> } } } | undefined)
    ?.template?.metadata?.annotations;
  return { ...template, ...target.metadata.annotations };
}
