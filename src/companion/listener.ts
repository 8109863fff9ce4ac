import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Session } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { type ErrorCode, errorBody, errorSpecs } from './errors.ts';

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

/** One port for HTTP/1.1 and h2c: the first bytes of a connection say which it is. */
export class Listener {
  readonly #tcp = createTcpServer({ noDelay: true }, (socket) => this.#sniff(socket));
  readonly #http1: Server;
  readonly #http2: Http2Server;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor(handlers: ListenerHandlers) {
    this.#http1 = createHttpServer(
      {
        keepAliveTimeout: keepAliveMs,
        headersTimeout: 15_000,
        requestTimeout: 300_000,
        maxHeaderSize: headersMaxBytes,
        noDelay: true,
      },
      handlers.request,
    );
    this.#http1.on('upgrade', handlers.upgrade);
    this.#http1.on('clientError', refuseRaw);
    this.#http2 = createHttp2Server({
      settings: { maxConcurrentStreams: 1000, maxHeaderListSize: headersMaxBytes },
      maxSessionRejectedStreams: 100,
      maxSessionInvalidFrames: 100,
    });
    this.#http2.on('request', handlers.request as never);
    this.#http2.on('session', (session) => {
      this.#sessions.add(session);
      session.on('close', () => this.#sessions.delete(session));
      session.on('error', () => session.destroy());
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
    this.#http1.closeIdleConnections();
    for (const session of this.#sessions) session.close();
  }

  /** Closes everything. */
  destroy(): void {
    this.#tcp.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #sniff(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    const onError = () => socket.destroy();
    const onTimeout = () => socket.destroy();
    socket.on('error', onError);
    socket.setTimeout(keepAliveMs, onTimeout);
    let seen: Buffer = Buffer.alloc(0);
    const onReadable = () => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const start = seen.toString('latin1', 0, preface.length);
      if (seen.length < preface.length && preface.startsWith(start)) return;
      socket.off('readable', onReadable);
      socket.off('timeout', onTimeout);
      socket.setTimeout(0);
      socket.off('error', onError);
      socket.unshift(seen);
      (start === preface ? this.#http2 : this.#http1).emit('connection', socket);
    };
    socket.on('readable', onReadable);
  }
}

/** Answers what is not HTTP, as far as a broken connection can be answered. */
function refuseRaw(
  error: NodeJS.ErrnoException,
  stream: NodeJS.WritableStream & { destroy(): void; writable: boolean },
): void {
  if (error.code === 'ECONNRESET' || !stream.writable) return stream.destroy();
  const code: ErrorCode =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 'PL_HEADERS_TOO_LARGE'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 'PL_BODY_TIMEOUT'
        : 'PL_HTTP_SYNTAX';
  const body = errorBody(code);
  stream.end(
    `HTTP/1.1 ${errorSpecs[code].status} Error\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );
}
