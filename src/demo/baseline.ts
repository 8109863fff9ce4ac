// Two other ways to stand in front of a model, to compare with: forwarding each request, and batching by a fixed timer.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from '../companion/upstream/http-client.ts';
import type { Measured, Spliced } from '../protocol/protocol.ts';
import { createProtocols } from '../protocol/protocols.ts';

export type BaselineRule = 'none' | 'fixed-timer';

interface Waiting {
  readonly path: string;
  readonly body: Buffer;
  readonly measured: Measured;
  readonly response: ServerResponse;
}

export interface FixedTimer {
  readonly maxBatchSize: number;
  readonly maxLatencyMs: number;
}

/** A proxy that forwards each V1 call, or sends those of one path together when `maxBatchSize` wait or time is up. */
export class Baseline {
  readonly #pool: Pool;
  readonly #rule: BaselineRule;
  readonly #timer: FixedTimer;
  readonly #server: Server;
  readonly #protocol = createProtocols().v1;
  #waiting: Waiting[] = [];
  #timeout: NodeJS.Timeout | undefined;

  constructor(upstream: string, rule: BaselineRule, timer: FixedTimer) {
    this.#pool = new Pool(upstream, { connections: 1024, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
    this.#rule = rule;
    this.#timer = timer;
    this.#server = createServer({ keepAliveTimeout: 75_000, noDelay: true }, (request, response) =>
      this.#read(request, response),
    );
  }

  /** @throws when the port is taken. */
  listen(port: number, host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => resolve((this.#server.address() as AddressInfo).port));
    });
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await this.#pool.destroy();
  }

  #read(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => this.#take(request.url ?? '/', Buffer.concat(chunks), response));
    request.on('error', () => response.destroy());
  }

  #take(path: string, body: Buffer, response: ServerResponse): void {
    const measured = this.#rule === 'none' ? undefined : this.#protocol.measure(body);
    if (measured === undefined || measured === 'pass-through' || 'refused' in measured) {
      this.#send(path, body, (status, reply) => answer(response, status, reply));
      return;
    }
    this.#waiting.push({ path, body, measured, response });
    if (this.#waiting.length >= this.#timer.maxBatchSize) this.#flush();
    else this.#timeout ??= setTimeout(() => this.#flush(), this.#timer.maxLatencyMs);
  }

  #flush(): void {
    clearTimeout(this.#timeout);
    this.#timeout = undefined;
    const batch = this.#waiting.splice(0);
    const first = batch[0] as Waiting;
    this.#send(first.path, Buffer.concat(this.#protocol.merge(batch).slices), (status, reply) => {
      const parts = status === 200 ? this.#protocol.split(reply, batch) : undefined;
      for (const [i, each] of batch.entries()) {
        if (Array.isArray(parts)) answer(each.response, status, Buffer.concat((parts[i] as Spliced).slices));
        else answer(each.response, status === 200 ? 502 : status, reply);
      }
    });
  }

  #send(path: string, body: Buffer, done: (status: number, reply: Buffer) => void): void {
    let status = 0;
    const chunks: Buffer[] = [];
    this.#pool.dispatch(
      { path, method: 'POST', headers: ['content-type', 'application/json'], body },
      {
        onRequestStart: () => {},
        onResponseStart: (_controller, code) => {
          status = code;
        },
        onResponseData: (_controller, chunk) => {
          chunks.push(chunk);
        },
        onResponseEnd: () => done(status, Buffer.concat(chunks)),
        onResponseError: () => done(502, Buffer.from('{"error":"the model failed"}')),
      },
    );
  }
}

function answer(response: ServerResponse, status: number, body: Buffer): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}
