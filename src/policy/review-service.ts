import { annotationField, annotationPrefix, checkTogether, readAnnotations } from './annotations.ts';
import {
  chooseInferencePolicy,
  type InferencePolicy,
  mergePolicy,
  specFieldOf,
  targetsService,
} from './inference-policy.ts';
import { type Place, type Problem, refuses, warning } from './problem.ts';
import type { ReviewContext, ServiceReview } from './review-context.ts';
import { reviewCost } from './review-cost.ts';
import { reviewObserved } from './review-observed.ts';
import { reviewServing } from './review-serving.ts';
import type { ServicePolicy } from './service-policy.ts';
import { podAutoscalerClass, type ServiceView } from './service-view.ts';

/**
 * Everything that admission, `paceline lint` and the controller say about one service: errors for what cannot work,
 * warnings for what will hurt. Pure, and in the same order for the same objects.
 */
export function reviewService(review: ServiceReview): Problem[] {
  const { service } = review;
  const { policy, problems } = effectivePolicy(service, review.policies);
  for (const field of service.misplaced) problems.push(misplaced(service, field));
  problems.push(...classAlone(service));
  if (policy === undefined || policy.mode === 'off') return problems;
  const places = placesOf(service, review.policies);
  const mode = service.deploymentMode === 'modelmesh' ? undefined : (service.deploymentMode ?? review.deploymentMode);
  const context: ReviewContext = {
    ...review,
    policy,
    mode,
    // KServe's default is one replica, Knative's none.
    minReplicas: service.minReplicas?.value ?? (service.kind === 'InferenceService' ? 1 : 0),
    where: places,
  };
  problems.push(...reviewServing(context), ...reviewCost(context), ...reviewObserved(context));
  return problems;
}

/**
 * The policy of a service: what its annotations say, with what the InferencePolicy that holds says instead.
 * There is none where the service has not opted in, or where anything of it is wrong.
 */
export function effectivePolicy(
  service: ServiceView,
  policies: readonly InferencePolicy[] = [],
): { policy?: ServicePolicy; problems: Problem[] } {
  const read = readAnnotations(service.annotations, service.annotationsAt);
  const { problems } = read;
  const choice = chooseInferencePolicy(policies.filter((policy) => targetsService(policy, service)));
  for (const other of choice?.others ?? []) problems.push(conflict(other, choice?.chosen as InferencePolicy));
  if (choice === undefined || read.policy === undefined) {
    if (choice !== undefined && !refuses(problems)) problems.push(notOptedIn(service, choice.chosen));
    return read;
  }
  const policy = mergePolicy(read.policy, choice.chosen.spec);
  const where = placesOf(service, policies);
  problems.push(...checkTogether(policy, where).filter((problem) => !isKnown(problem, problems)));
  return refuses(problems) ? { problems } : { policy, problems };
}

function isKnown({ code }: Problem, problems: readonly Problem[]): boolean {
  return problems.some((problem) => problem.code === code);
}

/** Where each setting comes from: the InferencePolicy that holds, or else the annotation, set or not. */
function placesOf(service: ServiceView, policies: readonly InferencePolicy[] = []): (name: string) => Place {
  const chosen = chooseInferencePolicy(policies.filter((policy) => targetsService(policy, service)))?.chosen;
  return (name) => {
    const field = specFieldOf(name);
    if (chosen !== undefined && chosen.spec[field] !== undefined) {
      return { field: `spec.${field}`, object: objectOf(chosen) };
    }
    return { field: annotationField(name, service.annotationsAt) };
  };
}

function objectOf({ kind, metadata }: InferencePolicy): string {
  return `${kind}/${metadata.namespace ?? 'default'}/${metadata.name}`;
}

function conflict(other: InferencePolicy, chosen: InferencePolicy): Problem {
  return {
    ...warning(
      'PL_POLICY_CONFLICT',
      'spec.targetRef.name',
      `${chosen.metadata.name} is the older policy of ${other.spec.targetRef.name} and holds; this one is ignored: merge them`,
    ),
    object: objectOf(other),
  };
}

function notOptedIn({ name }: ServiceView, policy: InferencePolicy): Problem {
  return {
    ...warning(
      'PL_NOT_OPTED_IN',
      'spec.targetRef.name',
      `${name} has no annotation paceline.dev/slo, so its pods have no companion and this policy does nothing: add it`,
    ),
    object: objectOf(policy),
  };
}

function* classAlone({ podAutoscalerClass: named, annotations }: ServiceView): Iterable<Problem> {
  if (named?.value !== podAutoscalerClass || annotations[`${annotationPrefix}slo`] !== undefined) return;
  yield warning(
    'PL_CLASS_ALONE',
    named.field,
    `class ${podAutoscalerClass} scales for an objective and there is none: add paceline.dev/slo, or leave the class out`,
  );
}

function misplaced({ kind }: ServiceView, field: string): Problem {
  const message =
    kind === 'Service'
      ? "a Knative Service's own annotations do not reach its pods: move it to spec.template.metadata.annotations"
      : 'only metadata.annotations of the InferenceService are read: move it there';
  return warning('PL_ANNOTATION_PLACE', field, message);
}
