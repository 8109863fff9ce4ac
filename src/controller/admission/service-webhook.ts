import { readAnnotations } from '../../policy/annotations.ts';
import { type Problem, refuses } from '../../policy/problem.ts';
import { reviewService } from '../../policy/review-service.ts';
import { viewService } from '../../policy/service-view.ts';
import { firstCanaryPercent } from '../rollout/first-step.ts';
import { type Defaulted, defaulted, type InferenceService } from './inference-service.ts';
import type { ServiceLookup } from './lookup.ts';
import type { AdmissionRequest, Verdict } from './review.ts';

const nothing: Verdict = { outcome: 'passed', warnings: [] };

/** The mutating webhook of InferenceServices. It refuses none. */
export class ServiceWebhook {
  readonly #lookup: ServiceLookup;
  readonly #ownUser: string;

  /** @param ownUser the user name of the controller itself */
  constructor(lookup: ServiceLookup, ownUser: string) {
    this.#lookup = lookup;
    this.#ownUser = ownUser;
  }

  async review(request: AdmissionRequest): Promise<Verdict> {
    const service = request.object as InferenceService | null | undefined;
    if (!service?.spec?.predictor || !service.metadata) return nothing;
    const before = (request.oldObject as InferenceService | null | undefined) ?? undefined;
    const namespace = request.namespace ?? service.metadata.namespace ?? '';
    const { policy } = readAnnotations(service.metadata.annotations ?? {});
    const name = service.metadata.name ?? '';
    // Only a canary depends on what a policy says over the annotations, and on what KServe leaves out of templates.
    const [live, uncopied] =
      policy && before && name !== ''
        ? await Promise.all([
            this.#lookup.liveSpec(namespace, { kind: 'InferenceService', name }),
            this.#lookup.uncopiedAnnotations(),
          ])
        : [undefined, []];
    const byController = request.userInfo?.username === this.#ownUser;
    const result = defaulted(service, before, { live, uncopied, byController });
    return {
      object: result.service,
      warnings: said(result),
      outcome: result.canary?.reason ?? result.batcher ?? 'passed',
    };
  }
}

function said({ canary }: Defaulted): string[] {
  if (canary?.reason !== 'NewRevision') return [];
  return [
    `paceline.dev/rollout is auto: the new revision begins with ${canary.percent} % of the traffic, and gets more on evidence`,
  ];
}

/**
 * The validating webhook of InferenceServices: errors refuse, warnings are told to who applies it. An update that
 * changes neither wishes nor spec, such as KServe's own of finalizers, is never refused: a deletion would hang on it.
 */
export async function validateService(
  request: AdmissionRequest,
  lookup: ServiceLookup,
  ownUser: string,
): Promise<Verdict> {
  const service = request.object as InferenceService | null | undefined;
  if (!service?.metadata || service.metadata.deletionTimestamp !== undefined) return nothing;
  const old = (request.oldObject as InferenceService | null | undefined) ?? undefined;
  if (old?.metadata && wishesOf(old) === wishesOf(service)) return nothing;
  const view = viewService(service);
  if (!view) return nothing;
  const [policies, priceLists] = await Promise.all([lookup.policies(request.namespace ?? ''), lookup.priceLists()]);
  const canary = service.spec?.predictor?.canaryTrafficPercent;
  const before = old?.spec?.predictor?.canaryTrafficPercent;
  const canaryIsOurs =
    request.userInfo?.username === ownUser || canary === firstCanaryPercent || (canary != null && canary === before);
  return verdictOf(reviewService({ service: view, policies, priceLists, canaryIsOurs }));
}

/** A text that differs where anything that a user writes does. */
function wishesOf({ spec, metadata }: InferenceService): string {
  return JSON.stringify([spec, metadata.annotations]);
}

/** Errors as a denial, warnings as warnings. */
export function verdictOf(problems: readonly Problem[]): Verdict {
  const lines = (severity: Problem['severity']) =>
    problems.filter((problem) => problem.severity === severity).map(lineOf);
  const warnings = lines('warning');
  if (refuses(problems)) return { outcome: 'denied', denied: lines('error').join('; '), warnings };
  return { outcome: warnings.length > 0 ? 'warned' : 'passed', warnings };
}

/** A problem as people read it. */
export function lineOf({ code, object, field, message }: Problem): string {
  return `${code} ${object === undefined ? '' : `${object} `}${field}: ${message}`;
}
