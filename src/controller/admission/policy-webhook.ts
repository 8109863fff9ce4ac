import { type InferencePolicy, readInferencePolicy } from '../../policy/inference-policy.ts';
import { choosePriceList, readPriceList } from '../../policy/price-list.ts';
import type { Problem } from '../../policy/problem.ts';
import { reviewService } from '../../policy/review-service.ts';
import { viewService } from '../../policy/service-view.ts';
import type { ServiceLookup } from './lookup.ts';
import type { AdmissionRequest, Verdict } from './review.ts';
import { lineOf, verdictOf } from './service-webhook.ts';

/**
 * The validating webhook of InferencePolicies and PriceLists: what their schemas say once more, for API servers that were
 * given older ones, and what no CEL rule can see, because it is in another object.
 */
export async function validatePolicy(request: AdmissionRequest, lookup: ServiceLookup): Promise<Verdict> {
  const object = request.object as { metadata?: { deletionTimestamp?: unknown } } | null | undefined;
  if (!object || object.metadata?.deletionTimestamp !== undefined) return { outcome: 'passed', warnings: [] };
  if (request.kind.kind === 'PriceList') return await priceListVerdict(object, lookup);
  const { value, problems } = readInferencePolicy(object);
  if (!value) return verdictOf(problems);
  const namespace = request.namespace ?? value.metadata.namespace ?? '';
  const policy = { ...value, metadata: { ...value.metadata, namespace } };
  return verdictOf([...problems, ...(await withTarget(policy, namespace, lookup))]);
}

/**
 * What the policy makes of its target, and of other policies of it. A target that does not exist yet is no mistake, and
 * what was wrong before is no reason to refuse this object.
 */
async function withTarget(policy: InferencePolicy, namespace: string, lookup: ServiceLookup): Promise<Problem[]> {
  const { kind, name } = policy.spec.targetRef;
  const [target, others = [], priceLists] = await Promise.all([
    lookup.object(namespace, { kind, name }),
    lookup.policies(namespace),
    lookup.priceLists(),
  ]);
  const service = target && viewService({ ...target, apiVersion: `${policy.spec.targetRef.group}/v1`, kind });
  if (!service) return [];
  const rest = others.filter(({ metadata }) => metadata.name !== policy.metadata.name);
  const without = new Set(reviewService({ service, policies: rest, priceLists }).map(lineOf));
  const own = `InferencePolicy/${namespace}/${policy.metadata.name}`;
  return reviewService({ service, policies: [...rest, policy], priceLists })
    .filter((problem) => !without.has(lineOf(problem)))
    .map(({ object, ...problem }) =>
      object === own ? problem : { ...problem, object: object ?? `${kind}/${namespace}/${name}` },
    );
}

async function priceListVerdict(object: object, lookup: ServiceLookup): Promise<Verdict> {
  const { value, problems } = readPriceList(object);
  if (!value) return verdictOf(problems);
  const others = ((await lookup.priceLists()) ?? []).filter(({ metadata }) => metadata.name !== value.metadata.name);
  const chosen = choosePriceList([...others, value]);
  if (chosen === value || chosen === undefined) return verdictOf(problems);
  const message = `${chosen.metadata.name} is the older list and holds; this one is ignored: merge them`;
  const line = lineOf({ severity: 'warning', code: 'PL_PRICE_LIST_CONFLICT', field: 'metadata.name', message });
  return { outcome: 'warned', warnings: [line] };
}
