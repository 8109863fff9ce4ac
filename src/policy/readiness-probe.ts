import { isRecord } from './is-record.ts';
import { UnitError } from './units.ts';

/** What one readiness check does. Without a port it asks the upstream's; hosts are addresses without brackets. */
export type CheckAction =
  | {
      readonly kind: 'http';
      readonly host: string;
      readonly port: number | undefined;
      readonly path: string;
      readonly tls: boolean;
      /** Flat: name, value, name, value. */
      readonly headers: readonly string[];
    }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number | undefined }
  | { readonly kind: 'grpc'; readonly port: number | undefined; readonly service: string };

/** One of a model's readiness checks, as Kubernetes' core/v1 Probe describes it. */
export interface ReadinessCheck {
  readonly action: CheckAction;
  readonly timeoutMs: number;
  /** Knative's `periodSeconds: 0`: one question is asked again each 50 ms, for up to 10 s, until it succeeds. */
  readonly aggressive: boolean;
  /** Successes in a row that an aggressive check needs. */
  readonly successes: number;
  /** What the probe asks for that is done otherwise, for the log. */
  readonly note?: string;
}

/**
 * Reads what Knative and KServe put into SERVING_READINESS_PROBE: a core/v1 Probe as JSON, or an array of them where pods
 * have several containers with probes. An empty text is no check at all: the model counts as ready.
 *
 * @throws {UnitError} where it is neither.
 */
export function parseReadinessProbe(text: string): ReadinessCheck[] {
  if (text === '') return [];
  let probes: unknown;
  try {
    probes = JSON.parse(text);
  } catch {
    throw new UnitError('the readiness probe is not JSON: give a core/v1 Probe such as {"tcpSocket":{"port":8080}}');
  }
  return (Array.isArray(probes) ? probes : [probes]).map(checkOf);
}

function checkOf(probe: unknown): ReadinessCheck {
  if (!isRecord(probe)) throw new UnitError('the readiness probe is not an object such as {"tcpSocket":{"port":8080}}');
  const [action, note] = actionOf(probe);
  return {
    action,
    timeoutMs: 1000 * wholeOr(probe.timeoutSeconds, 1),
    aggressive: wholeOr(probe.periodSeconds, 0, true) === 0,
    successes: wholeOr(probe.successThreshold, 1),
    ...(note === undefined ? {} : { note }),
  };
}

function actionOf(probe: Record<string, unknown>): [CheckAction, string | undefined] {
  const { httpGet, tcpSocket, grpc } = probe;
  if (isRecord(httpGet)) {
    const path = textOr(httpGet.path, '/');
    const [port, note] = portOf(httpGet.port);
    const action: CheckAction = {
      kind: 'http',
      host: hostOf(httpGet.host),
      port,
      path: path.startsWith('/') ? path : `/${path}`,
      tls: textOr(httpGet.scheme, 'HTTP').toUpperCase() === 'HTTPS',
      headers: headersOf(httpGet.httpHeaders),
    };
    if (!/^\/[\x21-\x7e]*$/.test(action.path)) throw new UnitError(`"${path}" is not a path that can be asked`);
    return [action, note];
  }
  if (isRecord(tcpSocket)) {
    const [port, note] = portOf(tcpSocket.port);
    return [{ kind: 'tcp', host: hostOf(tcpSocket.host), port }, note];
  }
  if (isRecord(grpc)) {
    const [port, note] = portOf(grpc.port);
    return [{ kind: 'grpc', port, service: textOr(grpc.service, '') }, note];
  }
  // As Knative does where its queue-proxy has to run it: what belongs to another container cannot be executed here.
  if (isRecord(probe.exec)) {
    const note = 'an exec probe cannot be run from another container: whether the model accepts connections is asked';
    return [{ kind: 'tcp', host: '127.0.0.1', port: undefined }, note];
  }
  throw new UnitError('the readiness probe has none of httpGet, tcpSocket, grpc: there is nothing to ask');
}

/** A named port is not known here: only the pod's author and Kubernetes know its number. */
function portOf(port: unknown): [number | undefined, string | undefined] {
  const number = typeof port === 'string' && /^\d+$/.test(port) ? Number(port) : port;
  if (typeof number === 'number' && Number.isInteger(number) && number > 0 && number <= 65_535) {
    return [number, undefined];
  }
  if (typeof port === 'string' && /^[A-Za-z0-9-]{1,15}$/.test(port) && !/^\d+$/.test(port)) {
    return [undefined, `the probe's port has the name "${port}": the model's own port is asked`];
  }
  throw new UnitError('the port of the readiness probe is neither a number from 1 to 65535 nor a name');
}

function hostOf(host: unknown): string {
  const given = textOr(host, '') || '127.0.0.1';
  if (!/^[A-Za-z0-9.:_-]+$/.test(given)) throw new UnitError(`"${given}" is not a host that can be asked`);
  return given;
}

function headersOf(headers: unknown): string[] {
  if (headers === undefined || headers === null) return [];
  if (!Array.isArray(headers)) throw new UnitError('httpHeaders of the readiness probe are not a list');
  return headers.flatMap((header) => {
    const name = isRecord(header) ? textOr(header.name, '') : '';
    const value = isRecord(header) ? textOr(header.value, '') : '';
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      throw new UnitError(`"${name}" is not a header that can be sent with a readiness probe`);
    }
    return [name, value];
  });
}

function textOr(value: unknown, otherwise: string): string {
  if (value === undefined || value === null) return otherwise;
  if (typeof value !== 'string')
    throw new UnitError(`the readiness probe has ${JSON.stringify(value)} where text belongs`);
  return value;
}

/** A whole number of seconds or times; what is not there, or 0 where that says nothing, is `otherwise`. */
function wholeOr(value: unknown, otherwise: number, zeroCounts = false): number {
  if (value === undefined || value === null || (value === 0 && !zeroCounts)) return otherwise;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 3600) {
    throw new UnitError(`the readiness probe has ${JSON.stringify(value)} where a whole number from 0 to 3600 belongs`);
  }
  return value;
}
