import fc from 'fast-check';
import { type Container, flagOf, hasFlag, type Pod, variableOf } from '../../src/controller/admission/pod.ts';

/** Pods as KServe and Knative make them, with what users add. */
export const randomPod: fc.Arbitrary<Pod> = fc
  .record({
    knative: fc.boolean(),
    kserve: fc.boolean(),
    agent: fc.constantFrom('none', 'batcher', 'logger', 'batcher and logger', 'puller', 'foreign'),
    /** KServe's webhook has run. */
    after: fc.boolean(),
    modelPort: fc.option(fc.integer({ min: 1024, max: 9080 }), { nil: undefined }),
    transformer: fc.boolean(),
    probe: fc.constantFrom('tcpSocket', 'httpGet', 'grpc', 'exec', 'none'),
    several: fc.boolean(),
    sidecar: fc.boolean(),
    root: fc.boolean(),
    grace: fc.option(fc.integer({ min: 0, max: 600 }), { nil: undefined }),
  })
  .map(podFrom);

interface Shape {
  knative: boolean;
  kserve: boolean;
  agent: string;
  after: boolean;
  modelPort: number | undefined;
  transformer: boolean;
  probe: string;
  several: boolean;
  sidecar: boolean;
  root: boolean;
  grace: number | undefined;
}

function podFrom(shape: Shape): Pod {
  const { knative, kserve, modelPort, transformer, sidecar } = shape;
  const ports = modelPort === undefined ? [] : [{ containerPort: modelPort }];
  const isKserve = kserve || !knative;
  const name = isKserve ? 'kserve-container' : 'user-container';
  const readinessProbe = probeFrom(shape, modelPort ?? 8080);
  const containers: Container[] = [
    {
      name,
      image: 'model',
      ports: transformer && isKserve && knative ? [] : ports,
      ...(readinessProbe && { readinessProbe }),
    },
  ];
  if (transformer && isKserve)
    containers.push({ name: 'transformer-container', image: 't', ports: [{ containerPort: 8095 }] });
  if (sidecar) containers.push({ name: 'istio-proxy', image: 'istio', ports: [{ containerPort: 15_090 }] });
  const served = transformer && isKserve ? 8095 : (modelPort ?? 8080);
  const text = readinessProbe ? JSON.stringify(shape.several ? [readinessProbe, { exec: {} }] : readinessProbe) : '';
  const agent = isKserve ? shape.agent : 'none';
  const injected = shape.after && agent !== 'none';
  if (knative) {
    const env = [
      { name: 'USER_PORT', value: injected && agent !== 'foreign' ? '9081' : String(served) },
      { name: 'SERVING_READINESS_PROBE', value: text },
      { name: 'ENABLE_MULTI_CONTAINER_PROBES', value: String(shape.several) },
    ];
    containers.push({ name: 'queue-proxy', image: 'queue', ports: [{ containerPort: 8012 }], env });
  }
  if (injected) containers.push(agentFrom(agent, served, text));
  return {
    metadata: {
      labels: isKserve
        ? { 'serving.kserve.io/inferenceservice': 'a', component: 'predictor' }
        : { 'serving.knative.dev/service': 'a' },
      annotations: annotationsFrom(agent),
    },
    spec: {
      containers,
      ...(shape.root && { securityContext: { runAsUser: 0 } }),
      ...(shape.grace !== undefined && { terminationGracePeriodSeconds: shape.grace }),
    },
  };
}

function probeFrom({ probe }: Shape, port: number): Container['readinessProbe'] {
  switch (probe) {
    case 'tcpSocket':
      return { tcpSocket: { port }, successThreshold: 1 };
    case 'httpGet':
      return { httpGet: { path: '/ready', port, scheme: 'HTTP' }, periodSeconds: 0 };
    case 'grpc':
      return { grpc: { port } };
    case 'exec':
      return { exec: { command: ['true'] } };
    default:
      return undefined;
  }
}

function annotationsFrom(agent: string): Record<string, string> {
  const prefix = 'internal.serving.kserve.io/';
  return {
    ...(agent.includes('batcher') && { [`${prefix}batcher`]: 'true' }),
    ...(agent.includes('logger') && { [`${prefix}logger`]: 'true' }),
    ...(agent === 'puller' && { [`${prefix}agent`]: 'true' }),
  };
}

function agentFrom(agent: string, port: number, text: string): Container {
  if (agent === 'foreign') return { name: 'agent', image: 'mine', args: ['run'] };
  const args = [
    ...(agent === 'puller' ? ['--enable-puller'] : []),
    ...(agent.includes('batcher') ? ['--enable-batcher', '--max-batchsize', '64', '--max-latency', '1'] : []),
    ...(agent.includes('logger') ? ['--log-url', 'http://sink', '--source-uri', ''] : []),
    '--component-port',
    String(port),
  ];
  const env = text === '' ? [] : [{ name: 'SERVING_READINESS_PROBE', value: text }];
  return { name: 'agent', image: 'kserve', args, env, ports: [{ name: 'agent-port', containerPort: 9081 }] };
}

/**
 * What a request meets in a pod, from where it comes in: queue-proxy, or the port at which KServe's Service points in
 * Standard mode. The last one is the container that serves.
 */
export function requestPath(pod: Pod): string[] {
  const queueProxy = pod.spec.containers.find(({ name }) => name === 'queue-proxy');
  const asAgent = pod.spec.containers.some(({ name }) => name === 'agent');
  const served = pod.spec.containers.find(({ name }) => name === 'transformer-container') ?? pod.spec.containers[0];
  let port = Number(
    queueProxy ? variableOf(queueProxy, 'USER_PORT') : asAgent ? 9081 : (served?.ports?.[0]?.containerPort ?? 8080),
  );
  const path = queueProxy ? ['queue-proxy'] : [];
  for (let hop = 0; hop < 5; hop++) {
    const here = pod.spec.containers.find(({ ports }) => ports?.some(({ containerPort }) => containerPort === port));
    if (here && variableOf(here, 'PACELINE_UPSTREAM')) {
      path.push('companion');
      port = Number(new URL(variableOf(here, 'PACELINE_UPSTREAM') as string).port);
    } else if (here?.name === 'agent') {
      path.push(hasFlag(here, '--log-url') ? 'logger' : 'batcher');
      if (hasFlag(here, '--log-url') && hasFlag(here, '--enable-batcher')) path.push('batcher');
      port = Number(flagOf(here, '--component-port'));
    } else {
      path.push(`${here?.name ?? 'unnamed'}:${port}`);
      return path;
    }
  }
  throw new Error(`a request goes round in circles: ${path.join(' > ')}`);
}
