import { readAnnotations } from '../../policy/annotations.ts';
import { type Problem, refuses } from '../../policy/problem.ts';
import { type Defaulted, defaulted, type InferenceService } from './inference-service.ts';
import type { ServiceLookup } from './lookup.ts';
import type { AdmissionRequest, Verdict } from './review.ts';

/** Says all that is wrong with a service, or will hurt. */
export type ReviewOfService = (service: object, namespace: string) => readonly Problem[];

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
    if (!service?.spec?.predictor || !service.metadata) return { outcome: 'passed', warnings: [] };
    const before = (request.oldObject as InferenceService | null | undefined) ?? undefined;
    const namespace = request.namespace ?? service.metadata.namespace ?? '';
    const { policy } = readAnnotations(service.metadata.annotations ?? {});
    const name = service.metadata.name ?? '';
    // Only a canary depends on what a policy says over the annotations.
    const live =
      policy && before && name !== ''
        ? await this.#lookup.liveSpec(namespace, { kind: 'InferenceService', name })
        : undefined;
    const own = request.userInfo?.username === this.#ownUser;
    const result = defaulted(service, before, live, own);
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
export function validateService(request: AdmissionRequest, review: ReviewOfService): Verdict {
  const service = request.object as InferenceService | null | undefined;
  if (!service?.metadata || service.metadata.deletionTimestamp !== undefined)
    return { outcome: 'passed', warnings: [] };
  const problems = review(service, request.namespace ?? '');
  const old = request.oldObject as InferenceService | null | undefined;
  const same =
    old?.metadata !== undefined &&
    JSON.stringify([old.spec, old.metadata.annotations]) ===
      JSON.stringify([service.spec, service.metadata.annotations]);
  return same ? { outcome: 'passed', warnings: [] } : verdictOf(problems);
}

/** Errors as a denial, warnings as warnings. */
export function verdictOf(problems: readonly Problem[]): Verdict {
  const lines = (severity: Problem['severity']) =>
    problems
      .filter((problem) => problem.severity === severity)
      .map(({ code, field, message }) => `${code} ${field}: ${message}`);
  const warnings = lines('warning');
  if (refuses(problems)) return { outcome: 'denied', denied: lines('error').join('; '), warnings };
  return { outcome: warnings.length > 0 ? 'warned' : 'passed', warnings };
}
