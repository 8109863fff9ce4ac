import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
  sensitiveHeaders,
} from 'node:http2';
import type { ErrorCode } from './errors.ts';
import { writeError } from './exchange.ts';
import { grpcFailure, isGrpc, refuseGrpc } from './grpc-answer.ts';
import { http2Fields } from './headers.ts';
import type { Http2Connection, Http2Upstream } from './http2-upstream.ts';
import { noteCode } from './observing/account.ts';
import { requestIdOf } from './observing/request-id.ts';

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
  readonly #response: ServerResponse;
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
   * @param read all that the caller sends, where it has been read already
   */
  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    upstream: Http2Upstream,
    begun: () => void,
    done: (result: string, heard: boolean) => void,
    read?: Buffer,
  ) {
    this.#response = response;
    this.#caller = response.stream as ServerHttp2Stream;
    this.#grpc = isGrpc(request);
    this.#id = requestIdOf(request);
    this.#begun = begun;
    this.#done = done;
    this.#caller.on('error', ignore);
    this.#caller.on('close', () => this.#callerClosed());
    try {
      const headers = http2Fields(request.rawHeaders);
      keepSensitive(headers, request.headers as IncomingHttpHeaders);
      const { stream, connection } = upstream.open(headers, this.#caller.endAfterHeaders);
      this.#model = stream;
      this.#connection = connection;
      if (read && !this.#caller.endAfterHeaders) this.#sendRead(stream, read);
      else this.#up(stream);
      this.#down(stream);
    } catch {
      this.refuse('PL_HTTP_TARGET');
    }
  }

  /** Ends the call with an error of ours, as far as one can still be told. */
  refuse(code: ErrorCode): void {
    this.#end(code);
    const caller = this.#caller;
    if (!caller.headersSent) {
      if (this.#grpc) refuseGrpc(this.#response, code);
      else writeError(this.#response, code);
    } else if (this.#grpc && !caller.writableEnded && !caller.destroyed) {
      noteCode(this.#response, code);
      this.#trailers = grpcFailure(code);
      this.#over = true;
      caller.end();
    } else if (!caller.writableEnded) caller.close(constants.NGHTTP2_INTERNAL_ERROR);
    this.#model?.close(constants.NGHTTP2_CANCEL);
  }

  /** What the caller has sent already, all of it. */
  #sendRead(model: ClientHttp2Stream, read: Buffer): void {
    model.on('wantTrailers', () => model.sendTrailers({}));
    model.end(read);
  }

  /** What the caller sends. */
  #up(model: ClientHttp2Stream): void {
    const caller = this.#caller;
    if (caller.endAfterHeaders) return;
    let trailers: OutgoingHttpHeaders = {};
    caller.on('data', (chunk: Buffer) => {
      if (model.writable && !model.write(chunk)) caller.pause();
    });
    model.on('drain', () => caller.resume());
    caller.on('trailers', (_headers: unknown, _flags: unknown, raw: string[]) => {
      trailers = http2Fields(raw);
    });
    caller.on('end', () => {
      // A caller who gives up ends too, but has not said everything.
      if (!caller.aborted && caller.rstCode === constants.NGHTTP2_NO_ERROR && model.writable) model.end();
    });
    model.on('wantTrailers', () => model.sendTrailers(trailers));
    // Whoever read a part of it has stopped it.
    caller.resume();
  }

  /** What the model answers. */
  #down(model: ClientHttp2Stream): void {
    const caller = this.#caller;
    let error: Error | undefined;
    // Node's layer for HTTP/1 callers would send trailers of its own.
    caller.removeAllListeners('wantTrailers');
    caller.on('wantTrailers', () => {
      caller.sendTrailers(this.#trailers);
      if (this.#over) this.#stopCaller();
    });
    caller.on('drain', () => model.resume());
    model.on('response', (headers, flags, raw?: string[]) => this.#respond(headers, flags, raw ?? []));
    model.on('data', (chunk: Buffer) => {
      if (caller.writable && !caller.write(chunk)) model.pause();
    });
    model.on('trailers', (headers, _flags, raw?: string[]) => {
      this.#trailers = http2Fields(raw ?? []);
      keepSensitive(this.#trailers, headers);
      this.#answered = true;
      this.#note(headers);
    });
    model.on('end', () => {
      if (model.aborted && !this.#answered) return;
      if (model.rstCode !== constants.NGHTTP2_NO_ERROR && !this.#answered) return;
      this.#answered = caller.headersSent;
      if (this.#answered && caller.writable) caller.end();
    });
    model.on('error', (failure) => {
      error = failure;
    });
    model.on('close', () => this.#modelClosed(model, error));
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
    setImmediate(() => {
      if (!caller.closed && !caller.readableEnded) caller.close(constants.NGHTTP2_NO_ERROR);
    });
  }

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
