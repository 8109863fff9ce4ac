import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';
import { connect } from 'node:net';
import type { CheckAction, ReadinessCheck } from '../../policy/readiness-probe.ts';
import { grpcHealth } from './grpc-health.ts';

/** Whether a companion can serve, and in words why or why not. */
export interface Readiness {
  readonly ready: boolean;
  readonly reason: string;
}

/** As Knative's: how an aggressive check is repeated, in ms. */
const aggressive = { timeoutMs: 100, pauseMs: 50, forMs: 10_000 };
const pathTimeoutMs = 2500;
const ready: Readiness = { ready: true, reason: 'ready' };

/**
 * Asks the model whether it is ready, by its own readiness checks or at a path. Whoever asks while an answer is under way
 * gets that one: probes of kubelet, queue-proxy and activator together cost the model one question.
 */
export class ModelReadiness {
  readonly #ask: () => Promise<string | undefined>;
  #underWay: Promise<Readiness> | undefined;

  /** @param checks null: `path` is asked; empty: the model counts as ready. */
  constructor(upstream: URL, checks: readonly ReadinessCheck[] | null, path: string) {
    const port = Number(upstream.port || 80);
    this.#ask =
      checks === null
        ? () => askPath(new URL(path, upstream.origin))
        : async () => (await Promise.all(checks.map((check) => run(check, port)))).find((why) => why !== undefined);
  }

  ask(): Promise<Readiness> {
    this.#underWay ??= this.#ask()
      .catch((error) => `it cannot be asked: ${String(error)}`)
      .then((why) => {
        this.#underWay = undefined;
        return why === undefined ? ready : { ready: false, reason: `the model is not ready: ${why}` };
      });
    return this.#underWay;
  }
}

/** A server without this path answers, so it runs; only the model's own "not yet" counts. */
async function askPath(url: URL): Promise<string | undefined> {
  const status = await statusOf(url, [], pathTimeoutMs);
  if (status === 0) return 'it does not answer';
  return status < 300 || status === 404 || status === 405 ? undefined : `it answered ${status} to ${url.pathname}`;
}

/** Runs a check; returns why the model is not ready, or undefined if it is. */
async function run(check: ReadinessCheck, upstreamPort: number): Promise<string | undefined> {
  if (!check.aggressive) return act(check.action, upstreamPort, check.timeoutMs);
  const until = performance.now() + aggressive.forMs;
  let successes = 0;
  for (;;) {
    const why = await act(check.action, upstreamPort, aggressive.timeoutMs);
    successes = why === undefined ? successes + 1 : 0;
    if (successes >= check.successes) return undefined;
    if (performance.now() + aggressive.pauseMs >= until) return why ?? 'it was not ready often enough in a row';
    await new Promise((resolve) => setTimeout(resolve, aggressive.pauseMs));
  }
}

async function act(action: CheckAction, upstreamPort: number, timeoutMs: number): Promise<string | undefined> {
  const port = action.port ?? upstreamPort;
  if (action.kind === 'grpc') return grpcHealth(port, action.service, timeoutMs);
  if (action.kind === 'tcp') return connects(action.host, port, timeoutMs);
  const host = action.host.includes(':') ? `[${action.host}]` : action.host;
  const url = new URL(`${action.tls ? 'https' : 'http'}://${host}:${port}${action.path}`);
  const status = await statusOf(url, ['user-agent', 'kube-probe/', ...action.headers], timeoutMs);
  if (status === 0) return 'it does not answer';
  // As kubelet and queue-proxy have it: a redirect is an answer of a server that runs.
  return status < 400 ? undefined : `it answered ${status} to ${action.path}`;
}

/** Whether nothing listens there: a server that is only slow to accept is still one. */
export function refusesConnections(upstream: URL): Promise<boolean> {
  return new Promise((resolve) => {
    const host = upstream.hostname.replace(/^\[|\]$/g, '');
    const socket = connect({ host, port: Number(upstream.port || 80), timeout: 500 });
    const end = (refused: boolean) => {
      socket.destroy();
      resolve(refused);
    };
    socket.on('connect', () => end(false));
    socket.on('timeout', () => end(false));
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED'));
  });
}

function connects(host: string, port: number, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (why: string | undefined) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(why);
    };
    const timer = setTimeout(() => end(`port ${port} does not accept connections in time`), timeoutMs);
    socket.on('connect', () => end(undefined));
    socket.on('error', () => end(`port ${port} does not accept connections`));
  });
}

/** The status that a GET answers with, or 0 when no answer comes in time. Certificates are not checked: as kubelet. */
function statusOf(url: URL, headers: readonly string[], timeoutMs: number): Promise<number> {
  return new Promise((resolve) => {
    // A `host` among a probe's headers takes the place of the address.
    const named = headers.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'host');
    const options = {
      agent: false as const,
      headers: named ? headers : ['host', url.host, ...headers],
      signal: AbortSignal.timeout(timeoutMs),
      rejectUnauthorized: false,
    };
    const request = (url.protocol === 'https:' ? getHttps : getHttp)(url, options, (response) => {
      response.resume();
      response.on('error', () => {});
      resolve(response.statusCode ?? 0);
    });
    request.on('error', () => resolve(0));
  });
}
