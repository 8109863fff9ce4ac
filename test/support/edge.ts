import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import * as assert from 'uvu/assert';
import { Listener, type ListenerLimits } from '../../src/companion/listening/listener.ts';
import { type PassLimits, PassThrough } from '../../src/companion/passing/pass-through.ts';
import { Circuit } from '../../src/companion/upstream/circuit.ts';
import { strictGuard } from './strict-guard.ts';

/** A listener and a pass-through in front of a model that a test writes, without a companion between them. */
export interface Edge {
  readonly port: number;
  readonly modelPort: number;
  readonly model: Server;
  readonly listener: Listener;
  readonly pass: PassThrough;
  /** How each request ended, in order. */
  readonly results: string[];
  /** Failures of our own. */
  readonly caught: readonly string[];
}

/** What a test may set. */
export interface EdgeSettings {
  readonly headersTimeoutMs?: number;
  readonly limits?: Partial<ListenerLimits>;
  readonly max?: number;
  /** Hears of each request before it is forwarded. */
  readonly before?: (request: IncomingMessage, response: ServerResponse) => void;
  /** Whether failures of our own are what the test is about. */
  readonly mayFail?: boolean;
  readonly circuit?: Circuit;
  readonly bodies?: Partial<PassLimits>;
}

/** Runs a body with an edge and stops it whatever happens. */
export async function withEdge(
  serve: RequestListener,
  body: (edge: Edge) => Promise<void>,
  { headersTimeoutMs, limits = {}, max = 16, bodies = {}, before, mayFail, circuit = new Circuit() }: EdgeSettings = {},
): Promise<void> {
  const model = createServer(serve);
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
  const modelPort = (model.address() as AddressInfo).port;
  const results: string[] = [];
  const upstream = new URL(`http://127.0.0.1:${modelPort}`);
  const { guard, caught } = strictGuard();
  const terms = { circuit, called: () => {}, mayResend: () => true, guard };
  const pass = new PassThrough(upstream, max, (result) => results.push(result), bodies, terms);
  const listener = new Listener(
    {
      request: (request, response) => {
        request.on('error', () => {});
        response.on('error', () => {});
        before?.(request, response);
        pass.forward(request, response);
      },
      upgrade: (request, socket, head) => pass.upgrade(request, socket, head),
    },
    headersTimeoutMs === undefined ? limits : { headersTimeoutMs, ...limits },
  );
  const port = await listener.listen(0, '127.0.0.1');
  try {
    await body({ port, modelPort, model, listener, pass, results, caught });
    if (!mayFail) assert.equal(caught, [], 'failures of our own');
  } finally {
    listener.destroy();
    await pass.close();
    model.closeAllConnections();
    model.close();
  }
}

/** A connection to a port: what has come back, and whether it was closed. */
export class Wire {
  readonly socket: Socket;
  seen = '';
  closed = false;

  constructor(port: number, bytes = '') {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (chunk) => {
      this.seen += chunk.toString('latin1');
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
    if (bytes !== '') this.socket.write(bytes, 'latin1');
  }

  write(bytes: string): void {
    this.socket.write(bytes, 'latin1');
  }

  /** Waits until what has come back contains a text. @throws after 5 s. */
  async sees(text: string): Promise<void> {
    await until(() => this.seen.includes(text), `${JSON.stringify(text)} in ${JSON.stringify(this.seen)}`);
  }

  /** Waits until the connection is closed. @throws after 5 s. */
  async closes(): Promise<string> {
    await until(() => this.closed, `the end after ${JSON.stringify(this.seen)}`);
    return this.seen;
  }
}

/** Waits for something that must happen soon. @throws after 5 s. */
export async function until(what: () => boolean, name = 'it'): Promise<void> {
  const end = performance.now() + 5000;
  while (!what()) {
    if (performance.now() > end) throw new Error(`waited in vain for ${name}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
