import * as grpc from '@grpc/grpc-js';
import * as assert from 'uvu/assert';
import { decodeResponse, encodeRequest, type InferRequest } from '../../support/infer-messages.ts';
import { type Paceline, startCompanion } from './paceline.ts';
import { batchMeter } from './rest-rig.ts';

const same = (bytes: Buffer) => bytes;
const service = '/inference.GRPCInferenceService';
const generatedId = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
/** Metadata that belongs to a transport, or that the companion adds and says so. */
const ofTransport = [
  'date',
  'content-length',
  'server-timing',
  'x-request-id',
  'accept-encoding',
  'grpc-accept-encoding',
];

export interface GrpcCase {
  readonly name: string;
  /** ModelInfer where nothing is said; a path where the service is another one. */
  readonly method?: string;
  readonly body: Buffer;
}

/** What came back, in the bytes in which it came. */
export interface GrpcAnswer {
  readonly code: number;
  readonly details: string;
  readonly message: Buffer | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

export function inferCase(name: string, request: InferRequest): GrpcCase {
  return { name, body: encodeRequest(request) };
}

/** A client of one port. */
export class GrpcCaller {
  readonly client: grpc.Client;

  constructor(port: number) {
    this.client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      'grpc.max_receive_message_length': 64 * 1024 * 1024,
      'grpc.enable_retries': 0,
      // A channel of its own: clients of one process share channels otherwise.
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  call({ method = 'ModelInfer', body }: GrpcCase): Promise<GrpcAnswer> {
    const path = method.startsWith('/') ? method : `${service}/${method}`;
    return new Promise((resolve) => {
      const parts = { first: {}, last: {} };
      let message: Buffer | undefined;
      const call = this.client.makeUnaryRequest(path, same, same, body, new grpc.Metadata(), (error, value) => {
        message = value;
        if (error && !error.metadata) parts.last = {};
      });
      call.on('metadata', (metadata: grpc.Metadata) => {
        parts.first = shown(metadata);
      });
      call.on('status', ({ code, details, metadata }: grpc.StatusObject) => {
        parts.last = shown(metadata);
        // The answer's own turn comes first.
        setImmediate(() => resolve({ code, details, message, metadata: { ...parts.first, ...parts.last } }));
      });
    });
  }

  /** One request, and every message of the stream that answers it. */
  stream({ method = '', body }: GrpcCase): Promise<{ code: number; messages: Buffer[] }> {
    return new Promise((resolve) => {
      const messages: Buffer[] = [];
      const call = this.client.makeBidiStreamRequest(`${service}/${method}`, same, same);
      call.on('data', (message: Buffer) => messages.push(message));
      call.on('error', () => {});
      call.on('status', ({ code }) => setImmediate(() => resolve({ code, messages })));
      call.write(body);
      call.end();
    });
  }

  close(): void {
    this.client.close();
  }
}

function shown(metadata: grpc.Metadata): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata.getMap())
      .filter(([name]) => !ofTransport.includes(name))
      .map(([name, value]) => [name, `${value}`])
      .sort(),
  );
}

/** A model server's gRPC port, the companion in front of it, and a caller of each. */
export class GrpcRig {
  readonly companion: Paceline;
  readonly direct: GrpcCaller;
  readonly through: GrpcCaller;

  private constructor(companion: Paceline, model: number, front: number) {
    this.companion = companion;
    this.direct = new GrpcCaller(model);
    this.through = new GrpcCaller(front);
  }

  /** @param chain a companion that is there already, and the port of what stands in front of it. */
  static async start(model: number, chain?: { companion: Paceline; front: number }): Promise<GrpcRig> {
    if (chain) return new GrpcRig(chain.companion, model, chain.front);
    const probe = JSON.stringify({ tcpSocket: { host: '127.0.0.1', port: model } });
    const companion = await startCompanion(model, '--readiness-probe', probe);
    return new GrpcRig(companion, model, companion.port);
  }

  /** Asks the model itself and then through the companion, one call after the other, and compares. */
  async agree(cases: readonly GrpcCase[]): Promise<GrpcAnswer[]> {
    const answers: GrpcAnswer[] = [];
    for (const one of cases) {
      const direct = await this.direct.call(one);
      sameGrpc(one.name, await this.through.call(one), direct, { generatedIds: one.name.includes('without an id') });
      answers.push(direct);
    }
    return answers;
  }

  /** Asks the model one by one, then all at once through the companion, and compares. Batches must have formed. */
  async agreeAtOnce(cases: readonly GrpcCase[]): Promise<GrpcAnswer[]> {
    const direct: GrpcAnswer[] = [];
    for (const one of cases) direct.push(await this.direct.call(one));
    const meanBatch = await batchMeter(this.companion);
    const through = await Promise.all(cases.map((one) => this.through.call(one)));
    for (const [i, one] of cases.entries()) {
      sameGrpc(one.name, through[i] as GrpcAnswer, direct[i] as GrpcAnswer, { batched: true });
    }
    const mean = await meanBatch();
    console.log(`figure: ${cases.length} callers at once, ${cases[0]?.name}: ${mean.toFixed(1)} rows a batch`);
    assert.ok(mean > 1, `batches of ${mean} rows`);
    return through;
  }

  async stop(): Promise<void> {
    this.direct.close();
    this.through.close();
    await this.companion.stop();
  }
}

function sameGrpc(
  name: string,
  through: GrpcAnswer,
  direct: GrpcAnswer,
  tolerance: { generatedIds?: boolean; batched?: boolean } = {},
): void {
  const status = ({ code, details }: GrpcAnswer) => `${code} ${details}`;
  assert.is(status(through), status(direct), `${name}: status`);
  const bytes = (answer: GrpcAnswer) => {
    const text = answer.message?.toString('latin1');
    return tolerance.generatedIds ? text?.replace(generatedId, 'ID') : text;
  };
  if (bytes(through) !== bytes(direct)) {
    // protobuf keeps no order of the entries of a map: what differs in nothing else is the same message.
    const decoded = ({ message }: GrpcAnswer) => (message ? decodeResponse(message) : undefined);
    assert.equal(decoded(through), decoded(direct), `${name}: message`);
    assert.ok(hasMaps(direct.message), `${name}: bytes differ where no map is`);
  }
  if (tolerance.batched) return;
  const metadata = (answer: GrpcAnswer) =>
    Object.entries(answer.metadata).map(([key, value]) => [key, value.replace(generatedId, 'ID')]);
  assert.equal(metadata(through), metadata(direct), `${name}: metadata`);
}

function hasMaps(message: Buffer | undefined): boolean {
  if (message === undefined) return false;
  const { parameters = {}, outputs } = decodeResponse(message);
  const maps = [parameters, ...outputs.map((output) => output.parameters ?? {})];
  return maps.some((map) => Object.keys(map).length > 1);
}
