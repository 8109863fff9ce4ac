import type { ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import { endStream, writeError } from '../answering/http-answer.ts';
import { breakOff } from '../answering/refusal.ts';
import type { ErrorCode } from '../errors.ts';
import type { Ending, Guard } from '../guard.ts';
import { isAnswered } from '../http/answered.ts';
import { wasGivenUp } from '../http/body.ts';
import { forHttp2, forwardHeaders, headerIn, without } from '../http/headers.ts';
import type { Renaming } from '../http/variant-name.ts';
import { withRequestId } from '../observing/request-id.ts';
import { codeOfFailure } from '../upstream/failure-codes.ts';
import type { Dispatcher } from '../upstream/http-client.ts';
import { diedUnheard, failureOf, rawHeadersOf } from '../upstream/upstream.ts';

/** Who sends the calls whose replies are relayed. */
export interface RelayOwner {
  readonly guard: Guard;
  /** The model has begun to answer. */
  heard(): void;
  /** Sends a call again of which no byte reached the model. Returns whether that may be. */
  sendAgain(options: Dispatcher.DispatchOptions, relay: Relay): boolean;
  /** The caller takes nothing for now; false: it does again. */
  stalls(relay: Relay, stalled: boolean): void;
}

/** Carries one reply to its caller, at the caller's pace. */
export class Relay implements Dispatcher.DispatchHandler {
  /** What to send again where no byte reached the model; undefined where that is not safe. */
  again: Dispatcher.DispatchOptions | undefined;
  readonly #response: ServerResponse;
  readonly #owner: RelayOwner;
  readonly #done: (result: string, heard: boolean) => void;
  readonly #broken: Ending;
  #controller: Dispatcher.DispatchController | undefined;
  #ended = false;
  #wrote = false;
  #status = 0;
  #startedAt = 0;
  #renaming: Renaming | undefined;

  constructor(
    response: ServerResponse,
    owner: RelayOwner,
    renaming: Renaming | undefined,
    done: (result: string, heard: boolean) => void,
  ) {
    this.#response = response;
    this.#owner = owner;
    this.#renaming = renaming;
    this.#done = done;
    this.#broken = (code) => this.refuse(code);
    const closed = () => {
      const answered = isAnswered(response);
      if (!answered) this.#controller?.abort(new Error('the caller left'));
      this.#end(answered ? `${Math.floor(this.#status / 100)}xx` : 'left');
    };
    response.on('close', owner.guard.listener(this.#broken, closed));
  }

  get ended(): boolean {
    return this.#ended;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#startedAt = performance.now();
    if (this.#ended) controller.abort(new Error('the caller left'));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return;
    this.#status = status;
    this.#owner.heard();
    let headers = forwardHeaders(rawHeadersOf(controller), true);
    if (this.#renaming) {
      if (isPlainJson(headers)) headers = without(headers, 'content-length');
      else this.#renaming = undefined;
    }
    const known = this.#response.stream === undefined ? headers : forHttp2(headers);
    try {
      this.#response.writeHead(status, withRequestId(this.#response.req, known) as never);
    } catch {
      // Bytes that no header may have, for one.
      return this.refuse('PL_UPSTREAM_REPLY');
    }
    // A stream that has not begun to flow yet (server-sent events) must still show its headers; most replies come whole.
    const flush = () => {
      if (!this.#wrote && !this.#ended && !this.#response.destroyed) this.#response.flushHeaders();
    };
    setImmediate(this.#owner.guard.listener(this.#broken, flush));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#wrote = true;
    if (this.#renaming) {
      let room = true;
      for (const piece of this.#renaming.push(chunk)) room = this.#response.write(piece);
      if (room) return;
    } else if (this.#response.write(chunk)) return;
    controller.pause();
    this.#owner.stalls(this, true);
    const drained = () => {
      this.#owner.stalls(this, false);
      controller.resume();
    };
    this.#response.once('drain', this.#owner.guard.listener(this.#broken, drained));
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    for (const piece of this.#renaming?.end() ?? []) this.#response.write(piece);
    const raw = (controller as { rawTrailers?: Buffer[] | null }).rawTrailers;
    const trailers = raw !== null && raw !== undefined && raw.length > 0;
    if (trailers) sendTrailers(this.#response, forwardHeaders(raw.map(String), true));
    this.#wrote = true;
    this.#response.end();
    endStream(this.#response, trailers);
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.#ended) return;
    // What its caller did to the call says nothing of the model.
    if (wasGivenUp(this.#response.req)) return this.#end('left');
    const { again } = this;
    this.again = undefined;
    if (again && this.#status === 0 && diedUnheard(error, this.#startedAt) && this.#owner.sendAgain(again, this))
      return;
    const failure = failureOf(error);
    // Half an answer cannot be taken back: the caller must see that it broke off.
    if (this.#response.headersSent) breakOff(this.#response);
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
    if (this.#response.headersSent) breakOff(this.#response);
    else writeError(this.#response, code);
    this.#controller?.abort(new Error(code));
  }

  #end(result: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#owner.stalls(this, false);
    this.#done(result, this.#status !== 0);
  }
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
