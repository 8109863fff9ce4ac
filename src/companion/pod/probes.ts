import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { endStream } from '../answering/http-answer.ts';
import type { Readiness } from './readiness.ts';

/** Who asks for health: kubelet and queue-proxy, or the activator and the autoscaler on their way around queue-proxy. */
const knativeProbers = /^Knative-(?:Activator|Autoscaling)-Probe/;

/** What a request on the data port asks of the companion itself, if anything. */
export type ProbeKind = 'readiness' | 'network' | undefined;

/**
 * Tells probes from requests by who asks, on any path, as queue-proxy and KServe's agent do (knative.dev/pkg
 * network/handlers/drain.go). What the agent does otherwise, and nothing depends on: it answers 400 to a kubelet's probe
 * without `K-Network-Probe`, which here is meant for the model and forwarded; and it forwards what queue-proxy counts as
 * probes too, `K-Kubelet-Probe` and the autoscaler's.
 */
export function probeOf(headers: IncomingHttpHeaders, draining: boolean): ProbeKind {
  const asked = headers['k-network-probe'];
  const agent = headers['user-agent'];
  if (asked === undefined && agent === undefined && headers['k-kubelet-probe'] === undefined) return undefined;
  const kubelet = agent?.startsWith('kube-probe/') || (headers['k-kubelet-probe'] ?? '') !== '';
  // While it drains no probe may pass, whomever it is for: endpoints are taken back by it.
  if (kubelet) return asked !== undefined || draining ? 'readiness' : undefined;
  if (agent !== undefined && knativeProbers.test(agent)) return 'readiness';
  return asked === 'probe' ? 'network' : undefined;
}

/** Answers a probe. `model` says whether the model is ready, `undefined` while the companion drains. */
export async function answerProbe(
  kind: Exclude<ProbeKind, undefined>,
  request: IncomingMessage,
  response: ServerResponse,
  model: (() => Promise<Readiness>) | undefined,
): Promise<void> {
  request.resume();
  if (!model) return say(response, 503, 'shutting down\n');
  if (kind === 'network') {
    const hash = request.headers['k-network-hash'];
    if (typeof hash !== 'string' || hash === '') {
      return say(response, 400, 'a probe request must contain a non-empty "K-Network-Hash" header\n');
    }
    response.setHeader('k-network-hash', hash);
    return say(response, 200, '');
  }
  const asked = request.headers['k-network-probe'];
  if (asked !== 'queue') return say(response, 400, `unexpected probe header value: ${asked ?? ''}\n`);
  const { ready, reason } = await model();
  return ready ? say(response, 200, 'queue') : say(response, 503, `${reason}\n`);
}

function say(response: ServerResponse, status: number, body: string): void {
  if (response.headersSent || response.destroyed) return;
  const headers = { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(body) };
  response.writeHead(status, headers);
  response.end(body);
  endStream(response);
}
