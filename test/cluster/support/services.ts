import type { Manifest } from '../documents.ts';
import { modelImage } from '../images.ts';

/** Settings of the slow model, see go/helpers/model. */
export interface ModelSettings {
  BASE_MS?: number;
  SLOPE_MS?: number;
  MAX_ITEMS?: number;
  PARALLEL?: number;
  STARTUP_MS?: number;
  FAIL_PERCENT?: number;
  NAME?: string;
  VERSION?: string;
}

/** A container that serves the slow model on port 8080 and fits into the Pod Security level `restricted`. */
export function modelContainer(name: string, settings: ModelSettings = {}): Record<string, unknown> {
  return {
    name,
    image: modelImage,
    ports: [{ containerPort: 8080, protocol: 'TCP' }],
    env: Object.entries(settings).map(([key, value]) => ({ name: key, value: String(value) })),
    readinessProbe: { httpGet: { path: '/v2/health/ready', port: 8080 }, periodSeconds: 1 },
    resources: { requests: { cpu: '5m', memory: '16Mi' }, limits: { cpu: '500m', memory: '64Mi' } },
    securityContext: restricted,
  };
}

export const restricted = {
  runAsNonRoot: true,
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

export interface InferenceServiceOptions {
  mode: 'Standard' | 'Knative';
  annotations?: Record<string, string>;
  model?: ModelSettings;
  /** Further fields of spec.predictor: minReplicas, batcher, containerConcurrency, canaryTrafficPercent... */
  predictor?: Record<string, unknown>;
}

export function inferenceService(namespace: string, name: string, options: InferenceServiceOptions): Manifest {
  return {
    apiVersion: 'serving.kserve.io/v1beta1',
    kind: 'InferenceService',
    metadata: {
      name,
      namespace,
      annotations: { 'serving.kserve.io/deploymentMode': options.mode, ...options.annotations },
    },
    spec: {
      predictor: {
        minReplicas: 1,
        containers: [modelContainer('kserve-container', options.model)],
        ...options.predictor,
      },
    },
  };
}

/** A plain Knative Service; annotations go on its template, where Knative's autoscaler reads them. */
export function knativeService(
  namespace: string,
  name: string,
  options: { annotations?: Record<string, string>; model?: ModelSettings; spec?: Record<string, unknown> } = {},
): Manifest {
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: {
      template: {
        metadata: { annotations: options.annotations ?? {} },
        spec: {
          containerConcurrency: 0,
          containers: [modelContainer('user-container', options.model)],
          ...options.spec,
        },
      },
    },
  };
}

/** By which host the ingress knows a service. */
export const hostOf = {
  knativeService: (namespace: string, name: string) => `${name}.${namespace}.svc.cluster.local`,
  inferenceService: (namespace: string, name: string, mode: 'Standard' | 'Knative') =>
    mode === 'Knative' ? `${name}-predictor.${namespace}.svc.cluster.local` : `${name}-${namespace}.example.com`,
};
