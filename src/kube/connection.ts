import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { KubeError } from './kube-error.ts';

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  readonly contentType?: string;
  readonly body?: string;
  readonly signal?: AbortSignal;
  /** Longest silence in ms before the connection counts as lost. */
  readonly silenceMs: number;
}

/** How a request reaches the API server. */
export interface Connection {
  /** @throws {KubeError} status 0 where no answer came. */
  send(request: KubeRequest): Promise<IncomingMessage>;
  close(): void;
}

/** Credentials are asked for again after this long: a service account's token file is rotated. */
const credentialsMs = 30_000;
/** More than workers and watches together: the renewal of a lease must never wait behind them. */
const connectionsMax = 64;

/** Reads the kubeconfig (or, in a pod, the service account) with the Kubernetes client's own code. */
export function connect(file?: string): Connection {
  const config = new KubeConfig();
  try {
    if (file === undefined) config.loadFromDefault();
    else config.loadFromFile(file);
  } catch (error) {
    throw new KubeError(0, 'NoCluster', `the kubeconfig cannot be read: ${(error as Error).message}`);
  }
  const cluster = config.getCurrentCluster();
  if (!cluster || isMadeUp(cluster)) {
    throw new KubeError(
      0,
      'NoCluster',
      'no cluster is configured: set KUBECONFIG, or run in a pod with a service account',
    );
  }
  return new ConfiguredConnection(config, new URL(cluster.server));
}

/** The client's own guess where it found no configuration at all: nobody's API server listens there without TLS any more. */
function isMadeUp({ name, server }: { readonly name: string; readonly server: string }): boolean {
  return name === 'cluster' && server === 'http://localhost:8080';
}

class ConfiguredConnection implements Connection {
  readonly #config: KubeConfig;
  readonly #server: URL;
  #credentials: { options: https.RequestOptions; agent: http.Agent; identity: string; readMs: number } | undefined;

  constructor(config: KubeConfig, server: URL) {
    this.#config = config;
    this.#server = server;
  }

  async send(request: KubeRequest): Promise<IncomingMessage> {
    const { options, agent } = await this.#credentialsNow();
    const headers: http.OutgoingHttpHeaders = {
      ...(options.headers as http.OutgoingHttpHeaders),
      accept: 'application/json',
    };
    if (request.body !== undefined) {
      headers['content-type'] = request.contentType ?? 'application/json';
      headers['content-length'] = Buffer.byteLength(request.body);
    }
    const secure = this.#server.protocol === 'https:';
    const base = this.#server.pathname.replace(/\/$/, '');
    return await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = (secure ? https : http).request(
        {
          host: this.#server.hostname.replace(/^\[|\]$/g, ''),
          port: this.#server.port || (secure ? 443 : 80),
          path: base + request.path,
          method: request.method,
          headers,
          agent,
          ...(options.auth ? { auth: options.auth } : {}),
          ...(request.signal ? { signal: request.signal } : {}),
        },
        resolve,
      );
      outgoing.setTimeout(request.silenceMs, () => outgoing.destroy(new Error(`no answer in ${request.silenceMs} ms`)));
      // A peer that vanished without a word is found by TCP itself, not only by the silence.
      outgoing.on('socket', (socket) => socket.setKeepAlive(true, 15_000));
      outgoing.on('error', (error) => reject(new KubeError(0, 'Unreachable', `Kubernetes API: ${error.message}`)));
      outgoing.end(request.body);
    });
  }

  close(): void {
    this.#credentials?.agent.destroy();
  }

  async #credentialsNow(): Promise<{ options: https.RequestOptions; agent: http.Agent }> {
    const now = performance.now();
    if (this.#credentials && now - this.#credentials.readMs < credentialsMs) return this.#credentials;
    const options: https.RequestOptions = { headers: {} };
    await this.#config.applyToHTTPSOptions(options);
    const { ca, cert, key, servername, rejectUnauthorized } = options;
    const identity = JSON.stringify([String(ca), String(cert), String(key), servername, rejectUnauthorized]);
    let agent = this.#credentials?.agent;
    if (!agent || identity !== this.#credentials?.identity) agent = this.#agentFor(options);
    this.#credentials = { options, agent, identity, readMs: now };
    return this.#credentials;
  }

  #agentFor(options: https.RequestOptions): http.Agent {
    // The client's own agent knows proxies but keeps no connection alive.
    if (this.#config.getCurrentCluster()?.proxyUrl && options.agent instanceof http.Agent) return options.agent;
    // A connection that is closed when nobody needs it is opened again a moment later: for both sides that costs more
    // than a request.
    const kept = { keepAlive: true, maxSockets: connectionsMax, maxFreeSockets: connectionsMax };
    if (this.#server.protocol !== 'https:') return new http.Agent(kept);
    const { ca, cert, key, servername, rejectUnauthorized } = options;
    return new https.Agent({
      ...kept,
      ca,
      cert,
      key,
      ...(servername ? { servername } : {}),
      ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
    });
  }
}
