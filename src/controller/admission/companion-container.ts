import type { Container, EnvVar, Pod, Probe } from './pod.ts';
import { portNumber, variableOf } from './pod.ts';
import { handlerOn, readinessVariable } from './readiness.ts';

/** Where the companion listens when it stands in for KServe's agent: the Service points there. */
export const agentPort = 9081;
/** Where it listens when it stands beside an agent, or where there is none. */
export const companionPort = 9085;
/** Where the controller finds /signals and sends policy documents. */
export const adminPort = 9086;

export const agentName = 'agent';
export const companionName = 'paceline';

/** What the operator decides about every companion. Nothing in a pod or its annotations can change it. */
export interface CompanionImage {
  /** By digest. */
  readonly image: string;
  readonly resources: {
    readonly requests: Readonly<Record<string, string>>;
    readonly limits: Readonly<Record<string, string>>;
  };
}

/** One companion in one pod. */
export interface CompanionPlace {
  readonly name: typeof agentName | typeof companionName;
  readonly port: typeof agentPort | typeof companionPort;
  /** Port of what it forwards to, in the same pod. */
  readonly upstreamPort: number;
  /** The probe of the model as JSON; empty where there is none that can be asked: the companion then has its own way. */
  readonly modelProbe: string;
  /** Beside Knative's queue-proxy, which drains first. */
  readonly behindQueueProxy: boolean;
  /** What the container had before, where it takes the place of one. */
  readonly before?: Container | undefined;
}

/** Where Knative's queue-proxy says when it has drained. */
const queueProxyAdminPort = 8022;
const upstreamPattern = /^http:\/\/127\.0\.0\.1:(\d{1,5})$/;
const unprivilegedUser = 65_532;
const tokenMount = '/var/run/secrets/kubernetes.io/serviceaccount';
/** What Kubernetes gives a pod to end where the pod does not say. */
const graceSeconds = 30;
/** Left between the end of draining and SIGKILL. */
const graceMarginSeconds = 2;
/** As long as Knative's queue-proxy and KServe's agent: clients need it to hear that a pod is leaving. */
const drainQuiet = '30s';

/** Whether the webhook made this container. */
export function isCompanion(container: Container): boolean {
  return container.args?.[0] === 'companion' && companionUpstream(container) !== undefined;
}

/** The port that a companion forwards to; only this pod's own ports count. */
export function companionUpstream(container: Container): number | undefined {
  return portNumber(upstreamPattern.exec(variableOf(container, 'PACELINE_UPSTREAM') ?? '')?.[1]);
}

/**
 * The companion's container. Every field that the API server would fill in is written out, so that a second call on
 * what the API server made of the first one changes nothing.
 *
 * @param variables its options, by name of variable
 */
export function companionContainer(
  pod: Pod,
  place: CompanionPlace,
  image: CompanionImage,
  variables: Readonly<Record<string, string>>,
): Container {
  const named = place.name === agentName ? 'agent-port' : 'paceline';
  const mounts = (place.before?.volumeMounts ?? []).filter(({ mountPath }) => mountPath === tokenMount);
  return {
    name: place.name,
    image: image.image,
    imagePullPolicy: 'IfNotPresent',
    args: ['companion'],
    env: environment(pod, place, variables),
    ports: [
      { name: named, containerPort: place.port, protocol: 'TCP' },
      { name: 'paceline-admin', containerPort: adminPort, protocol: 'TCP' },
    ],
    resources: image.resources,
    securityContext: restricted(pod),
    readinessProbe: ownProbe(place),
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'FallbackToLogsOnError',
    ...(place.behindQueueProxy ? { lifecycle: waitForDrain(queueProxyAdminPort) } : {}),
    ...(mounts.length > 0 ? { volumeMounts: mounts } : {}),
  };
}

/**
 * A container that is told to stop only when whoever listens on this port has drained. Knative gives it to the
 * containers that it knows of.
 */
export function waitForDrain(port: number): object {
  return { preStop: { httpGet: { path: '/wait-for-drain', port, scheme: 'HTTP' } } };
}

function environment(pod: Pod, place: CompanionPlace, variables: Readonly<Record<string, string>>): EnvVar[] {
  const drainSeconds = Math.max(1, (pod.spec.terminationGracePeriodSeconds ?? graceSeconds) - graceMarginSeconds);
  const values: Record<string, string> = {
    PACELINE_UPSTREAM: `http://127.0.0.1:${place.upstreamPort}`,
    PACELINE_PORT: String(place.port),
    PACELINE_ADMIN_PORT: String(adminPort),
    PACELINE_DRAIN_QUIET: drainQuiet,
    PACELINE_DRAIN_TIMEOUT: `${Math.min(drainSeconds, 3600)}s`,
    ...(place.behindQueueProxy ? { PACELINE_QUEUE_PROXY: 'true' } : {}),
    ...variables,
    ...(place.modelProbe ? { [readinessVariable]: place.modelProbe } : {}),
  };
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

/**
 * As KServe gives its agent, with the path it took from the user's probe; asked each second, so that a pod is not
 * ready ten seconds late because its model was not there at the first try.
 */
function ownProbe({ port, before }: CompanionPlace): Probe {
  const path = before?.readinessProbe?.httpGet?.path;
  const { host: _host, ...get } = handlerOn(port).httpGet as Record<string, unknown>;
  return {
    httpGet: { ...get, path: typeof path === 'string' && path.startsWith('/') ? path : '/' },
    timeoutSeconds: 3,
    periodSeconds: 1,
    successThreshold: 1,
    failureThreshold: 3,
  };
}

/** Pod Security `restricted`. A user is named only where the pod's own would be root, which `runAsNonRoot` refuses. */
function restricted(pod: Pod): object {
  return {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    privileged: false,
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
    ...(pod.spec.securityContext?.runAsUser === 0 ? { runAsUser: unprivilegedUser } : {}),
  };
}
