import { podLabels } from '../pod-identity.ts';
import {
  adminPort,
  agentName,
  agentPort,
  type CompanionImage,
  type CompanionPlace,
  companionContainer,
  companionName,
  companionPort,
  companionUpstream,
  isCompanion,
  waitForDrain,
} from './companion-container.ts';
import {
  type Container,
  containerNamed,
  flagOf,
  hasFlag,
  type Pod,
  portNumber,
  queueProxyName,
  variableOf,
  withVariables,
} from './pod.ts';
import { handlerOn, listenerOn, localProbe, modelProbe, readinessVariable, redirected } from './readiness.ts';

/** What became of a pod. */
export interface Injection {
  readonly outcome: 'replaced' | 'chained' | 'added' | 'left';
  readonly pod: Pod;
  /** Why it was left alone. */
  readonly code?: InjectionCode;
  readonly message?: string;
}

export type InjectionCode =
  | 'PL_POD_PULLER'
  | 'PL_POD_LOGGER_PENDING'
  | 'PL_POD_FOREIGN_AGENT'
  | 'PL_POD_NAME_TAKEN'
  | 'PL_POD_PORT_TAKEN'
  | 'PL_POD_NO_MODEL'
  | 'PL_POD_BYPASS';

const internal = 'internal.serving.kserve.io/';
const kserveModels = ['transformer-container', 'kserve-container'];
const batcherFlags = ['--enable-batcher', '--max-batchsize', '--max-latency'];
const defaultModelPort = 8080;

/**
 * Puts the companion into a pod, wherever KServe's and Knative's own webhooks stand before or after this one:
 *
 * - KServe's agent batches: the companion takes its place (name, port and probe stay);
 * - KServe's agent logs: the companion stands behind it, so that logs hold the requests of callers, and the agent no
 *   longer batches;
 * - no agent, but KServe is about to add one that batches: the companion is added under its name, which KServe heeds;
 * - no agent, and Knative's queue-proxy: the companion is added between the two.
 *
 * Everything else is left alone, with a code that says why. Twice is the same as once.
 *
 * @param variables the companion's options, by name of variable
 */
export function injectCompanion(
  pod: Pod,
  image: CompanionImage,
  variables: Readonly<Record<string, string>>,
): Injection {
  const queueProxy = containerNamed(pod, queueProxyName);
  const agent = containerNamed(pod, agentName);
  const beside = containerNamed(pod, companionName);
  const annotated = (name: string) => pod.metadata.annotations?.[internal + name] !== undefined;
  const leave = (code: InjectionCode) => ({ outcome: 'left' as const, pod, code, message: messages[code] });

  if (annotated('agent') || (agent && hasFlag(agent, '--enable-puller'))) return leave('PL_POD_PULLER');
  if (beside && !isCompanion(beside)) return leave('PL_POD_NAME_TAKEN');
  if (!agent && annotated('logger')) return leave('PL_POD_LOGGER_PENDING');
  const role = agent ? roleOf(agent) : undefined;
  if (role === 'foreign') return leave('PL_POD_FOREIGN_AGENT');
  const asAgent = role === 'batcher' || role === 'companion' || (!agent && annotated('batcher'));
  if (!asAgent && !agent && !queueProxy) return leave('PL_POD_BYPASS');

  const model = modelOf(pod, [agent, queueProxy, beside]);
  if (!model) return leave('PL_POD_NO_MODEL');
  const name = asAgent ? agentName : companionName;
  const before = asAgent ? agent : beside;
  const port = asAgent ? agentPort : companionPort;
  if (isTaken(pod, [port, adminPort], before)) return leave('PL_POD_PORT_TAKEN');

  const known = before && isCompanion(before) ? before : undefined;
  const place: CompanionPlace = {
    name,
    port,
    upstreamPort: (known ? companionUpstream(known) : upstreamOf(agent, queueProxy, model)) ?? defaultModelPort,
    modelProbe: known ? (variableOf(known, readinessVariable) ?? '') : probeOf(agent, queueProxy, model),
    behindQueueProxy: queueProxy !== undefined,
    before,
  };
  const companion = companionContainer(pod, place, image, variables);
  const containers = pod.spec.containers.map((container) => {
    if (container === before) return companion;
    if (container === agent) return chained(agent);
    // A model in Standard mode gets SIGTERM together with the companion, which still has requests for it.
    if (container === model && !queueProxy && !model.lifecycle) return { ...model, lifecycle: waitForDrain(adminPort) };
    return container === queueProxy ? pointed(queueProxy, role === 'logger' ? 'logger' : port) : container;
  });
  if (!before) containers.push(companion);
  const outcome = role === 'logger' ? 'chained' : agent ? 'replaced' : 'added';
  return { outcome, pod: withContainers(pod, containers) };
}

/** Whose container `agent` is, and what it does. KServe's own is known by its port's name and its flags. */
function roleOf(agent: Container): 'companion' | 'logger' | 'batcher' | 'foreign' {
  if (isCompanion(agent)) return 'companion';
  const named = agent.ports?.some(({ name, containerPort }) => name === 'agent-port' && containerPort === agentPort);
  if (!named) return 'foreign';
  if (hasFlag(agent, '--log-url')) return 'logger';
  return hasFlag(agent, '--enable-batcher') ? 'batcher' : 'foreign';
}

/** The container that serves. Of KServe's pods only those have one that carry its name: workers of a node group do not. */
function modelOf(pod: Pod, others: readonly (Container | undefined)[]): Container | undefined {
  if (pod.metadata.labels?.[podLabels.inferenceService]) return containerNamed(pod, ...kserveModels);
  return pod.spec.containers.find((container) => container.ports?.length && !others.includes(container));
}

function isTaken(pod: Pod, ports: readonly number[], own: Container | undefined): boolean {
  const others = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].filter((each) => each !== own);
  return others.some((each) => each.ports?.some(({ containerPort }) => ports.includes(containerPort)));
}

/** The port that served before the companion came. */
function upstreamOf(
  agent: Container | undefined,
  queueProxy: Container | undefined,
  model: Container,
): number | undefined {
  if (agent) return portNumber(flagOf(agent, '--component-port'));
  return (queueProxy && portNumber(variableOf(queueProxy, 'USER_PORT'))) ?? model.ports?.[0]?.containerPort;
}

function probeOf(agent: Container | undefined, queueProxy: Container | undefined, model: Container): string {
  const given = [agent, queueProxy].map((each) => each && variableOf(each, readinessVariable)).find(Boolean);
  // KServe leaves the variable out in Standard mode where a probe is a command or speaks gRPC.
  if (given !== undefined || queueProxy) return modelProbe(given, model);
  return model.readinessProbe ? localProbe(model.readinessProbe, model) : '';
}

/** A logging agent that hands requests on to the companion, asks it whether all is ready, and no longer batches. */
function chained(agent: Container): Container {
  const args: string[] = [];
  for (let i = 0; i < (agent.args ?? []).length; i++) {
    const arg = agent.args?.[i] as string;
    const flag = arg.split('=', 1)[0] as string;
    if (flag !== '--component-port' && !batcherFlags.includes(flag)) args.push(arg);
    else if (!arg.includes('=') && flag !== '--enable-batcher') i++;
  }
  args.push('--component-port', String(companionPort));
  const several = variableOf(agent, 'ENABLE_MULTI_CONTAINER_PROBES') === 'true';
  const probe = redirected(variableOf(agent, readinessVariable), several, handlerOn(companionPort));
  return withVariables({ ...agent, args }, { [readinessVariable]: probe });
}

/**
 * A queue-proxy that sends requests, and asks for readiness, where the companion or the logging agent before it
 * listens. Both are rewritten together: KServe rewrites the port alone, and a pod whose model is up counts as ready
 * before anybody listens there.
 */
function pointed(queueProxy: Container, to: number | 'logger'): Container {
  const port = to === 'logger' ? agentPort : to;
  const several = variableOf(queueProxy, 'ENABLE_MULTI_CONTAINER_PROBES') === 'true';
  // Where queue-proxy looks for HTTP/2 it asks with a request that KServe's agent answers with 400.
  const blind = to === 'logger' && variableOf(queueProxy, 'ENABLE_HTTP2_AUTO_DETECTION') === 'true';
  const handler = blind ? listenerOn(port) : handlerOn(port);
  return withVariables(queueProxy, {
    USER_PORT: String(port),
    [readinessVariable]: redirected(variableOf(queueProxy, readinessVariable), several, handler),
  });
}

function withContainers(pod: Pod, containers: readonly Container[]): Pod {
  const labels = { ...pod.metadata.labels, [podLabels.companion]: 'true' };
  return { ...pod, metadata: { ...pod.metadata, labels }, spec: { ...pod.spec, containers } };
}

const messages: Readonly<Record<InjectionCode, string>> = {
  PL_POD_PULLER:
    'this pod loads models at run time (KServe agent with a puller): it is left as it is, without a companion',
  PL_POD_LOGGER_PENDING: "KServe's webhook has not added its logger yet: the companion follows it",
  PL_POD_FOREIGN_AGENT:
    "a container named `agent` is not KServe's: rename it, and the companion can be added; it is left as it is",
  PL_POD_NAME_TAKEN: 'a container named `paceline` is not the companion: rename it, and the companion can be added',
  PL_POD_PORT_TAKEN:
    'a container of this pod listens on 9081, 9085 or 9086: move it to another port, and the companion can be added',
  PL_POD_NO_MODEL: 'no container of this pod serves a port: there is nothing to put a companion in front of',
  PL_POD_BYPASS:
    'the Service of this pod points past the companion, because its InferenceService has no `predictor.batcher`: ' +
    'write any field of it again, so that admission adds the batcher, and the next pod gets a companion',
};
