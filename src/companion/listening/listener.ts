import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Session } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { writeError } from '../answering/http-answer.ts';
import { endWithError } from '../answering/raw-answer.ts';
import type { ErrorCode } from '../errors.ts';
import { watchSession } from './session-watch.ts';
import { headWithoutOffer, isIgnoredOffer } from './upgrade-offer.ts';

/** What comes in. */
export interface ListenerHandlers {
  request(request: IncomingMessage, response: ServerResponse): void;
  upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void;
}

/** How every HTTP/2 connection begins; no HTTP/1 request begins with it. */
const preface = 'PRI';
/** Longer than Go's and Envoy's clients keep an idle connection, so that they close it and not we. */
const keepAliveMs = 150_000;
const headersMaxBytes = 65_536;
/** Headers of one request. Go and Envoy take as many, and no honest caller sends a quarter of them. */
const headersMax = 256;
/** A caller that takes nothing of an answer for so long is gone. */
const unreadMs = 60_000;
/** Beyond so many the one that was silent longest makes room. */
const connectionsMax = 8192;
/** How many requests one HTTP/2 connection may give up, at once and each second, until it is closed. Callers who give up
 * when their time is over do so by the hundred. */
const resets = { burst: 10_000, perSecond: 1000 };
const nothing = Buffer.alloc(0);
/** A caller that is gone without a word is found out: a stream of gRPC may last for days. */
const tcpOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 };
/** Bytes: what one HTTP/2 connection may have sent that nobody has read. One slow upload leaves room for others beside it. */
const connectionWindow = 16 * 1024 * 1024;
/** MB: what may wait on one HTTP/2 connection. Beyond it Node refuses streams; its 10 are 160 slow replies. */
const sessionMegabytes = 256;

/** Bounds of a listener. Times in ms. */
export interface ListenerLimits {
  /** How long the head of a request may take. */
  readonly headersTimeoutMs: number;
  /** How long a caller may take nothing of an answer that is there for it. */
  readonly unreadMs: number;
  /** How long a connection may have nothing to do. */
  readonly idleMs: number;
  /** How long a caller may keep its end of a connection over HTTP/2 open after ours has ended. */
  readonly lingerMs: number;
  readonly connections: number;
}

/** One port for HTTP/1.1 and h2c: the first bytes of a connection say which it is. */
export class Listener {
  readonly #tcp = createTcpServer(tcpOptions, (socket) => this.#sniff(socket));
  readonly #http1: Server;
  readonly #http2: Http2Server;
  readonly #sockets = new Set<Socket>();
  /** Connections that have not said anything yet. */
  readonly #silent = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();
  /** Connections of which nothing more is served. */
  readonly #over = new WeakSet<object>();
  /** The latest response of each HTTP/1.1 connection that has not ended. They go out in order: when it has, all have. */
  readonly #latest = new WeakMap<object, ServerResponse>();
  /** Of each connection, the answers that had others before them and have not ended. */
  readonly #waiting = new WeakMap<object, Set<ServerResponse>>();

  readonly #limits: ListenerLimits;
  readonly #handlers: ListenerHandlers;

  constructor(handlers: ListenerHandlers, limits: Partial<ListenerLimits> = {}) {
    this.#handlers = handlers;
    this.#limits = {
      ...{ headersTimeoutMs: 15_000, unreadMs, idleMs: keepAliveMs, lingerMs: 10_000, connections: connectionsMax },
      ...limits,
    };
    const { headersTimeoutMs, idleMs } = this.#limits;
    this.#http1 = createHttpServer(
      {
        keepAliveTimeout: idleMs,
        headersTimeout: headersTimeoutMs,
        // It would cut an upload that streams for long. Whoever reads a body watches that it does not stall.
        requestTimeout: 0,
        connectionsCheckingInterval: Math.min(5000, headersTimeoutMs),
        maxHeaderSize: headersMaxBytes,
        // Whatever the environment says.
        insecureHTTPParser: false,
        // Node would go on with what stands behind a request without one.
        requireHostHeader: false,
        noDelay: true,
      },
      (request, response) => this.#receive(request, response),
    );
    this.#http1.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      this.#continueInTurn(request.socket, response);
      this.#receive(request, response);
    });
    // Node would leave the rest out without a word: what is refused is counted here.
    this.#http1.maxHeadersCount = 0;
    this.#http1.timeout = this.#limits.unreadMs;
    this.#http1.on('timeout', (socket: Socket) => this.#quiet(socket));
    this.#http1.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      // The bound of answers that nobody takes is for requests: a tunnel may be quiet.
      socket.setTimeout(0);
      if (isIgnoredOffer(request)) this.#serveAsHttp1(request, socket, head);
      else handlers.upgrade(request, socket, head);
    });
    this.#http1.on('connect', (_request: IncomingMessage, socket: Socket) => endWithError(socket, 'PL_HTTP_METHOD'));
    this.#http1.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => this.#refuse(error, socket));
    // This server never listens, as connections are handed to it; without the event it checks no timeout and knows no
    // idle connection.
    this.#http1.emit('listening');
    this.#http2 = createHttp2Server({
      maxSessionMemory: sessionMegabytes,
      settings: { maxConcurrentStreams: 1000, maxHeaderListSize: headersMaxBytes },
      maxHeaderListPairs: headersMax,
      ...({ streamResetBurst: resets.burst, streamResetRate: resets.perSecond } as object),
      maxSessionRejectedStreams: 100,
      maxSessionInvalidFrames: 100,
    });
    this.#http2.on('request', handlers.request as never);
    this.#http2.on('connect', (_request, response) => writeError(response as never, 'PL_HTTP_METHOD'));
    this.#http2.on('session', (session) => {
      this.#sessions.add(session);
      session.setLocalWindowSize(connectionWindow);
      let streams = 0;
      const closed = () => streams--;
      session.on('stream', (stream) => {
        streams++;
        stream.on('close', closed);
      });
      // Without a stream it has nothing to do, whatever half a request it holds.
      session.setTimeout(idleMs, () => {
        if (streams === 0) session.destroy();
      });
      session.on('close', () => this.#sessions.delete(session));
      session.on('error', () => session.destroy());
      watchSession(session);
    });
  }

  /** @throws when the port is taken. */
  listen(port: number, host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#tcp.once('error', reject);
      this.#tcp.listen(port, host, () => resolve((this.#tcp.address() as AddressInfo).port));
    });
  }

  /** Takes no new connection, lets what runs end, and closes idle connections. */
  drain(): void {
    this.#tcp.close();
    for (const socket of this.#silent) socket.destroy();
    this.#http1.closeIdleConnections();
    for (const session of this.#sessions) session.close();
  }

  /** Closes everything. */
  destroy(): void {
    this.#tcp.close();
    this.#http1.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Nothing was read or written for a while: a caller that takes nothing, or a connection with nothing to do. */
  #quiet(socket: Socket): void {
    if (socket.writableLength > 0 || !this.#before(socket)) socket.destroy();
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    // What stands behind a request that is refused for its framing may be a part of it.
    if (this.#over.has(request.socket)) return;
    // One that was written in one go is finished before Node lets go of it, and holds up the next one meanwhile.
    if (this.#latest.has(request.socket)) this.#waitInTurn(request.socket, response);
    this.#noteLatest(request.socket, response);
    const wrong = whatIsWrong(request);
    if (wrong) return this.#answerWrong(response, wrong);
    this.#handlers.request(request, response);
  }

  /** Once it has ended it is let go: with it goes the head of its request, which may be large, and the connection idle for long. */
  #noteLatest(socket: Socket, response: ServerResponse): void {
    this.#latest.set(socket, response);
    response.once('finish', () => {
      if (this.#latest.get(socket) === response) this.#latest.delete(socket);
    });
  }

  /** The answer that has to go out before any other of this connection; undefined where all have ended. */
  #before(socket: object): ServerResponse | undefined {
    const latest = this.#latest.get(socket);
    return latest?.writableFinished ? undefined : latest;
  }

  /** An answer behind another one: Node says nothing to it when the connection ends before its turn. */
  #waitInTurn(socket: Socket, response: ServerResponse): void {
    let waiting = this.#waiting.get(socket);
    if (!waiting) {
      const all = new Set<ServerResponse>();
      waiting = all;
      this.#waiting.set(socket, all);
      // Whoever had its turn has heard by then.
      const tell = () => {
        for (const each of all) {
          each.destroy();
          each.emit('close');
        }
      };
      socket.once('close', () => setImmediate(tell));
    }
    waiting.add(response);
    response.once('close', () => waiting.delete(response));
  }

  /**
   * Tells a caller who waits for it to send its body (`Expect: 100-continue`), once the answers before it on the same connection
   * have gone out: Node would put the word between the head and the body of this one's answer.
   */
  #continueInTurn(socket: Socket, response: ServerResponse): void {
    const tell = () => {
      if (!response.headersSent && !response.destroyed) response.writeContinue();
    };
    const before = this.#before(socket);
    if (before) before.once('finish', tell);
    else tell();
  }

  #answerWrong(response: ServerResponse, code: ErrorCode): void {
    this.#over.add(response.req.socket);
    response.shouldKeepAlive = false;
    writeError(response, code);
  }

  #sniff(socket: Socket): void {
    if (this.#sockets.size >= this.#limits.connections) {
      const [longest] = this.#silent;
      (longest ?? socket).destroy();
      if (!longest) return;
    }
    this.#sockets.add(socket);
    this.#silent.add(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#silent.delete(socket);
    });
    const onError = () => socket.destroy();
    const onTimeout = () => socket.destroy();
    socket.on('error', onError);
    socket.setTimeout(this.#limits.idleMs, onTimeout);
    let seen: Buffer = nothing;
    const onReadable = () => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      this.#silent.delete(socket);
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const start = seen.toString('latin1', 0, preface.length);
      if (seen.length < preface.length && preface.startsWith(start)) {
        socket.setTimeout(this.#limits.headersTimeoutMs);
        return;
      }
      socket.off('readable', onReadable);
      socket.off('timeout', onTimeout);
      socket.setTimeout(0);
      socket.off('error', onError);
      socket.unshift(seen);
      // What listens for the end of the connection would keep it until then.
      seen = nothing;
      if (start === preface) socket.once('finish', () => this.#linger(socket));
      (start === preface ? this.#http2 : this.#http1).emit('connection', socket);
    };
    socket.on('readable', onReadable);
  }

  /**
   * Closes a connection whose session has ended, once its caller has had time to read what was on its way: Node waits for the
   * caller's end for good.
   */
  #linger(socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), this.#limits.lingerMs).unref();
    socket.once('close', () => clearTimeout(timer));
  }

  /** Gives a connection back to the HTTP/1.1 server as if its caller had not offered another protocol. */
  #serveAsHttp1(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.unshift(Buffer.concat([headWithoutOffer(request), head]));
    this.#http1.emit('connection', socket);
  }

  /** Answers what is not HTTP, as far as a broken connection can be answered. */
  #refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    // It has its answer already.
    if (this.#over.has(socket)) return void socket.destroySoon();
    const latest = this.#latest.get(socket);
    if (error.code === 'ECONNRESET' || (latest && !mayAnswerInstead(latest, socket))) {
      socket.destroy();
      return;
    }
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT')
      return endWithError(socket, 'PL_BODY_TIMEOUT', 'the headers took too long to arrive');
    const code: ErrorCode = error.code === 'HPE_HEADER_OVERFLOW' ? 'PL_HEADERS_TOO_LARGE' : 'PL_HTTP_SYNTAX';
    endWithError(socket, code);
  }
}

/**
 * Whether an error may be written to a connection whose latest response is this one: it is over, or it is the next to go
 * out, nothing of it has gone, and it is its own request that broke. Else the error would land inside an answer, or pass
 * for the answer to a sound request.
 */
function mayAnswerInstead(latest: ServerResponse, socket: Socket): boolean {
  if (latest.writableFinished) return true;
  return latest.socket === socket && !latest.headersSent && !latest.req.complete;
}

/** What no server should serve, though a parser takes it. */
function whatIsWrong(request: IncomingMessage): ErrorCode | undefined {
  if (request.rawHeaders.length > 2 * headersMax) return 'PL_HEADERS_TOO_LARGE';
  if (hostsIn(request.rawHeaders) !== 1 && (request.httpVersionMinor > 0 || request.headers.host !== undefined))
    return 'PL_HTTP_SYNTAX';
  // A line without a version has no headers behind it, and no answer that begins with one.
  if (request.httpVersionMajor < 1) return 'PL_HTTP_SYNTAX';
  const encoding = request.headers['transfer-encoding'];
  if (encoding === undefined) return undefined;
  // HTTP/1.0 knows no chunks, and an empty encoding beside a length passes the parser: others would cut such a body elsewhere
  // (RFC 9112, 6.1).
  const sound = request.httpVersionMinor > 0 && request.headers['content-length'] === undefined && encoding !== '';
  return sound ? undefined : 'PL_HTTP_SYNTAX';
}

function hostsIn(raw: readonly string[]): number {
  let hosts = 0;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++;
  }
  return hosts;
}
