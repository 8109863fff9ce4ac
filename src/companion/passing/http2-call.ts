import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
  sensitiveHeaders,
} from 'node:http2';
import { grpcFailure } from '../answering/grpc-answer.ts';
import { refuse } from '../answering/refusal.ts';
import type { ErrorCode } from '../errors.ts';
import type { Guard } from '../guard.ts';
import { isGrpc } from '../http/grpc-status.ts';
import { http2Fields } from '../http/headers.ts';
import { noteCode } from '../observing/account.ts';
import { requestIdOf } from '../observing/request-id.ts';
import type { Http2Connection, Http2Stream, Http2Upstream } from '../upstream/http2-upstream.ts';

/** The statuses of gRPC, which label what is counted. */
const statusMax = 16;

/**
 * One call that is HTTP/2 on both sides: what each side sends goes to the other at the other's pace, with trailers and
 * resets, and either may end before the other.
 *
 * ```
 *   caller ── headers, data, trailers, reset ──► model
 *   caller ◄── headers, data, trailers, reset ── model
 * ```
 */
export class Http2Call {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #upstream: Http2Upstream;
  readonly #guard: Guard;
  readonly #caller: ServerHttp2Stream;
  readonly #grpc: boolean;
  readonly #id: string;
  readonly #begun: () => void;
  readonly #done: (result: string, heard: boolean) => void;
  #model: ClientHttp2Stream | undefined;
  #connection: Http2Connection | undefined;
  /** Whatever the caller may still send is for nobody. */
  #over = false;
  /** The model has said everything. */
  #answered = false;
  #trailersOnly = false;
  #heard = false;
  #ended = false;
  #result = 'left';
  #trailers: OutgoingHttpHeaders = {};

  /**
   * @param begun hears once that the model says something
   * @param done hears once how it ended, and whether the model said anything: a status of gRPC, a status class, a failure, or `left`
   */
  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    upstream: Http2Upstream,
    guard: Guard,
    begun: () => void,
    done: (result: string, heard: boolean) => void,
  ) {
    this.#request = request;
    this.#response = response;
    this.#upstream = upstream;
    this.#guard = guard;
    this.#caller = response.stream as ServerHttp2Stream;
    this.#grpc = isGrpc(request);
    this.#id = requestIdOf(request);
    this.#begun = begun;
    this.#done = done;
    this.#caller.on('error', ignore);
    this.#on(this.#caller, 'close', () => this.#callerClosed());
  }

  /** @param read all that the caller sends, where it has been read already */
  start(read?: Buffer): void {
    this.#guard.run(this.#broken, () => this.#open(read));
  }

  #open(read: Buffer | undefined): void {
    const { rawHeaders, headers: seen } = this.#request;
    const headers = http2Fields(rawHeaders);
    keepSensitive(headers, seen as IncomingHttpHeaders);
    let opened: Http2Stream;
    try {
      opened = this.#upstream.open(headers, this.#caller.endAfterHeaders);
    } catch {
      return this.refuse('PL_HTTP_TARGET');
    }
    const { stream, connection } = opened;
    this.#model = stream;
    this.#connection = connection;
    if (read && !this.#caller.endAfterHeaders) this.#sendRead(stream, read);
    else this.#up(stream);
    this.#down(stream);
  }

  /** Ends the call with an error of ours, as far as one can still be told. */
  refuse(code: ErrorCode): void {
    this.#end(code);
    const caller = this.#caller;
    if (!caller.headersSent) refuse(this.#request, this.#response, code);
    else if (this.#grpc && !caller.writableEnded && !caller.destroyed) {
      noteCode(this.#response, code);
      this.#trailers = grpcFailure(code);
      this.#over = true;
      caller.end();
    } else if (!caller.writableEnded) caller.close(constants.NGHTTP2_INTERNAL_ERROR);
    this.#model?.close(constants.NGHTTP2_CANCEL);
  }

  /** What the caller has sent already, all of it. */
  #sendRead(model: ClientHttp2Stream, read: Buffer): void {
    this.#on(model, 'wantTrailers', () => model.sendTrailers({}));
    model.end(read);
  }

  /** What the caller sends. */
  #up(model: ClientHttp2Stream): void {
    const caller = this.#caller;
    if (caller.endAfterHeaders) return;
    let trailers: OutgoingHttpHeaders = {};
    this.#on(caller, 'data', (chunk: Buffer) => {
      if (model.writable && !model.write(chunk)) caller.pause();
    });
    this.#on(model, 'drain', () => caller.resume());
    this.#on(caller, 'trailers', (_headers: unknown, _flags: unknown, raw: string[]) => {
      trailers = http2Fields(raw);
    });
    this.#on(caller, 'end', () => {
      // A caller who gives up ends too, but has not said everything.
      if (!caller.aborted && caller.rstCode === constants.NGHTTP2_NO_ERROR && model.writable) model.end();
    });
    this.#on(model, 'wantTrailers', () => model.sendTrailers(trailers));
    // Whoever read a part of it has stopped it.
    caller.resume();
  }

  /** What the model answers. */
  #down(model: ClientHttp2Stream): void {
    const caller = this.#caller;
    let error: Error | undefined;
    // Node's layer for HTTP/1 callers would send trailers of its own.
    caller.removeAllListeners('wantTrailers');
    this.#on(caller, 'wantTrailers', () => {
      caller.sendTrailers(this.#trailers);
      if (this.#over) this.#stopCaller();
    });
    this.#on(caller, 'drain', () => model.resume());
    this.#on(model, 'response', (headers: IncomingHttpHeaders, flags: number, raw?: string[]) =>
      this.#respond(headers, flags, raw ?? []),
    );
    this.#on(model, 'data', (chunk: Buffer) => {
      if (caller.writable && !caller.write(chunk)) model.pause();
    });
    this.#on(model, 'trailers', (headers: IncomingHttpHeaders, _flags: number, raw?: string[]) => {
      this.#trailers = http2Fields(raw ?? []);
      keepSensitive(this.#trailers, headers);
      this.#answered = true;
      this.#note(headers);
    });
    this.#on(model, 'end', () => {
      if (model.aborted && !this.#answered) return;
      if (model.rstCode !== constants.NGHTTP2_NO_ERROR && !this.#answered) return;
      this.#answered = caller.headersSent;
      if (this.#answered && caller.writable) caller.end();
    });
    this.#on(model, 'error', (failure: Error) => {
      error = failure;
    });
    this.#on(model, 'close', () => this.#modelClosed(model, error));
  }

  #respond(headers: IncomingHttpHeaders, flags: number, raw: readonly string[]): void {
    this.#hear();
    const caller = this.#caller;
    if (caller.destroyed || caller.closed || caller.headersSent) return;
    const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    const fields = http2Fields(raw);
    keepSensitive(fields, headers);
    if (this.#id !== '') fields['x-request-id'] ??= this.#id;
    this.#result = `${Math.floor(Number(headers[':status']) / 100)}xx`;
    this.#note(headers);
    try {
      caller.respond(fields, { endStream, waitForTrailers: !endStream, sendDate: false } as object);
    } catch {
      return this.refuse('PL_UPSTREAM_REPLY');
    }
    if (!endStream) return;
    this.#answered = true;
    this.#trailersOnly = true;
  }

  #note(headers: IncomingHttpHeaders): void {
    const status = headers['grpc-status'];
    if (status === undefined) return;
    const known = Number(status) >= 0 && Number(status) <= statusMax;
    this.#result = `grpc-${known ? Number(status) : 'unknown'}`;
  }

  #callerClosed(): void {
    const { rstCode } = this.#caller;
    const all = this.#answered && this.#caller.writableFinished;
    this.#end(all ? this.#result : 'left');
    this.#model?.close(all || rstCode !== constants.NGHTTP2_NO_ERROR ? rstCode : constants.NGHTTP2_CANCEL);
  }

  #modelClosed(model: ClientHttp2Stream, error: Error | undefined): void {
    const caller = this.#caller;
    if (caller.destroyed || this.#ended) return;
    if (this.#answered) {
      this.#over = true;
      // Closed before its trailers are out, a stream would lose them.
      if (caller.sentTrailers !== undefined || this.#trailersOnly) this.#stopCaller();
      return;
    }
    const connection = this.#connection as Http2Connection;
    const code = model.rstCode ?? constants.NGHTTP2_NO_ERROR;
    const itsOwn = code === constants.NGHTTP2_REFUSED_STREAM || !connection.session.destroyed;
    if (code === constants.NGHTTP2_NO_ERROR || !itsOwn) return this.refuse(connection.failure(error));
    // The model ended this call only: its caller hears the same word from us.
    this.#hear();
    this.#end('reset');
    caller.close(code);
  }

  /** Once trailers are out, which Node sends a little later than it is told to. */
  #stopCaller(): void {
    const caller = this.#caller;
    const stop = () => {
      if (!caller.closed && !caller.readableEnded) caller.close(constants.NGHTTP2_NO_ERROR);
    };
    setImmediate(this.#guard.listener(this.#broken, stop));
  }

  /** Listens to one of the two sides. */
  #on<Given extends unknown[]>(side: EventEmitter, event: string, listener: (...given: Given) => void): void {
    side.on(event, this.#guard.listener(this.#broken, listener) as () => void);
  }

  /** Our own failure ends the call, also behind an answer whose trailers are missing. */
  readonly #broken = (code: ErrorCode): void => {
    this.refuse(code);
    const caller = this.#caller;
    if (caller.writableEnded && caller.sentTrailers === undefined) caller.close(constants.NGHTTP2_INTERNAL_ERROR);
  };

  #hear(): void {
    if (this.#heard) return;
    this.#heard = true;
    this.#begun();
  }

  #end(result: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#done(result, this.#heard);
  }
}

/** Headers that a sender wants kept out of compression tables stay out of them. */
function keepSensitive(to: OutgoingHttpHeaders, from: IncomingHttpHeaders): void {
  const names = from[sensitiveHeaders as never] as string[] | undefined;
  if (names && names.length > 0) (to as Record<symbol, unknown>)[sensitiveHeaders] = names;
}

function ignore(): void {}
