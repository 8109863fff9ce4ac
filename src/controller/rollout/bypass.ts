import type { KubeObject } from '../../kube/objects.ts';
import { predictorServiceName } from '../pod-identity.ts';

/** A canary whose callers do not pass its companion. */
export interface CanaryBypass {
  /** `spec.canary[].predictor.name`. */
  readonly canary: string;
  readonly service: string;
  /** Where its Service points: the model's own port. */
  readonly port: number | string;
}

/** Ports on which a companion listens in a pod: where it replaces KServe's agent, and beside it. */
const companionPorts: readonly (number | string)[] = [9081, 'agent-port', 9085];

/**
 * The canaries of an InferenceService in Standard mode (`spec.canary`, KServe 0.20 and later) that go around the
 * companion. KServe points the stable Service at port 9081 because of the predictor's `batcher` or `logger`, but builds
 * a canary's Service from `minReplicas` alone (predictor.go, reconcileCanaryDeployments): its port stays the model's,
 * although the pod has a companion. Then nothing that the companion measures says anything about the canary.
 *
 * @param services of the namespace, by name; a Service that is not there yet is not reported.
 */
export function bypassedCanaries(service: KubeObject, services: ReadonlyMap<string, KubeObject>): CanaryBypass[] {
  const bypassed: CanaryBypass[] = [];
  for (const canary of canaryNames(service)) {
    const name = predictorServiceName(service.metadata.name, canary);
    const port = targetPort(services.get(name));
    if (port !== undefined && !companionPorts.includes(port)) bypassed.push({ canary, service: name, port });
  }
  return bypassed;
}

/** The names of a service's canaries in Standard mode. */
export function canaryNames(service: KubeObject): string[] {
  const { canary } = (service.spec ?? {}) as { canary?: unknown };
  if (!Array.isArray(canary)) return [];
  const names = canary.map((each: { predictor?: { name?: unknown } } | null) => each?.predictor?.name);
  return names.filter((name): name is string => typeof name === 'string' && name !== '');
}

/** What is said of it, and what to do. */
export function bypassMessage(bypassed: readonly CanaryBypass[]): string {
  const which = bypassed.map(({ canary, service, port }) => `${canary} (Service ${service}, port ${port})`).join(', ');
  return `requests to ${which} go around the companion: KServe does not point a canary's Service at it, so that they are neither batched nor measured. Walk canaries in Knative mode, or use a service of its own with variant-of`;
}

function targetPort(service: KubeObject | undefined): number | string | undefined {
  const { ports } = (service?.spec ?? {}) as { ports?: unknown };
  if (!Array.isArray(ports)) return undefined;
  const [first] = ports as ({ port?: unknown; targetPort?: unknown } | null)[];
  const port = first?.targetPort ?? first?.port;
  return typeof port === 'number' || typeof port === 'string' ? port : undefined;
}
