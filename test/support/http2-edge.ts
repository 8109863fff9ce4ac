import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import * as assert from 'uvu/assert';
import { Listener } from '../../src/companion/listening/listener.ts';
import { PassThrough } from '../../src/companion/passing/pass-through.ts';
import { Circuit } from '../../src/companion/upstream/circuit.ts';
import { strictGuard } from './strict-guard.ts';

/** What came back on a stream. `raw` are the pairs of the headers and of the trailers as they came. */
export interface StreamAnswer {
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly trailers: IncomingHttpHeaders;
  readonly rawTrailers: readonly string[];
  readonly body: Buffer;
  readonly rstCode: number | undefined;
  /** The headers ended the stream. */
  readonly trailersOnly: boolean;
}

/** A listener and a pass-through in front of a model that speaks HTTP/2, and a caller's connection. */
export interface Http2Edge {
  readonly caller: ClientHttp2Session;
  readonly port: number;
  readonly pass: PassThrough;
  readonly results: string[];
  /** Connections that the model has seen; the last one is the newest. */
  readonly sessions: ServerHttp2Session[];
  /** Stops the model, and starts it again on the same port. */
  stopModel(): Promise<void>;
  startModel(): Promise<void>;
  call(headers?: OutgoingHttpHeaders): ClientHttp2Stream;
}

/** MB: tests write whole messages at once. */
const maxSessionMemory = 256;
const grpc = { ':method': 'POST', ':path': '/inference.M/Infer', 'content-type': 'application/grpc', te: 'trailers' };

/** Runs a body with an edge whose model is written by the test, and stops it whatever happens. */
export async function withHttp2Edge(
  serve: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: string[]) => void,
  body: (edge: Http2Edge) => Promise<void>,
  max = 64,
): Promise<void> {
  const sessions: ServerHttp2Session[] = [];
  let modelPort = 0;
  let model = createServer();
  const startModel = async () => {
    model = createServer({ maxSessionMemory });
    model.on('session', (session) => {
      sessions.push(session);
      session.on('error', () => {});
    });
    model.on('stream', (stream, headers, _flags, raw?: string[]) => {
      stream.on('error', () => {});
      serve(stream, headers, raw ?? []);
    });
    await new Promise<void>((resolve) => model.listen(modelPort, '127.0.0.1', resolve));
    modelPort = (model.address() as AddressInfo).port;
  };
  const stopModel = () =>
    new Promise<void>((resolve) => {
      model.close(() => resolve());
      for (const session of sessions) session.destroy();
    });
  await startModel();
  const results: string[] = [];
  const { guard, caught } = strictGuard();
  const terms = { circuit: new Circuit(), called: () => {}, mayResend: () => true, guard };
  const upstream = new URL(`http://127.0.0.1:${modelPort}`);
  const pass = new PassThrough(upstream, max, (result) => results.push(result), {}, terms);
  const listener = new Listener({
    request: (request, response) => {
      request.on('error', () => {});
      response.on('error', () => {});
      pass.forward(request, response);
    },
    upgrade: () => {},
  });
  const port = await listener.listen(0, '127.0.0.1');
  const caller = connect(`http://127.0.0.1:${port}`, { maxSessionMemory });
  caller.on('error', () => {});
  try {
    const call = (headers: OutgoingHttpHeaders = {}) => caller.request({ ...grpc, ...headers });
    await body({ caller, port, pass, results, sessions, stopModel, startModel, call });
    assert.equal(caught, [], 'failures of our own');
  } finally {
    caller.destroy();
    listener.destroy();
    await pass.close();
    await stopModel();
  }
}

/** The whole answer on a stream. */
export function answerOf(stream: ClientHttp2Stream): Promise<StreamAnswer> {
  return new Promise((resolve) => {
    let headers: IncomingHttpHeaders = {};
    let rawHeaders: readonly string[] = [];
    let trailers: IncomingHttpHeaders = {};
    let rawTrailers: readonly string[] = [];
    let trailersOnly = false;
    const chunks: Buffer[] = [];
    stream.on('response', (seen, flags, raw?: string[]) => {
      headers = seen;
      rawHeaders = raw ?? [];
      trailersOnly = (flags & 1) !== 0;
    });
    stream.on('trailers', (seen, _flags, raw?: string[]) => {
      trailers = seen;
      rawTrailers = raw ?? [];
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => {});
    stream.on('close', () => {
      const body = Buffer.concat(chunks);
      resolve({ headers, rawHeaders, trailers, rawTrailers, body, rstCode: stream.rstCode, trailersOnly });
    });
  });
}

/** A message in the frame that gRPC puts around it: flag, length. */
export function framed(message: Buffer | string): Buffer {
  const bytes = Buffer.from(message);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}
