import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  constants,
  createServer as createHttp2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import type { FaultName, FaultyReply, Transport } from './fault-model.ts';
import { replyOverGrpc } from './grpc-replies.ts';
import { replyOverHttp } from './http-replies.ts';

/** A call as it came to the model, whole. */
export interface FaultyCall {
  readonly transport: Transport;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** What a test decides, and hears. */
export interface FaultyModel {
  /** Before the body has come: only faults that happen there, or `ok`. */
  atHead(transport: Transport, headers: IncomingHttpHeaders): FaultName;
  /** The call came whole: what goes wrong with it. */
  fault(call: FaultyCall): FaultName;
  /** The reply; with rows of its own where the fault says so. */
  reply(call: FaultyCall, fault: FaultName): FaultyReply;
  /** A connection was closed with these calls on it, whose replies may be lost, and perhaps with others that nobody has read. */
  closed(transport: Transport, calls: readonly FaultyCall[]): void;
  /** A call came on a connection of which it was said that it takes no more: it was not begun. */
  refused(headers: IncomingHttpHeaders): void;
  /** What came is neither HTTP/1.1 nor HTTP/2. */
  malformed(error: Error): void;
}

/** A model on one port for HTTP/1.1 and for gRPC over h2c, over real sockets, that fails in all ways of the fault model. */
export class FaultyUpstream {
  readonly #model: FaultyModel;
  /** Of one call in ms. */
  readonly #timeMs: number;
  readonly #connections = new Set<Connection>();
  readonly #ofSocket = new WeakMap<object, Connection>();
  /** The connection that was given to the HTTP/2 server in this turn: a session shows a proxy of its socket only. */
  #newest: Connection | undefined;
  /** Takes headers as long as the companion takes them, and those that it adds. */
  readonly #http = createServer({ keepAliveTimeout: 0, maxHeaderSize: 131_072 }, (request, response) =>
    this.#overHttp(request, response),
  );
  readonly #http2 = createHttp2Server({ maxSessionMemory: 256 });
  readonly #tcp = createTcpServer({ noDelay: true }, (socket) => this.#sniff(socket));

  constructor(model: FaultyModel, timeMs: number) {
    this.#model = model;
    this.#timeMs = timeMs;
    this.#http.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      socket.destroy();
      // Whoever hangs up amid a request is no worse than that.
      if (error.code?.startsWith('HPE_') && error.code !== 'HPE_INVALID_EOF_STATE') model.malformed(error);
    });
    this.#http2.on('session', (session) => {
      session.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ERR_HTTP2_ERROR' || error.code === 'ERR_HTTP2_SESSION_ERROR') model.malformed(error);
      });
      const connection = this.#newest as Connection;
      connection.session = session;
      session.on('stream', (stream, headers) => {
        stream.on('error', () => {});
        this.#overGrpc(connection, stream, headers);
      });
    });
  }

  async start(port = 0): Promise<number> {
    await new Promise<void>((resolve) => this.#tcp.listen(port, '127.0.0.1', resolve));
    return (this.#tcp.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const { socket } of this.#connections) socket.destroy();
    await new Promise((resolve) => this.#tcp.close(resolve));
  }

  /** Closes every connection, as a server does that starts again. */
  closeConnections(): void {
    for (const connection of [...this.#connections]) this.#kill(connection, false);
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#connections.size;
  }

  #sniff(socket: Socket): void {
    const connection: Connection = { socket, session: undefined, goes: false, open: new Set() };
    this.#connections.add(connection);
    this.#ofSocket.set(socket, connection);
    socket.on('error', () => {});
    socket.on('close', () => this.#connections.delete(connection));
    const onReadable = () => {
      const first = socket.read() as Buffer | null;
      if (first === null) return;
      socket.off('readable', onReadable);
      socket.unshift(first);
      const server = first.toString('latin1', 0, 3) === 'PRI' ? this.#http2 : this.#http;
      this.#newest = connection;
      server.emit('connection', socket);
    };
    socket.on('readable', onReadable);
  }

  #kill(connection: Connection, reset: boolean): void {
    const kill = () => {
      if (connection.socket.destroyed) return;
      this.#model.closed(connection.session ? 'grpc' : 'http', [...connection.open]);
      if (reset) connection.socket.resetAndDestroy();
      else connection.socket.destroy();
      connection.session?.destroy();
    };
    // Destroyed while Node reads frames, a session ends the process at the next call among them.
    if (connection.session) setImmediate(kill);
    else kill();
  }

  #overHttp(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#ofSocket.get(request.socket) as Connection;
    request.on('error', () => {});
    response.on('error', () => {});
    // Whether it is ready it says without fault.
    if (request.method === 'GET') return void response.end('{}');
    const early = this.#model.atHead('http', request.headers);
    if (early === 'kill-at-head') return this.#kill(connection, false);
    const chunks: Buffer[] = [];
    const read = () => {
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { url = '', headers } = request;
        const call: FaultyCall = { transport: 'http', url, headers, body: Buffer.concat(chunks) };
        this.#serve(connection, call, response, (fault, reply) =>
          replyOverHttp(fault, reply, response, () => this.#kill(connection, fault.startsWith('reset'))),
        );
      });
    };
    if (early === 'read-slowly') setTimeout(read, slowMs);
    else read();
  }

  #overGrpc(connection: Connection, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    if (connection.goes) {
      this.#model.refused(headers);
      return stream.close(constants.NGHTTP2_REFUSED_STREAM);
    }
    const early = this.#model.atHead('grpc', headers);
    if (early === 'kill-at-head') return this.#kill(connection, false);
    const chunks: Buffer[] = [];
    const read = () => {
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        if (stream.aborted || stream.destroyed) return;
        const url = String(headers[':path']);
        const call: FaultyCall = { transport: 'grpc', url, headers, body: Buffer.concat(chunks) };
        this.#serve(connection, call, stream, (fault, reply) =>
          replyOverGrpc(fault, reply, stream, {
            kill: () => this.#kill(connection, false),
            goAway: () => goAway(connection),
          }),
        );
      });
    };
    if (early === 'read-slowly') setTimeout(read, slowMs);
    else read();
  }

  #serve(
    connection: Connection,
    call: FaultyCall,
    to: ServerResponse | ServerHttp2Stream,
    act: (fault: FaultName, reply: FaultyReply) => void,
  ): void {
    connection.open.add(call);
    to.on('close', () => connection.open.delete(call));
    const fault = this.#model.fault(call);
    setTimeout(() => {
      if (to.destroyed) return;
      act(fault, this.#model.reply(call, fault));
    }, this.#timeMs);
  }
}

/** Node's own way to end a session ends the process where a call with a body comes in the same turn. */
function goAway(connection: Connection): void {
  connection.goes = true;
  connection.session?.goaway();
}

/** How long a model that reads slowly waits before it does. */
const slowMs = 20;

interface Connection {
  readonly socket: Socket;
  session: ServerHttp2Session | undefined;
  /** It has said that it takes no more calls. */
  goes: boolean;
  /** Calls that came whole and whose replies are not known to be out. */
  readonly open: Set<FaultyCall>;
}
