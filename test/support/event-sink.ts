import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One event as a sink sees it. */
export interface SeenEvent {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly raw: readonly string[];
  readonly body: Buffer;
}

/** A sink of events that keeps what it is sent, and answers as it is told. */
export class SinkDouble {
  readonly events: SeenEvent[] = [];
  /** A status; `hang`: no answer; `reset`: the connection breaks. */
  answer: (event: SeenEvent, number: number) => number | 'hang' | 'reset' = () => 200;
  readonly #server: Server;
  #waiting: { count: number; done: () => void }[] = [];

  constructor(server: Server = createServer()) {
    this.#server = server;
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { url = '', headers, rawHeaders: raw } = request;
        const event = { url, headers, raw, body: Buffer.concat(chunks) };
        this.events.push(event);
        const answer = this.answer(event, this.events.length);
        if (answer === 'reset') response.socket?.resetAndDestroy();
        else if (answer !== 'hang') response.writeHead(answer).end();
        for (const each of this.#waiting) if (this.events.length >= each.count) each.done();
      });
    });
  }

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resolves when so many events have come. */
  has(count: number): Promise<void> {
    if (this.events.length >= count) return Promise.resolve();
    return new Promise((done) => this.#waiting.push({ count, done }));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
