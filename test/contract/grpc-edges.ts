// The two ends of a companion over gRPC: a server and a client of @grpc/grpc-js, which know nothing of our code.
import * as grpc from '@grpc/grpc-js';
import { startRig } from '../support/companion.ts';
import type { Driver } from './asked.ts';
import { type CallerAnswer, type Edges, Ledger, type ModelCall, unhurried } from './edges.ts';

const path = '/inference.GRPCInferenceService/ModelInfer';
const same = (bytes: Buffer) => bytes;
/** Headers of HTTP/1.1 that a gRPC caller does not set by itself. */
const transport = new Set(['host', 'content-type', 'user-agent', 'grpc-timeout']);

/** What of a call only gRPC has. */
export interface GrpcEdges extends Edges {
  readonly client: grpc.Client;
  readonly server: grpc.Server;
  /** Metadata of the answers, first and last. */
  readonly begin: grpc.Metadata;
  readonly end: grpc.Metadata;
  /** Calls that were cancelled at the model. */
  readonly cancelled: { count: number };
}

/** Runs a body between a model and a caller over gRPC. */
export async function withGrpcEdges(
  driver: Driver,
  flags: Record<string, string>,
  body: (edges: GrpcEdges) => Promise<void>,
  name = 'm',
): Promise<void> {
  const ledger = new Ledger();
  const begin = new grpc.Metadata();
  const end = new grpc.Metadata();
  const cancelled = { count: 0 };
  const server = new grpc.Server({ 'grpc.max_receive_message_length': 64 * 1024 * 1024 });
  const infer = (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
    const headers = Object.fromEntries(Object.entries(call.metadata.getMap()).map(([key, value]) => [key, `${value}`]));
    const seen = driver.read(call.request, undefined);
    const deadline = call.getDeadline();
    const left = deadline instanceof Date ? deadline.getTime() - Date.now() : Number(deadline) - Date.now();
    const at: ModelCall = {
      url: path,
      headers: { ...headers, 'x-left-ms': Number.isFinite(left) ? String(left) : '' },
      seen,
      body: call.request,
    };
    call.on('cancelled', () => {
      cancelled.count++;
    });
    ledger.note(at, () => {
      const refused = edges.refuse(at);
      if (refused !== undefined) return answer({ code: refused, details: 'the model refuses: 50 %' });
      call.sendMetadata(begin);
      answer(null, driver.answer(seen, name).body, end);
    });
  };
  server.register(path, infer as never, same, same, 'unary');
  const modelPort = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const rig = await startRig({ upstream: `http://127.0.0.1:${modelPort}`, ...unhurried, ...flags });
  const client = new grpc.Client(`127.0.0.1:${rig.port}`, grpc.credentials.createInsecure(), {
    'grpc.max_receive_message_length': 64 * 1024 * 1024,
    'grpc.enable_retries': 0,
  });
  const edges: GrpcEdges = {
    rig,
    calls: ledger.calls,
    client,
    server,
    begin,
    end,
    cancelled,
    refuse: () => undefined,
    hold: () => ledger.hold(),
    call: ({ headers, body: sent }) => callInfer(client, sent, metadataOf(headers)).answer,
  };
  try {
    await body(edges);
  } finally {
    client.close();
    await rig.stop();
    server.forceShutdown();
  }
}

/** One call, and what cancels it. */
export function callInfer(
  client: grpc.Client,
  message: Buffer,
  metadata = new grpc.Metadata(),
  options: grpc.CallOptions = {},
): { answer: Promise<CallerAnswer>; cancel: () => void } {
  let cancel = () => {};
  const answer = new Promise<CallerAnswer>((resolve) => {
    const headers: Record<string, string> = {};
    const note = (more: grpc.Metadata) => {
      for (const [key, value] of Object.entries(more.getMap())) headers[key] = String(value);
    };
    let reply: Buffer = Buffer.alloc(0);
    const call = client.makeUnaryRequest(path, same, same, message, metadata, options, (_error, value) => {
      reply = value ?? reply;
    });
    call.on('metadata', note);
    call.on('status', (ended) => {
      note(ended.metadata);
      // The value comes with the callback, in the same turn.
      setImmediate(() => resolve({ status: ended.code, headers, body: reply, message: ended.details }));
    });
    cancel = () => call.cancel();
  });
  return { answer, cancel };
}

function metadataOf(headers: readonly string[]): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (let i = 0; i < headers.length; i += 2) {
    const key = headers[i] as string;
    if (!transport.has(key)) metadata.add(key, headers[i + 1] as string);
  }
  return metadata;
}
