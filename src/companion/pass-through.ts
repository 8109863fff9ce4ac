import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type Http2ServerResponse } from 'node:http2';
import type { Socket } from 'node:net';
import { hasBody } from './body.ts';
import type { ErrorCode } from './errors.ts';
import { writeError } from './exchange.ts';
import { codeOfFailure } from './failure-codes.ts';
import { isGrpc, refuseGrpc } from './grpc-answer.ts';
import { forHttp2, forwardHeaders, headerIn } from './headers.ts';
import { type Dispatcher, Pool } from './http-client.ts';
import { Http2Call } from './http2-call.ts';
import { Http2Upstream } from './http2-upstream.ts';
import { withRequestId } from './observing/request-id.ts';
import { endWithError } from './raw-answer.ts';
import { openTunnel } from './tunnel.ts';
import { Upload } from './upload.ts';
import { failureOf, rawHeadersOf } from './upstream.ts';
import type { Renaming } from './variant-name.ts';

/** As queue-proxy: a model may take this long until it begins to answer. */
const headersTimeoutMs = 300_000;
const wholeMax = 16_384;
/** A name can be changed only in a reply that is not encoded. */
const identity = ['accept-encoding', 'identity'];

/** What bodies may take of a pass-through. */
export interface BodyLimits {
  /** How long a body may pause. */
  readonly idleMs: number;
  /** Of all that may be forwarded at once, so many are never bodies: health checks pass whatever uploads do. */
  readonly slotsWithout: number;
}

/** Forwards whatever the companion does not batch, byte for byte, streaming both ways, bounded in number. */
export class PassThrough {
  readonly #upstream: URL;
  readonly #pool: Pool;
  readonly #max: number;
  readonly #bodies: BodyLimits;
  readonly #onEnd: (result: string) => void;
  readonly #http2: Http2Upstream;
  /** What has no answer yet. */
  readonly #open = new Set<{ refuse(code: ErrorCode): void }>();
  #active = 0;
  #withBody = 0;

  /** @param onEnd hears how each one ended: a status class, or a failure. */
  constructor(upstream: URL, max: number, onEnd: (result: string) => void, bodies: Partial<BodyLimits> = {}) {
    this.#upstream = upstream;
    this.#max = max;
    this.#onEnd = onEnd;
    this.#bodies = { idleMs: 30_000, slotsWithout: Math.min(64, max >> 1), ...bodies };
    this.#http2 = new Http2Upstream(upstream, max);
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

  /**
   * Forwards one request; `body` where it has been read already. `renaming` changes a name in a reply that is JSON.
   *
   * @param onResult hears how it ended, as `onEnd` of all does
   */
  forward(
    request: IncomingMessage,
    response: ServerResponse,
    body?: Buffer,
    renaming?: Renaming,
    onResult?: (result: string) => void,
  ): void {
    const bodies = hasBody(request) ? 1 : 0;
    if (this.#active >= this.#max || this.#withBody + bodies > this.#max - this.#bodies.slotsWithout)
      return this.#refuse(request, response, 'PL_PASS_FULL');
    const target = request.url ?? '';
    if (!target.startsWith('/')) return this.#refuse(request, response, 'PL_HTTP_TARGET');
    this.#active++;
    this.#withBody += bodies;
    const ended = (result: string) => {
      this.#active--;
      this.#withBody -= bodies;
      this.#onEnd(result);
      onResult?.(result);
    };
    if (isGrpc(request) || (body === undefined && !renaming && this.#needsHttp2(request))) {
      const call = new Http2Call(request, response, this.#http2, ended, body);
      this.#open.add(call);
      response.once('close', () => this.#open.delete(call));
      return;
    }
    let idle: NodeJS.Timeout | undefined;
    const relay: Relay = new Relay(response, renaming, (result) => {
      clearTimeout(idle);
      this.#open.delete(relay);
      ended(result);
    });
    this.#open.add(relay);
    const stalled = () => relay.stalled();
    const send = (read: Buffer | undefined) => {
      const streamed = read === undefined && bodies > 0 ? new Upload(request, this.#bodies.idleMs, stalled) : null;
      try {
        this.#pool.dispatch(
          {
            path: target,
            method: request.method as Dispatcher.HttpMethod,
            headers: renaming
              ? [...without(forwardHeaders(request.rawHeaders, read === undefined), 'accept-encoding'), ...identity]
              : forwardHeaders(request.rawHeaders, read === undefined),
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
      idle = setTimeout(stalled, this.#bodies.idleMs);
      request.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        idle?.refresh();
      });
      request.once('end', () => {
        clearTimeout(idle);
        if (!relay.ended) send(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
      });
    } else send(body);
  }

  /** Connects a protocol upgrade (WebSocket) with the model. */
  upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const refused =
      this.#active >= this.#max ? 'PL_PASS_FULL' : request.url?.startsWith('/') ? undefined : 'PL_HTTP_TARGET';
    if (refused) {
      this.#onEnd(refused);
      return endWithError(socket, refused);
    }
    this.#active++;
    openTunnel(this.#upstream, request, socket, head, (result) => {
      this.#active--;
      this.#onEnd(result);
    });
  }

  /** Ends whatever has no answer yet with this error, or breaks it off where an answer has begun. */
  refuseRest(code: ErrorCode): void {
    for (const each of this.#open) each.refuse(code);
  }

  async close(): Promise<void> {
    this.#http2.close();
    await this.#pool.destroy();
  }

  /** Who asks for trailers gets HTTP/2, beside gRPC, where the model is known to speak it, and HTTP/1.1 elsewhere. */
  #needsHttp2(request: IncomingMessage): boolean {
    return request.httpVersionMajor === 2 && request.headers.te === 'trailers' && this.#http2.spoke;
  }

  #refuse(request: IncomingMessage, response: ServerResponse, code: ErrorCode): void {
    this.#onEnd(code);
    if (isGrpc(request)) refuseGrpc(response, code);
    else writeError(response, code);
  }
}

/** Carries one reply to its caller, at the caller's pace. */
class Relay implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;
  readonly #done: (result: string) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #ended = false;
  #wrote = false;
  #status = 0;
  #renaming: Renaming | undefined;

  constructor(response: ServerResponse, renaming: Renaming | undefined, done: (result: string) => void) {
    this.#response = response;
    this.#renaming = renaming;
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
    let headers = forwardHeaders(rawHeadersOf(controller), true);
    if (this.#renaming) {
      if (isPlainJson(headers)) headers = without(headers, 'content-length');
      else this.#renaming = undefined;
    }
    const known = this.#response.stream === undefined ? headers : forHttp2(headers);
    this.#response.writeHead(status, withRequestId(this.#response.req, known) as never);
    // A stream that has not begun to flow yet (server-sent events) must still show its headers; most replies come whole.
    setImmediate(() => {
      if (!this.#wrote && !this.#ended && !this.#response.destroyed) this.#response.flushHeaders();
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#wrote = true;
    if (this.#renaming) {
      let room = true;
      for (const piece of this.#renaming.push(chunk)) room = this.#response.write(piece);
      if (room) return;
    } else if (this.#response.write(chunk)) return;
    controller.pause();
    this.#response.once('drain', () => controller.resume());
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    for (const piece of this.#renaming?.end() ?? []) this.#response.write(piece);
    const raw = (controller as { rawTrailers?: Buffer[] | null }).rawTrailers;
    if (raw && raw.length > 0) {
      sendTrailers(this.#response, forwardHeaders(raw.map(String), true));
    }
    this.#wrote = true;
    this.#response.end();
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.#ended) return;
    const failure = failureOf(error);
    // Half an answer cannot be taken back: the caller must see that it broke off.
    if (this.#response.headersSent) this.#response.destroy();
    else writeError(this.#response, codeOfFailure(failure));
    this.#end(failure);
  }

  /** The caller stopped in the middle of its body. */
  stalled(): void {
    // Once the model has begun to answer, how long it waits for the rest is its own matter.
    if (!this.#ended && !this.#response.headersSent) this.refuse('PL_BODY_TIMEOUT');
  }

  /** Ends it with an error of ours, if nothing has been answered, else breaks it off. */
  refuse(code: ErrorCode): void {
    if (this.#ended) return;
    this.#end(code);
    if (this.#response.headersSent) this.#response.destroy();
    else {
      writeError(this.#response, code);
      // In HTTP/2 an answer alone does not end what the caller may still send.
      const { stream } = this.#response as unknown as Partial<Http2ServerResponse>;
      stream?.close(constants.NGHTTP2_NO_ERROR);
    }
    this.#controller?.abort(new Error(code));
  }

  #end(result: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#done(result);
  }
}

/** A flat list of headers without one of them. */
function without(headers: readonly string[], name: string): string[] {
  return headers.filter((_, i) => (headers[i - (i % 2)] as string).toLowerCase() !== name);
}

/** A reply in which a name can be found. */
function isPlainJson(headers: readonly string[]): boolean {
  const encoding = headerIn(headers, 'content-encoding');
  return (
    (encoding === undefined || encoding === 'identity') &&
    /^application\/json\s*(?:;|$)/i.test(headerIn(headers, 'content-type') ?? '')
  );
}

/** Sends trailers, a flat list. The HTTP/2 layer of Node takes them one by one only, HTTP/1.1 only all at once. */
function sendTrailers(response: ServerResponse, raw: readonly string[]): void {
  const http2 = response as unknown as Partial<Http2ServerResponse> & { setTrailer(name: string, value: string): void };
  const pairs: [string, string][] = [];
  for (let i = 0; i < raw.length; i += 2) pairs.push([raw[i] as string, raw[i + 1] as string]);
  if (http2.stream === undefined) response.addTrailers(pairs);
  else for (const [name, value] of pairs) http2.setTrailer(name, value);
}
