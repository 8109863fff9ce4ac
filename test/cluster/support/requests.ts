import { Agent, request } from 'node:http';
import { gatewayPort, nodeAddress } from '../settings.ts';

const agent = new Agent({ keepAlive: true, maxSockets: 512 });

export interface Call {
  /** Where to: the cluster's ingress unless said otherwise. */
  address?: string;
  port?: number;
  /** The Host header, by which the ingress routes. */
  host: string;
  path: string;
  /** Sent as JSON by POST; without it the call is a GET. */
  body?: unknown;
  headers?: Record<string, string>;
  timeoutMs?: number;
}

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/**
 * Sends one request.
 *
 * @throws Error when no answer comes within the time, or the connection fails.
 */
export function ask(call: Call): Promise<Answer> {
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        agent,
        host: call.address ?? nodeAddress,
        port: call.port ?? gatewayPort,
        path: call.path,
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          host: call.host,
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
          ...call.headers,
        },
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode as number,
            headers: incoming.headers,
            text: Buffer.concat(chunks).toString(),
          }),
        );
      },
    );
    outgoing.setTimeout(call.timeoutMs ?? 60_000, () => outgoing.destroy(new Error('no answer in time')));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** Asks a model over V1 and returns its predictions. @throws Error for any answer but 200 with predictions. */
export async function predict(host: string, model: string, instances: readonly unknown[]): Promise<unknown[]> {
  const answer = await ask({ host, path: `/v1/models/${model}:predict`, body: { instances } });
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text.slice(0, 500)}`);
  const { predictions } = JSON.parse(answer.text) as { predictions?: unknown[] };
  if (!Array.isArray(predictions)) throw new Error(`no predictions in ${answer.text.slice(0, 500)}`);
  return predictions;
}
