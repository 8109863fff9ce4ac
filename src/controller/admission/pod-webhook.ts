import { readAnnotations } from '../../policy/annotations.ts';
import { mergePolicy } from '../../policy/inference-policy.ts';
import { podLabels, revisionOf, serviceOf } from '../pod-identity.ts';
import type { CompanionImage } from './companion-container.ts';
import { companionVariables } from './companion-variables.ts';
import { injectCompanion } from './inject-companion.ts';
import type { ServiceLookup } from './lookup.ts';
import type { Pod } from './pod.ts';
import type { AdmissionRequest, Verdict } from './review.ts';
import { lineOf } from './service-webhook.ts';

/** What the pod webhook needs. */
export interface PodWebhookParts {
  readonly image: CompanionImage;
  readonly lookup: ServiceLookup;
  /** Public keys of policy documents. */
  readonly policyKeys: () => readonly string[];
  /** Namespaces whose pods are never touched. */
  readonly excluded: ReadonlySet<string>;
}

/** The pod webhook: the companion into each new pod whose annotations ask for one. It refuses no pod. */
export class PodWebhook {
  readonly #parts: PodWebhookParts;

  constructor(parts: PodWebhookParts) {
    this.#parts = parts;
  }

  async review(request: AdmissionRequest): Promise<Verdict> {
    const pod = request.object as Pod | null | undefined;
    const namespace = request.namespace ?? pod?.metadata?.namespace ?? '';
    if (request.operation !== 'CREATE' || request.kind.kind !== 'Pod' || !pod?.spec?.containers) return passed;
    if (this.#parts.excluded.has(namespace)) return passed;
    const service = serviceOf(pod.metadata);
    const annotations = pod.metadata.annotations ?? {};
    if (!service || annotations['paceline.dev/slo'] === undefined) return passed;
    const { policy, problems } = readAnnotations(annotations);
    if (!policy) {
      const wrong = problems.filter(({ severity }) => severity === 'error');
      return { outcome: 'invalid', warnings: wrong.map(lineOf) };
    }
    if (policy.mode === 'off') return passed;

    const { lookup, image, policyKeys } = this.#parts;
    const known = service.kind === 'Service' ? pod.metadata.labels?.[podLabels.knativeServiceUid] : undefined;
    const [uid, live] = await Promise.all([
      known ?? lookup.uidOf(namespace, service),
      lookup.liveSpec(namespace, service),
    ]);
    const variables = companionVariables(live ? mergePolicy(policy, live) : policy, {
      namespace,
      name: service.name,
      uid,
      revision: revisionOf(pod.metadata),
      policyKeys: policyKeys(),
    });
    const { outcome, pod: changed, code, message } = injectCompanion(pod, image, variables);
    // KServe's webhook comes next, and then this one again.
    const waits = code === 'PL_POD_LOGGER_PENDING';
    const warnings = code && !waits ? [`${code}: ${message}`] : [];
    return { object: changed, warnings, outcome: waits ? 'waiting' : outcome };
  }
}

const passed: Verdict = { outcome: 'passed', warnings: [] };
