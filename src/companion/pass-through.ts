import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { ErrorCode } from './errors.ts';
import { writeError } from './exchange.ts';
import { forwardHeaders } from './headers.ts';
import { type Dispatcher, Pool } from './http-client.ts';
import { failureOf, rawHeadersOf } from './upstream.ts';

/** As queue-proxy: a model may take this long until it begins to answer. */
const headersTimeoutMs = 300_000;
const wholeMax = 16_384;
const codes: Partial<Record<ReturnType<typeof failureOf>, ErrorCode>> = {
  unreachable: 'PL_UPSTREAM_UNREACHABLE',
  timeout: 'PL_UPSTREAM_TIMEOUT',
  invalid: 'PL_HTTP_TARGET',
};

/** Forwards whatever the companion does not batch, byte for byte, streaming both ways, bounded in number. */
export class PassThrough {
  readonly #upstream: URL;
  readonly #pool: Pool;
  readonly #max: number;
  readonly #onEnd: (result: string) => void;
  #active = 0;

  /** @param onEnd hears how each one ended: a status class, or a failure. */
  constructor(upstream: URL, max: number, onEnd: (result: string) => void) {
    this.#upstream = upstream;
    this.#max = max;
    this.#onEnd = onEnd;
    this.#pool = new Pool(upstream.origin, {
      connections: max,
      pipelining: 1,
      connect: { timeout: 2000 },
      headersTimeout: headersTimeoutMs,
      bodyTimeout: 0,
    });
  }

  get active(): number {
    return this.#active;
  }

  /** Forwards one request; `body` where it has been read already. */
  forward(request: IncomingMessage, response: ServerResponse, body?: Buffer): void {
    if (this.#active >= this.#max) return this.#refuse(response, 'PL_PASS_FULL');
    const target = request.url ?? '';
    if (!target.startsWith('/')) return this.#refuse(response, 'PL_HTTP_TARGET');
    this.#active++;
    const relay = new Relay(response, (result) => {
      this.#active--;
      this.#onEnd(result);
    });
    const send = (read: Buffer | undefined) => {
      const streamed = hasBody(request) ? request : null;
      try {
        this.#pool.dispatch(
          {
            path: target,
            method: request.method as Dispatcher.HttpMethod,
            headers: forwardHeaders(request.rawHeaders, read === undefined),
            body: read ?? streamed,
          },
          relay,
        );
      } catch {
        relay.onResponseError(undefined, Object.assign(new Error('invalid'), { code: 'UND_ERR_INVALID_ARG' }));
      }
    };
    const announced = Number(request.headers['content-length'] ?? Number.NaN);
    // A small body costs less in one piece with its headers than as a stream of its own.
    if (body === undefined && announced > 0 && announced <= wholeMax) {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.once('end', () => relay.ended || send(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    } else send(body);
  }

  /** Connects a protocol upgrade (WebSocket) with the model: bytes both ways, nothing read. */
  upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    if (this.#active >= this.#max) {
      socket.end(
        'HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n',
      );
      return;
    }
    this.#active++;
    const model = connect(Number(this.#upstream.port || 80), this.#upstream.hostname);
    let over = false;
    const close = () => {
      if (over) return;
      over = true;
      this.#active--;
      this.#onEnd('upgrade');
      model.destroy();
      socket.destroy();
    };
    model.once('connect', () => {
      const lines = [`${request.method} ${request.url} HTTP/1.1`];
      for (let i = 0; i < request.rawHeaders.length; i += 2) {
        lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
      }
      model.write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'));
      model.write(head);
      model.pipe(socket);
      socket.pipe(model);
    });
    for (const side of [model, socket]) {
      side.on('error', close);
      side.on('close', close);
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  #refuse(response: ServerResponse, code: ErrorCode): void {
    this.#onEnd(code);
    writeError(response, code);
  }
}

function hasBody(request: IncomingMessage): boolean {
  if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined)
    return true;
  return request.httpVersionMajor === 2 && !request.complete;
}

/** Carries one reply to its caller, at the caller's pace. */
class Relay implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;
  readonly #done: (result: string) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #ended = false;
  #wrote = false;
  #status = 0;

  constructor(response: ServerResponse, done: (result: string) => void) {
    this.#response = response;
    this.#done = done;
    response.on('close', () => {
      if (!response.writableFinished) this.#controller?.abort(new Error('the caller left'));
      this.#end(response.writableFinished ? `${Math.floor(this.#status / 100)}xx` : 'left');
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#ended) controller.abort(new Error('the caller left'));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return;
    this.#status = status;
    const headers = forwardHeaders(rawHeadersOf(controller), true);
    this.#response.writeHead(status, headers as never);
    // A stream that has not begun to flow yet (server-sent events) must still show its headers; most replies come whole.
    setImmediate(() => {
      if (!this.#wrote && !this.#ended && !this.#response.destroyed) this.#response.flushHeaders();
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#wrote = true;
    if (this.#response.write(chunk)) return;
    controller.pause();
    this.#response.once('drain', () => controller.resume());
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    const raw = (controller as { rawTrailers?: Buffer[] | null }).rawTrailers;
    if (raw && raw.length > 0) {
      const pairs: [string, string][] = [];
      for (let i = 0; i < raw.length; i += 2) pairs.push([String(raw[i]), String(raw[i + 1])]);
      this.#response.addTrailers(pairs);
    }
    this.#wrote = true;
    this.#response.end();
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.#ended) return;
    const failure = failureOf(error);
    // Half an answer cannot be taken back: the caller must see that it broke off.
    if (this.#response.headersSent) this.#response.destroy();
    else writeError(this.#response, codes[failure] ?? 'PL_UPSTREAM_RESET');
    this.#end(failure);
  }

  #end(result: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#done(result);
  }
}
