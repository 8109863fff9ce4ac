import type { Socket } from 'node:net';
import { CollectedBytes } from '../http/collected-bytes.ts';
import { buildConnector, Client, type Dispatcher, Pool } from './http-client.ts';

/** What the model answered, whole. */
export interface UpstreamReply {
  readonly status: number;
  readonly headers: string[];
  readonly body: Buffer;
  /** Of a gRPC call, whose status is that of gRPC. */
  readonly trailers?: string[];
}

/** Why there is no answer. */
export type UpstreamFailure = 'unreachable' | 'reset' | 'timeout' | 'aborted' | 'too-large' | 'invalid' | 'protocol';

export type UpstreamEnd = UpstreamReply | { failure: UpstreamFailure };

/** A reply above this is not held in memory. */
const replyMax = 256 * 1024 * 1024;
/**
 * A kept connection that dies this soon after a call was written had been closed before the call arrived: the reset comes
 * back in one round trip. Later the model may have read the call, and it is not sent again.
 */
export const deadConnectionMs = 10;

/** How long the model may take to accept a connection, whatever is to be sent on it. */
export const connectMs = 2000;

/** Calls to the model server: kept connections, whole bodies, one retry where no byte reached the model. */
export class Upstream {
  readonly #origin: string;
  readonly #pool: Pool;
  readonly #mayRetry: () => boolean;
  readonly #connectMs: number;

  /** @param mayRetry is asked before a call is sent again because its kept connection was dead. */
  constructor(origin: URL, connections: number, mayRetry: () => boolean, connectWithinMs = connectMs) {
    this.#connectMs = connectWithinMs;
    this.#origin = origin.origin;
    this.#mayRetry = mayRetry;
    this.#pool = new Pool(this.#origin, {
      connections,
      pipelining: 1,
      connect: markingConnector(connectWithinMs),
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /**
   * Sends one call, its body in slices. `done` is called once; the returned function cancels the call and ends it as
   * `aborted`.
   */
  send(path: string, headers: string[], slices: readonly Buffer[], done: (end: UpstreamEnd) => void): () => void {
    const call = new Call(done);
    const body = slices.length === 1 ? (slices[0] as Buffer) : new SlicedBody(slices);
    // Of a body in slices undici cannot tell the length.
    if (slices.length > 1) headers.push('content-length', String(lengthOf(slices)));
    const options = { path, method: 'POST' as const, headers, body: body as Buffer, reset: false };
    call.onDeadConnection = () => {
      if (!this.#mayRetry()) return false;
      // A connection of its own: another kept one may be as dead.
      sendOnOwnConnection(this.#origin, options, call, this.#connectMs, 0);
      return true;
    };
    try {
      this.#pool.dispatch(options, call);
    } catch {
      call.end({ failure: 'invalid' });
    }
    return () => call.cancel();
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/**
 * Sends a call on a connection that it has for itself.
 *
 * @param connectWithinMs how long the model may take to accept it
 * @param silentMs how long the model may be silent then; 0: for ever
 */
export function sendOnOwnConnection(
  origin: string,
  options: Dispatcher.DispatchOptions,
  handler: Dispatcher.DispatchHandler,
  connectWithinMs: number,
  silentMs: number,
): void {
  const connect = { timeout: connectWithinMs };
  const client = new Client(origin, { connect, headersTimeout: silentMs, bodyTimeout: silentMs });
  client.dispatch({ ...options, reset: true }, handler);
  void client.close().catch(() => {});
}

/** A body that is written slice by slice, and again from its beginning where a call is sent again. */
class SlicedBody {
  readonly #slices: readonly Buffer[];

  constructor(slices: readonly Buffer[]) {
    this.#slices = slices;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    yield* this.#slices;
  }
}

/** One call and its one end. */
class Call implements Dispatcher.DispatchHandler {
  /** Sends it again, where that may be. */
  onDeadConnection: (() => boolean) | undefined;
  readonly #done: (end: UpstreamEnd) => void;
  readonly #collected = new CollectedBytes();
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #headers: string[] = [];
  #startedAt = 0;
  #ended = false;
  #cancelled = false;

  constructor(done: (end: UpstreamEnd) => void) {
    this.#done = done;
  }

  cancel(): void {
    this.#cancelled = true;
    // It ends as cancelled before the abort comes back as an error of the connection.
    this.end({ failure: 'aborted' });
    this.#controller?.abort(new Error('cancelled'));
  }

  end(end: UpstreamEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#done(end);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#startedAt = performance.now();
    if (this.#cancelled) controller.abort(new Error('cancelled'));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = rawHeadersOf(controller);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#collected.add(chunk);
    if (this.#collected.length > replyMax) {
      this.end({ failure: 'too-large' });
      controller.abort(new Error('the reply is too large'));
    }
  }

  onResponseEnd(): void {
    this.end({ status: this.#status, headers: this.#headers, body: this.#collected.whole() });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#ended) return;
    const retry = this.onDeadConnection;
    if (retry && this.#status === 0 && diedUnheard(error, this.#startedAt)) {
      this.onDeadConnection = undefined;
      if (retry()) return;
    }
    this.end({ failure: failureOf(error) });
  }
}

/** Bytes of a body in slices. */
export function lengthOf(slices: readonly Buffer[]): number {
  return slices.reduce((sum, slice) => sum + slice.length, 0);
}

/** What went wrong, from the codes of undici and of the operating system. */
export function failureOf(error: Error): UpstreamFailure {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (/^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/.test(code))
    return 'unreachable';
  if (/^UND_ERR_(HEADERS|BODY)_TIMEOUT$/.test(code)) return 'timeout';
  if (/^UND_ERR_(INVALID_ARG|NOT_SUPPORTED|REQ_CONTENT_LENGTH_MISMATCH)$/.test(code)) return 'invalid';
  if (code === 'UND_ERR_ABORTED') return 'aborted';
  return 'reset';
}

/** The reply's headers as they came: a flat list of names and values. */
export function rawHeadersOf(controller: Dispatcher.DispatchController): string[] {
  const raw = (controller as { rawHeaders?: (Buffer | string)[] | null }).rawHeaders ?? [];
  return raw.map((each) => (typeof each === 'string' ? each : each.toString('latin1')));
}

const unanswered = new WeakSet<Error>();

/**
 * Whether a call that began then met a connection which had been closed before: it had answered, but not a byte to this
 * call, no byte of which reached the model.
 */
export function diedUnheard(error: Error, startedAt: number): boolean {
  return performance.now() - startedAt < deadConnectionMs && unanswered.has(error);
}

/** Errors of the operating system do not say which connection they belong to, so each socket marks its own. */
export function markingConnector(connectWithinMs: number): buildConnector.connector {
  const connect = buildConnector({ timeout: connectWithinMs, keepAlive: true });
  return (options, callback) => {
    connect(options, (...result) => {
      const socket = result[1];
      if (socket) markErrors(socket);
      callback(...result);
    });
  };
}

function markErrors(socket: Socket): void {
  const write = socket.write;
  let readBefore = 0;
  socket.write = function (this: Socket, ...args: unknown[]) {
    readBefore = socket.bytesRead;
    return write.apply(this, args as Parameters<Socket['write']>);
  };
  socket.prependListener('error', (error: Error) => {
    if (socket.bytesRead > 0 && socket.bytesRead === readBefore) unanswered.add(error);
  });
}
