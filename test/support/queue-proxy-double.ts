import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { QueueProxyPorts } from '../../src/companion/pod/queue-proxy.ts';

/** The two pages of Knative's queue-proxy that a companion asks. The cluster's tests use the real one. */
export class QueueProxyDouble {
  /** What `/metrics` answers. */
  stat: Buffer = statOf(0);
  contentType = 'application/protobuf';
  readonly waiting: ServerResponse[] = [];
  readonly #servers: Server[] = [];

  async start(): Promise<QueueProxyPorts> {
    const admin = await this.#serve((path, response) => {
      if (path === '/wait-for-drain') this.waiting.push(response);
      else response.writeHead(404).end();
    });
    const stats = await this.#serve((_path, response) => {
      response.writeHead(200, { 'content-type': this.contentType }).end(this.stat);
    });
    return { admin, stats };
  }

  /** It has drained: those who waited for it hear so. */
  drained(): void {
    for (const response of this.waiting.splice(0)) response.end();
  }

  stop(): void {
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
  }

  async #serve(answer: (path: string, response: ServerResponse) => void): Promise<number> {
    const server = createServer((request, response) => answer(request.url ?? '', response));
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }
}

/** Knative's `Stat`: pod_name, average_concurrent_requests, request_count, timestamp. */
export function statOf(concurrency: number): Buffer {
  const double = (field: number, value: number) => {
    const bytes = Buffer.alloc(9);
    bytes[0] = field * 8 + 1;
    bytes.writeDoubleLE(value, 1);
    return bytes;
  };
  const name = Buffer.from('\x0a\x05pod-1', 'latin1');
  return Buffer.concat([name, double(2, concurrency), double(4, 12.5), Buffer.from([0x38, 0x80, 0x80, 0x01])]);
}
