import type { Container, Probe } from './pod.ts';
import { portNumber } from './pod.ts';

/** Where Knative's queue-proxy and KServe's agent read what to ask before a pod is ready. */
export const readinessVariable = 'SERVING_READINESS_PROBE';

/** The handler with which the companion, and KServe's agent, say whether what is behind them is ready. */
export function handlerOn(port: number): Probe {
  return {
    httpGet: {
      path: '/',
      port,
      host: '127.0.0.1',
      scheme: 'HTTP',
      httpHeaders: [{ name: 'K-Network-Probe', value: 'queue' }],
    },
  };
}

/** A handler that only sees whether somebody listens. */
export function listenerOn(port: number): Probe {
  return { tcpSocket: { port, host: '127.0.0.1' } };
}

/**
 * The text of a variable that holds one probe, or an array of them where several containers are asked, with another
 * handler for the serving container (which Knative writes first) and the timing as it was.
 */
export function redirected(text: string | undefined, several: boolean, handler: Probe): string {
  const parsed = parse(text);
  const asArray = Array.isArray(parsed) || several;
  const probes = (Array.isArray(parsed) ? parsed : [parsed]).map((each) => (isProbe(each) ? each : {}));
  const { httpGet: _http, tcpSocket: _tcp, grpc: _grpc, exec: _exec, ...timing } = probes[0] ?? {};
  const first = { ...handler, successThreshold: 1, ...timing };
  return JSON.stringify(asArray ? [first, ...probes.slice(1)] : first);
}

/**
 * The probe of the model alone, as the companion is given it: one object, a port by number, this pod and no other
 * host. The empty text where there is none that can be asked over the network.
 *
 * @param text what queue-proxy or KServe's agent was given
 * @param model the container whose ports have names
 */
export function modelProbe(text: string | undefined, model: Container | undefined): string {
  const parsed = parse(text);
  const probe = Array.isArray(parsed) ? parsed[0] : parsed;
  return isProbe(probe) ? localProbe(probe, model) : '';
}

/** The same from a container's own readiness probe. */
export function localProbe(probe: Probe, model: Container | undefined): string {
  const kind = (['httpGet', 'tcpSocket', 'grpc'] as const).find((each) => probe[each] !== undefined);
  if (!kind) return '';
  const handler = probe[kind] as { readonly port?: number | string };
  const port = portNumber(handler.port) ?? model?.ports?.find(({ name }) => name === handler.port)?.containerPort;
  if (port === undefined) return '';
  const host = kind === 'grpc' ? {} : { host: '127.0.0.1' };
  return JSON.stringify({ ...probe, [kind]: { ...handler, port, ...host } });
}

function parse(text: string | undefined): unknown {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isProbe(value: unknown): value is Probe {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
