import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the admin port shows. Handlers may be slow; each gets five seconds. */
export interface AdminPages {
  metrics(accept: string | undefined): Promise<{ contentType: string; body: string }>;
  ready(): Promise<{ ready: boolean; reason: string }>;
  signals(): object;
  config(): object;
}

/** The admin port: /metrics, /healthz, /readyz, /signals and /config. Read only. */
export class AdminServer {
  readonly #pages: AdminPages;
  readonly #server: Server;

  constructor(pages: AdminPages) {
    this.#pages = pages;
    this.#server = createServer({ keepAliveTimeout: 75_000, requestTimeout: 10_000 }, (request, response) => {
      this.#route(request, response).catch(() => {
        if (!response.headersSent) send(response, 500, 'text/plain', 'the page failed\n');
      });
    });
  }

  /** @throws when the port is taken. */
  listen(port: number, host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => resolve((this.#server.address() as AddressInfo).port));
    });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return send(response, 405, 'text/plain', 'read only\n');
    }
    switch (path) {
      case '/metrics': {
        const page = await this.#pages.metrics(request.headers.accept);
        return send(response, 200, page.contentType, page.body);
      }
      case '/healthz':
        return send(response, 200, 'text/plain', 'ok\n');
      case '/readyz': {
        const { ready, reason } = await this.#pages.ready();
        return send(response, ready ? 200 : 503, 'text/plain', `${reason}\n`);
      }
      case '/signals':
        return send(response, 200, 'application/json', `${JSON.stringify(this.#pages.signals(), finite, 2)}\n`);
      case '/config':
        return send(response, 200, 'application/json', `${JSON.stringify(this.#pages.config(), finite, 2)}\n`);
      default:
        return send(response, 404, 'text/plain', 'pages: /metrics /healthz /readyz /signals /config\n');
    }
  }
}

/** JSON has no NaN and no Infinity: they become null. */
function finite(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? null : value;
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
