// Containers of a pod, as processes: Knative's queue-proxy and KServe's agent with the flags and variables that they get there.
import { programs } from '../programs.ts';
import { answers, freePorts, PeerProcess } from './process.ts';

/** A proxy in the chain and where it listens. */
export interface PodPart {
  readonly port: number;
  readonly process: PeerProcess;
}

function tcpProbe(port: number): string {
  return JSON.stringify({ tcpSocket: { port, host: '127.0.0.1' }, successThreshold: 1 });
}

/**
 * Knative's queue-proxy in front of a port. Its ports 8022 and 9090 are fixed: there is one at a time.
 *
 * @throws Error with what it said last when one of them is taken.
 */
export async function startQueueProxy(userPort: number): Promise<PodPart> {
  const [port, tlsPort] = (await freePorts(2)) as [number, number];
  const process = await PeerProcess.start([programs.queueProxy], {
    env: {
      SERVING_NAMESPACE: 'default',
      SERVING_SERVICE: 'peer',
      SERVING_CONFIGURATION: 'peer',
      SERVING_REVISION: 'peer-00001',
      SERVING_POD: 'peer-00001-pod',
      SERVING_POD_IP: '127.0.0.1',
      QUEUE_SERVING_PORT: `${port}`,
      QUEUE_SERVING_TLS_PORT: `${tlsPort}`,
      USER_PORT: `${userPort}`,
      CONTAINER_CONCURRENCY: '0',
      REVISION_TIMEOUT_SECONDS: '300',
      SERVING_LOGGING_CONFIG: '',
      SERVING_LOGGING_LEVEL: '',
      SERVING_READINESS_PROBE: tcpProbe(userPort),
      OBSERVABILITY_CONFIG: JSON.stringify({
        requestMetrics: { protocol: 'none' },
        tracing: { protocol: 'none' },
        metrics: { protocol: 'none' },
        runtime: { profiling: 'disabled' },
      }),
    },
    isUp: () => answers(`http://127.0.0.1:${port}/`, 200, queueProbe),
  });
  return { port, process };
}

/** What the kubelet asks queue-proxy, and queue-proxy or the agent what is behind them. */
export const queueProbe = { 'user-agent': 'kube-probe/1.34', 'k-network-probe': 'queue' };

/** KServe's agent in front of a port. Its socket is one for the whole machine: there is one at a time. */
export async function startAgent(componentPort: number, ...flags: string[]): Promise<PodPart> {
  const [port] = (await freePorts(1)) as [number];
  const process = await PeerProcess.start(
    [programs.agent, '--port', `${port}`, '--component-port', `${componentPort}`, ...flags],
    {
      env: { SERVING_READINESS_PROBE: tcpProbe(componentPort) },
      isUp: () => answers(`http://127.0.0.1:${port}/`, 200, queueProbe),
    },
  );
  return { port, process };
}
