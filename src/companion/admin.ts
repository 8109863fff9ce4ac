import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { refuseOrBreakOff } from './answering/refusal.ts';
import type { Guard } from './guard.ts';

/** What the admin port shows. Handlers may be slow; each gets five seconds. */
export interface AdminPages {
  metrics(accept: string | undefined): Promise<{ contentType: string; body: string }>;
  ready(): Promise<{ ready: boolean; reason: string }>;
  signals(): Promise<object>;
  config(): object;
  /** Takes the text of a signed policy document. */
  policy(text: string): { status: number; body: object };
  /** Resolves when the companion has drained, or soon if it does not drain. */
  drained(): Promise<void>;
}

/** Whatever is longer is not read: no document is, and who sends it is not the controller. */
const policyBytesMax = 16_384;
const pages = 'pages: /metrics /healthz /readyz /signals /config /wait-for-drain; PUT /policy\n';
/** What a hook that waits for the end of the drain may take to hear of it. */
const goodbyeMs = 250;

/** The admin port: what the companion is and knows, read only, but for signed policy documents. */
export class AdminServer {
  readonly #pages: AdminPages;
  readonly #server: Server;
  /** Replies to hooks that wait for the end of the drain. */
  readonly #waiting = new Set<ServerResponse>();

  constructor(guard: Guard, pages: AdminPages) {
    this.#pages = pages;
    this.#server = createServer({ keepAliveTimeout: 75_000, requestTimeout: 10_000 }, (request, response) => {
      this.#route(request, response).catch((error) => {
        // Who leaves amid a document is nobody's failure.
        if (!response.destroyed) guard.caught(error, (code) => refuseOrBreakOff(request, response, code));
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

  /** Resolves when the hooks that waited for the end of the drain have heard of it. */
  async finishWaiting(): Promise<void> {
    const until = performance.now() + goodbyeMs;
    while (this.#waiting.size > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0];
    if (path === '/policy') return this.#policy(request, response);
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
        return send(response, 200, 'application/json', `${JSON.stringify(await this.#pages.signals(), finite, 2)}\n`);
      case '/config':
        return send(response, 200, 'application/json', `${JSON.stringify(this.#pages.config(), finite, 2)}\n`);
      case '/wait-for-drain': {
        this.#waiting.add(response);
        response.on('close', () => this.#waiting.delete(response));
        await this.#pages.drained();
        return send(response, 200, 'text/plain', 'drained\n');
      }
      default:
        return send(response, 404, 'text/plain', pages);
    }
  }

  async #policy(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'PUT') {
      response.setHeader('allow', 'PUT');
      return send(response, 405, 'text/plain', 'a policy document is put here\n');
    }
    const text = await readText(request, policyBytesMax);
    if (!request.complete) response.setHeader('connection', 'close');
    const { status, body } = this.#pages.policy(text);
    send(response, status, 'application/json', `${JSON.stringify(body)}\n`);
  }
}

/** JSON has no NaN and no Infinity: they become null. */
function finite(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? null : value;
}

/** A body of one-byte characters, cut off one byte beyond `max`: that is enough to be refused for its size. */
function readText(request: IncomingMessage, max: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const finish = () =>
      resolve(
        Buffer.concat(chunks)
          .toString('latin1', 0, max + 1)
          .trim(),
      );
    request.on('data', (chunk: Buffer) => {
      if (length > max) return;
      chunks.push(chunk);
      length += chunk.length;
      if (length > max) finish();
    });
    request.on('end', finish);
    request.on('error', reject);
    request.on('close', () => reject(new Error('the caller left')));
  });
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
