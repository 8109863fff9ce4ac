import { error, type Problem, warning } from './problem.ts';
import type { ReviewContext } from './review-context.ts';
import { podAutoscalerClass } from './service-view.ts';

/** KServe's agent, where its batcher says nothing (pkg/batcher/handler.go). */
const batcherLatencyMsDefault = 5000;
/** Knative's revision-timeout-seconds, and the timeout that KServe gives the HTTPRoute of a component. */
const timeoutSecondsDefault = { knative: 300, standard: 60 };

/** Knative's own autoscaler, which is steered, and ours. */
const plannedClasses = ['kpa.autoscaling.knative.dev', podAutoscalerClass];

/** How the service is served: what cannot go together with its policy in KServe and Knative. */
export function reviewServing(context: ReviewContext): Problem[] {
  return [
    ...deploymentMode(context),
    ...concurrency(context),
    ...timeouts(context),
    ...batcher(context),
    ...autoscaler(context),
    ...canary(context),
    ...probe(context),
  ];
}

function* deploymentMode({ service }: ReviewContext): Iterable<Problem> {
  if (service.deploymentMode === 'modelmesh') {
    yield error(
      'PL_DEPLOYMENT_MODE',
      'metadata.annotations[serving.kserve.io/deploymentMode]',
      'models of ModelMesh share pods, which have no place for a companion: use Knative or Standard, or take paceline.dev/slo out',
    );
  }
}

function* concurrency({ service, policy, mode }: ReviewContext): Iterable<Problem> {
  const { containerConcurrency, concurrencyTarget } = service;
  // Only queue-proxy enforces it.
  if (mode === 'standard') return;
  const { maxBatchSize } = policy;
  if (containerConcurrency && containerConcurrency.value > 0 && containerConcurrency.value < 2 * maxBatchSize) {
    const { value, field } = containerConcurrency;
    const half = Math.floor(value / 2);
    yield warning(
      'PL_CONCURRENCY',
      field,
      value === 1
        ? 'queue-proxy lets one request through at a time and counts those that wait for company, so nothing is ever batched: leave it out, or set it to twice the batch'
        : `queue-proxy lets ${value} requests through and counts those that wait for company, which is less than two batches of ${maxBatchSize}: leave it out, raise it to ${2 * maxBatchSize}, or set max-batch-size to "${half}"`,
    );
  }
  // In mode act a Knative revision's target is steered.
  if (concurrencyTarget && policy.mode !== 'act' && concurrencyTarget.value < maxBatchSize) {
    yield warning(
      'PL_SCALE_TARGET',
      concurrencyTarget.field,
      `requests that wait for company count as concurrent, so a target of ${concurrencyTarget.value} below the batch of ${maxBatchSize} adds replicas for nothing: raise it, or use mode act, which sets it`,
    );
  }
}

function* timeouts({ service, policy, mode }: ReviewContext): Iterable<Problem> {
  const given = service.timeoutSeconds;
  // Where the mode is unknown, the longer default says what is wrong in any case.
  const seconds = given?.value ?? timeoutSecondsDefault[mode ?? 'knative'];
  if (!seconds || seconds * 1000 >= policy.lateTimeoutMs) return;
  const field =
    given?.field ?? (service.kind === 'Service' ? 'spec.template.spec.timeoutSeconds' : 'spec.predictor.timeout');
  const which = given ? `the timeout of ${seconds} s` : `the default timeout of ${seconds} s`;
  yield warning(
    'PL_TIMEOUT',
    field,
    seconds * 1000 <= policy.sloMs
      ? `${which} is not above the SLO of ${policy.sloMs} ms: requests fail before they are late; raise it to at least ${Math.ceil(policy.lateTimeoutMs / 1000)}`
      : `${which} ends requests before the late timeout of ${policy.lateTimeoutMs} ms does, so that the model works for callers who are gone: raise it to at least ${Math.ceil(policy.lateTimeoutMs / 1000)}, or lower late-timeout`,
  );
}

function* batcher({ service, policy }: ReviewContext): Iterable<Problem> {
  if (service.batcher === undefined) return;
  const { field, maxBatchSize, maxLatency, timeout } = service.batcher;
  const latency = maxLatency ?? batcherLatencyMsDefault;
  // Ours has a latency of 1 ms.
  if (maxBatchSize !== undefined && maxBatchSize !== policy.maxBatchSize && latency > 1) {
    yield warning(
      'PL_BATCHER',
      `${field}.maxBatchSize`,
      `this says ${maxBatchSize} and max-batch-size ${policy.maxBatchSize}, which holds: write the same in both, or take the batcher out`,
    );
  }
  if (latency >= policy.sloMs) {
    yield warning(
      'PL_BATCHER',
      maxLatency === undefined ? field : `${field}.maxLatency`,
      `where a pod has no companion, KServe's batcher holds requests up to ${latency} ms${maxLatency === undefined ? ' (its default)' : ''}, beyond the SLO of ${policy.sloMs} ms: set maxLatency to 1, or take the batcher out`,
    );
  }
  if (timeout !== undefined) {
    yield warning('PL_BATCHER', `${field}.timeout`, 'KServe reads no timeout of a batcher: take it out');
  }
}

function* autoscaler({ service, policy, mode, minReplicas }: ReviewContext): Iterable<Problem> {
  const { podAutoscalerClass: knativeClass, autoscalerClass, maxReplicas } = service;
  if (mode !== 'standard' && knativeClass?.value === podAutoscalerClass && minReplicas === 0) {
    yield error(
      'PL_CLASS_ZERO',
      service.minReplicas?.field ?? knativeClass.field,
      `class ${podAutoscalerClass} keeps at least one replica, because Knative's activator tells only its own autoscaler of requests: set at least 1 as the minimum, or leave the class out to scale to zero`,
    );
  }
  if (policy.mode !== 'act' || (maxReplicas !== undefined && maxReplicas.value === minReplicas)) return;
  if (mode === 'standard' && (autoscalerClass?.value ?? 'hpa') !== 'external') {
    yield warning(
      'PL_AUTOSCALER',
      autoscalerClass?.field ?? 'metadata.annotations[serving.kserve.io/autoscalerClass]',
      `with autoscalerClass ${autoscalerClass?.value ?? 'hpa (the default)'} the number of replicas is advice only: set it to external to have them planned`,
    );
  }
  if (mode !== 'standard' && knativeClass && !plannedClasses.includes(knativeClass.value)) {
    yield warning(
      'PL_AUTOSCALER',
      knativeClass.field,
      'with this class the number of replicas is advice only: leave it out to have them planned',
    );
  }
}

function* canary({ service, policy, mode, canaryIsOurs }: ReviewContext): Iterable<Problem> {
  const { canaryTrafficPercent, canaries, frozen } = service;
  if (canaries !== undefined) {
    yield warning(
      'PL_CANARY_BYPASSED',
      canaries.field,
      "the Service of such a canary leads to the model's own port, past the companion: its requests are neither batched nor counted",
    );
  }
  if (policy.rollout !== 'auto') return;
  if (mode === 'standard') {
    yield warning(
      'PL_ROLLOUT_MODE',
      'spec.predictor.canaryTrafficPercent',
      'KServe ignores canaryTrafficPercent in Standard mode, so that rollout auto does nothing: use Knative mode, or leave rollout out',
    );
  }
  if (service.kind === 'Service') {
    yield warning(
      'PL_ROLLOUT_MODE',
      'spec.traffic',
      "rollout auto walks canaries of InferenceServices; a Knative Service's traffic stays as it is written: leave rollout out",
    );
  }
  if (canaryTrafficPercent && canaryTrafficPercent.value < 100 && canaryIsOurs !== true) {
    yield warning(
      'PL_CANARY_BY_HAND',
      canaryTrafficPercent.field,
      'rollout auto owns this field and will change it: take it out, or set rollout to manual',
    );
  }
  if (frozen !== undefined) {
    yield warning(
      'PL_FROZEN',
      frozen.field,
      'KServe carries out no change of a service that is ready while this is true, canary steps too: take it out, or set rollout to manual',
    );
  }
}

function* probe({ service, mode }: ReviewContext): Iterable<Problem> {
  if (mode === 'standard' && service.foreignProbe !== undefined) {
    const { value, field } = service.foreignProbe;
    yield warning(
      'PL_PROBE_KIND',
      field,
      `KServe's agent, which stands in where the webhook is down, does not start with a probe of kind ${value}: use httpGet or tcpSocket`,
    );
  }
}
