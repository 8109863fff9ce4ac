import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { gzipSync } from 'node:zlib';

/** What the model does with one call. A number is a status with an error body. */
export type Behaviour = 'ok' | 'reset' | 'hang' | 'few' | 'many' | 'not-json' | 'truncate' | 'close' | 'slow' | number;

/** One call as the model saw it. */
export interface SeenCall {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly items: unknown[];
}

/** A model that echoes what it is given, over real sockets, and misbehaves when it is told to. */
export class ModelServer {
  readonly calls: SeenCall[] = [];
  /** Decides per call; `ok` by default. */
  behave: (call: SeenCall, number: number) => Behaviour = () => 'ok';
  /** Time of one call in ms. Calls run one after the other if `serial`. */
  timeMs: (items: number) => number = () => 1;
  serial = false;
  /** Members that a V1 reply has beside its predictions. */
  extra: (items: unknown[]) => object = () => ({});
  keepCalls = true;
  /** What V2 replies call it. */
  name = 'echo';
  /** Headers that its refusals have beside their content type. */
  ofRefusals: Readonly<Record<string, string>> = {};
  /** Whether it compresses replies to those who take that. */
  compresses = false;
  #busyUntil = 0;
  #held: { items: number; go: () => void }[] | undefined;
  #count = 0;
  readonly #unanswered = new Set<SeenCall>();
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((request, response) => this.#read(request, response));

  async start(port = 0): Promise<number> {
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.closeConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /**
   * Closes every connection, as a server does with idle ones. Returns the calls that were taken and whose replies may
   * be lost by this.
   */
  closeConnections(): SeenCall[] {
    for (const socket of this.#sockets) socket.destroy();
    return [...this.#unanswered];
  }

  /** From now on calls are taken and not answered, until the returned function is called. */
  hold(): () => void {
    this.#held = [];
    return () => {
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const each of held) each.go();
    };
  }

  /** Items of the calls that are held. */
  get heldItems(): number {
    return (this.#held ?? []).reduce((sum, each) => sum + each.items, 0);
  }

  #read(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => this.#serve(request, response, Buffer.concat(chunks).toString()));
  }

  #serve(request: IncomingMessage, response: ServerResponse, body: string): void {
    const path = request.url ?? '';
    if (request.method !== 'POST' || !/:predict(\?|$)|\/infer(\?|$)/.test(path)) {
      response.writeHead(200, { 'x-seen-path': path, 'x-seen-method': request.method ?? '' });
      response.end(body === '' ? `echo ${path}` : body);
      return;
    }
    const call: SeenCall = { path, headers: request.headers, body, items: itemsOf(body) };
    if (this.keepCalls) this.calls.push(call);
    this.#unanswered.add(call);
    response.on('close', () => this.#unanswered.delete(call));
    const behaviour = this.behave(call, this.#count++);
    const now = performance.now();
    const start = this.serial ? Math.max(now, this.#busyUntil) : now;
    this.#busyUntil = start + this.timeMs(call.items.length);
    const extra = () => (/:predict/.test(path) ? {} : { model_name: this.name });
    const go = () =>
      setTimeout(
        () => act(behaviour, call, response, { ...extra(), ...this.extra(call.items) }, this),
        this.#busyUntil - now,
      );
    if (this.#held) this.#held.push({ items: call.items.length, go });
    else go();
  }
}

function act(
  behaviour: Behaviour,
  call: SeenCall,
  response: ServerResponse,
  extra: object,
  { ofRefusals, compresses }: Pick<ModelServer, 'ofRefusals' | 'compresses'>,
): void {
  if (behaviour === 'hang' || response.destroyed) return;
  if (behaviour === 'reset') return void response.socket?.resetAndDestroy();
  if (typeof behaviour === 'number') {
    response.writeHead(behaviour, { 'content-type': 'application/json', ...ofRefusals });
    response.end(JSON.stringify({ detail: `the model says ${behaviour}` }));
    return;
  }
  const items = behaviour === 'few' ? call.items.slice(1) : behaviour === 'many' ? [...call.items, 0] : call.items;
  let reply = JSON.stringify({ ...replyTo(call, items), ...extra });
  if (behaviour === 'not-json') reply = `<html>${reply}`;
  response.setHeader('content-type', 'application/json');
  response.setHeader('x-model', 'echo');
  if (behaviour === 'close') response.setHeader('connection', 'close');
  if (behaviour === 'truncate') {
    response.writeHead(200, { 'content-length': reply.length });
    response.write(reply.slice(0, reply.length >> 1));
    setImmediate(() => response.destroy());
    return;
  }
  if (compresses && /\bgzip\b/.test(String(call.headers['accept-encoding']))) {
    response.setHeader('content-encoding', 'gzip');
    return void response.end(gzipSync(reply));
  }
  response.end(reply);
}

function replyTo(call: SeenCall, items: unknown[]): object {
  if (/:predict/.test(call.path)) return { predictions: items.map((item) => ({ echo: item })) };
  const request = JSON.parse(call.body) as { id?: string; inputs: { shape: number[]; datatype: string }[] };
  const width = (request.inputs[0]?.shape.slice(1) ?? []).reduce((product, each) => product * each, 1);
  return {
    model_name: 'echo',
    id: request.id ?? 'generated',
    outputs: [
      { name: 'out', datatype: request.inputs[0]?.datatype, shape: [items.length, width], data: items.flat(9) },
    ],
  };
}

function itemsOf(body: string): unknown[] {
  try {
    const parsed = JSON.parse(body);
    if (Array.isArray(parsed.instances)) return parsed.instances;
    const [first] = parsed.inputs;
    const flat = first.data.flat(9);
    const width = flat.length / first.shape[0];
    return Array.from({ length: first.shape[0] }, (_, i) => flat.slice(i * width, (i + 1) * width));
  } catch {
    return [];
  }
}
