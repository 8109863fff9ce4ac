import type { IncomingMessage } from 'node:http';
import { compileRequestLog, type LoggedRequest, type LoggedRevision } from '../../policy/request-log-template.ts';
import type { Account, AccountReader } from './account.ts';

/** Where lines go. Never throws and never waits. */
interface Lines {
  write(text: string): void;
}

/** Writes the request log that Knative's queue-proxy writes, for logs that are read by what reads that one. */
export class RequestLog implements AccountReader {
  readonly #line: ReturnType<typeof compileRequestLog>;
  readonly #revision: LoggedRevision;
  readonly #to: Lines;

  constructor(template: string, revision: LoggedRevision, to: Lines) {
    this.#line = compileRequestLog(template);
    this.#revision = revision;
    this.#to = to;
  }

  ended(account: Account): void {
    this.#to.write(this.#line(loggedOf(account), this.#revision));
  }
}

function loggedOf(account: Account): LoggedRequest {
  const { request } = account;
  const header = (name: string) => {
    const value = request.headers[name];
    return typeof value === 'string' ? value : (value?.[0] ?? '');
  };
  const length = request.headers['content-length'];
  return {
    method: request.method ?? '',
    uri: request.url ?? '',
    host: header('host') || header(':authority'),
    protocol: request.httpVersionMajor === 2 ? 'HTTP/2.0' : `HTTP/${request.httpVersion}`,
    contentLength: length === undefined ? unannounced(account) : Number(length),
    remoteAddress: addressOf(request),
    header,
    code: account.status,
    size: account.responseBytes,
    latency: (account.endedAt - account.receivedAt) / 1000,
    traceId: /^[^-]*-([^-]*)/.exec(header('traceparent'))?.[1] || header('x-b3-traceid'),
  };
}

function unannounced({ request }: Account): number {
  return request.headers['transfer-encoding'] === undefined && request.method === 'GET' ? 0 : -1;
}

function addressOf({ socket }: IncomingMessage): string {
  const { remoteAddress = '', remotePort = 0 } = socket;
  // Where the listener takes both families, IPv4 comes in the dress of IPv6.
  const address = remoteAddress.replace(/^::ffff:/, '');
  return address.includes(':') ? `[${address}]:${remotePort}` : `${address}:${remotePort}`;
}

/** The revision that a pod of Knative belongs to, from the variables that Knative sets. */
export function revisionOf(isvc: string, revision: string, environment: NodeJS.ProcessEnv): LoggedRevision {
  const [namespace = '', service = ''] = isvc.split('/');
  return {
    name: revision,
    namespace: environment.SERVING_NAMESPACE ?? namespace,
    service: environment.SERVING_SERVICE ?? service,
    configuration: environment.SERVING_CONFIGURATION ?? '',
    podName: environment.SERVING_POD ?? environment.HOSTNAME ?? '',
    podIp: environment.SERVING_POD_IP ?? environment.POD_IP ?? '',
  };
}
