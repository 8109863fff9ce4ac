import { type ClientHttp2Session, type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from 'node:http2';
import type { ErrorCode } from '../errors.ts';
import { codeOfFailure } from './failure-codes.ts';
import { connectMs, type UpstreamFailure } from './upstream.ts';

const headersMaxBytes = 65_536;
/** Bytes that a call may have sent and nobody has read, unless more is asked for. */
const streamWindowMin = 65_535;
/** MB; it bounds nothing that the number of calls and their windows do not bound, and 10 MB would refuse calls. */
const sessionMegabytes = 512;
/** HTTP/2 has no larger window. */
const windowMax = 2 ** 31 - 1;
/** HTTP/2 numbers the calls of a connection with 31 bits, every other one: long before they end another one begins. */
const callsEver = 2 ** 29;

/** A call at the model and the connection that carries it. */
export interface Http2Stream {
  readonly stream: ClientHttp2Stream;
  readonly connection: Http2Connection;
}

/**
 * One connection to the model over HTTP/2 without TLS, shared by all calls. It begins with a call and is replaced at the
 * next one when it is gone, or the model has said that it goes (GOAWAY); calls that are on it end there.
 */
export class Http2Upstream {
  readonly #origin: string;
  readonly #callsMax: number;
  readonly #streamWindow: number;
  readonly #connectMs: number;
  readonly #connections = new Set<Http2Connection>();
  #current: Http2Connection | undefined;
  #spoke = false;

  /**
   * @param callsMax calls at once: their windows are what the connection's window must have room for
   * @param streamWindow bytes of one call that may be on their way to a reader
   * @param connectWithinMs how long the model may take to accept a connection
   */
  constructor(origin: URL, callsMax: number, streamWindow = streamWindowMin, connectWithinMs = connectMs) {
    this.#connectMs = connectWithinMs;
    this.#origin = origin.origin;
    this.#callsMax = callsMax;
    this.#streamWindow = streamWindow;
  }

  /** Whether the model has answered to HTTP/2 before. */
  get spoke(): boolean {
    return this.#spoke;
  }

  /** Opens a call. @throws where Node refuses the headers. */
  open(headers: OutgoingHttpHeaders, endStream: boolean): Http2Stream {
    if (!this.#current?.usable) this.#current = this.#connect();
    const connection = this.#current;
    return { connection, stream: connection.request(headers, endStream) };
  }

  close(): void {
    for (const { session } of this.#connections) session.destroy();
  }

  #connect(): Http2Connection {
    const bounds = { streamWindow: this.#streamWindow, callsMax: this.#callsMax, connectMs: this.#connectMs };
    const connection = new Http2Connection(this.#origin, bounds, () => {
      this.#spoke = true;
    });
    this.#connections.add(connection);
    connection.session.once('close', () => this.#connections.delete(connection));
    return connection;
  }
}

/** A connection and how far it came. */
export class Http2Connection {
  readonly session: ClientHttp2Session;
  /** When an answer last began on it; 0: none has. */
  heardAt = 0;
  #connected = false;
  #spoke = false;
  #calls = 0;

  constructor(
    origin: string,
    { streamWindow, callsMax, connectMs: withinMs }: { streamWindow: number; callsMax: number; connectMs: number },
    onSpoke: () => void,
  ) {
    const session = connect(origin, {
      maxSessionMemory: sessionMegabytes,
      settings: { enablePush: false, initialWindowSize: streamWindow, maxHeaderListSize: headersMaxBytes },
    });
    this.session = session;
    const timer = setTimeout(() => session.destroy(), withinMs);
    session.once('connect', (_session, socket) => {
      clearTimeout(timer);
      this.#connected = true;
      // Node ends its half after the last call of a connection that goes, and then waits for the model's for good.
      socket.once('finish', () => socket.destroy());
      // A caller who does not read stops its own call, not those of others.
      session.setLocalWindowSize(Math.min(callsMax * streamWindow, windowMax));
    });
    session.once('remoteSettings', () => {
      this.#spoke = true;
      onSpoke();
    });
    session.once('close', () => clearTimeout(timer));
    // Each call hears of it by itself.
    session.on('error', () => {});
  }

  /** Whether it takes another call. */
  get usable(): boolean {
    return !this.session.closed && !this.session.destroyed;
  }

  /** Whether it is gone, had answered before, and has not since then: what was written to it reached nobody. */
  silentSince(openedAt: number): boolean {
    return this.session.destroyed && this.heardAt > 0 && this.heardAt < openedAt;
  }

  request(headers: OutgoingHttpHeaders, endStream: boolean): ClientHttp2Stream {
    const stream = this.session.request(headers, { endStream, waitForTrailers: !endStream });
    if (++this.#calls >= callsEver) this.session.close();
    return stream;
  }

  /** Why a call on it ended without an answer. */
  failed(error: Error | undefined): UpstreamFailure {
    if (!this.#connected) return 'unreachable';
    const foreign = !this.#spoke && (error as NodeJS.ErrnoException | undefined)?.code === 'ERR_HTTP2_ERROR';
    return foreign ? 'protocol' : 'reset';
  }

  /** What its caller is told of it. */
  failure(error: Error | undefined): ErrorCode {
    return codeOfFailure(this.failed(error));
  }
}
