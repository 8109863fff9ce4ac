import type { Manifest } from '../documents.ts';
import { hostOf, inferenceService, knativeService } from '../support/services.ts';

/** The model of the comparison: serial, 50 ms a call and 5 ms an item. It sleeps, so that many pods fit on a small machine. */
export const model = { BASE_MS: 50, SLOPE_MS: 5 };
export const sloMs = 500;

/** One way to serve the model. */
export interface Way {
  readonly name: string;
  readonly tells: string;
  /** Without batching, requests reach the model one by one. */
  readonly batches: boolean;
  readonly kind: 'isvc' | 'ksvc';
  /** The service's name, by which its pods are counted. */
  readonly service: string;
  readonly host: (namespace: string) => string;
  readonly manifest: (namespace: string) => Manifest;
}

/**
 * The same bound for everybody. At 55 ms a request 200/s keep 11 pods busy without batching; a scaler that counts waiting
 * requests asks for hundreds, more than the machine can start.
 */
export const podsMax = 24;
const bounds = { 'autoscaling.knative.dev/min-scale': '1', 'autoscaling.knative.dev/max-scale': String(podsMax) };

function knative(service: string, name: string, tells: string, annotations: Record<string, string>): Way {
  return {
    name,
    tells,
    batches: false,
    kind: 'ksvc',
    service,
    host: (namespace) => hostOf.knativeService(namespace, service),
    manifest: (namespace) => knativeService(namespace, service, { model, annotations: { ...bounds, ...annotations } }),
  };
}

function kserve(
  service: string,
  name: string,
  tells: string,
  more: { annotations?: Record<string, string>; predictor?: Record<string, unknown> },
): Way {
  return {
    name,
    tells,
    batches: true,
    kind: 'isvc',
    service,
    host: (namespace) => hostOf.inferenceService(namespace, service, 'Knative'),
    manifest: (namespace) =>
      inferenceService(namespace, service, {
        mode: 'Knative',
        model,
        ...more,
        predictor: { maxReplicas: podsMax, ...more.predictor },
      }),
  };
}

/** Paceline first: what it is compared with follows. Each begins with one ready pod. */
export const ways: readonly Way[] = [
  kserve('with-paceline', 'Paceline', 'an InferenceService with `paceline.dev/slo: 500ms` and nothing else', {
    annotations: { 'paceline.dev/slo': `${sloMs}ms` },
  }),
  knative('knative-defaults', 'Knative, defaults', 'a Knative Service as it is', {}),
  knative('knative-target-one', 'Knative, target 1', 'a Knative Service that is scaled to one request a pod', {
    'autoscaling.knative.dev/target': '1',
  }),
  kserve('batcher-defaults', "KServe's batcher, defaults", 'an InferenceService with `batcher: {}`', {
    predictor: { batcher: {} },
  }),
  kserve(
    'batcher-tuned',
    "KServe's batcher, 32 and 50 ms",
    'an InferenceService with a batcher that is tuned by hand',
    {
      predictor: { batcher: { maxBatchSize: 32, maxLatency: 50 } },
    },
  ),
];
