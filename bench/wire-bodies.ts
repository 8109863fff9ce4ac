import { Random } from '../src/simulator/random.ts';

/** One batch: the requests' bodies, the model's reply to all of them, and how many items the reply has. */
export interface WireBatch {
  readonly version: 'v1' | 'v2';
  readonly bodies: readonly Buffer[];
  readonly reply: Buffer;
}

interface V1Request {
  instances: unknown[];
}

interface V1Reply {
  predictions: unknown[];
}

interface Tensor {
  name: string;
  datatype: string;
  shape: number[];
  data: unknown[];
}

interface V2Request {
  id: string;
  inputs: Tensor[];
}

interface V2Reply {
  model_name: string;
  id: string;
  outputs: Tensor[];
}

/** `count` bodies of about `bytes` bytes and one item each, of numbers with six decimals, and a reply to them. */
export function batchOf(version: 'v1' | 'v2', bytes: number, count: number, seed = 1): WireBatch {
  const random = new Random(seed);
  const perReply = bytes < 1000 ? 3 : 10;
  const envelope = version === 'v1' ? v1Body([]) : v2Body('caller-10', []);
  const perRow = Math.max(1, Math.round((bytes - envelope.length) / 9));
  const row = (length: number) => Array.from({ length }, () => sixDecimals(random));
  const replies = Array.from({ length: count }, () => row(perReply));
  const bodies = Array.from({ length: count }, (_, i) =>
    version === 'v1' ? v1Body(row(perRow)) : v2Body(`caller-${10 + i}`, row(perRow)),
  );
  const reply =
    version === 'v1'
      ? `{"predictions":[${replies.map((each) => `[${each.join(',')}]`).join(',')}]}`
      : `{"model_name":"digits","id":"caller-10","outputs":[{"name":"scores","datatype":"FP32","shape":[${count},${perReply}],"data":[${replies.flat().join(',')}]}]}`;
  return { version, bodies: bodies.map((each) => Buffer.from(each)), reply: Buffer.from(reply) };
}

/** The same job with JSON.parse and JSON.stringify. */
export function plainJob(batch: WireBatch): { merged: Buffer; parts: Buffer[] } {
  return batch.version === 'v1' ? plainV1(batch) : plainV2(batch);
}

function plainV1(batch: WireBatch): { merged: Buffer; parts: Buffer[] } {
  const requests = batch.bodies.map((body) => JSON.parse(body.toString()) as V1Request);
  const instances = requests.flatMap((each) => each.instances);
  const merged = Buffer.from(JSON.stringify({ ...(requests[0] as V1Request), instances }));
  const reply = JSON.parse(batch.reply.toString()) as V1Reply;
  let at = 0;
  const parts = requests.map((each) => {
    const predictions = reply.predictions.slice(at, at + each.instances.length);
    at += each.instances.length;
    return Buffer.from(JSON.stringify({ ...reply, predictions }));
  });
  return { merged, parts };
}

function plainV2(batch: WireBatch): { merged: Buffer; parts: Buffer[] } {
  const requests = batch.bodies.map((body) => JSON.parse(body.toString()) as V2Request);
  const first = requests[0] as V2Request;
  const items = requests.map((each) => (each.inputs[0] as Tensor).shape[0] as number);
  const total = items.reduce((sum, each) => sum + each, 0);
  const inputs = first.inputs.map((input, i) => ({
    ...input,
    shape: [total, ...input.shape.slice(1)],
    data: ([] as unknown[]).concat(...requests.map((each) => (each.inputs[i] as Tensor).data)),
  }));
  const merged = Buffer.from(JSON.stringify({ ...first, inputs }));
  const reply = JSON.parse(batch.reply.toString()) as V2Reply;
  let at = 0;
  const parts = requests.map((each, i) => {
    const own = items[i] as number;
    const outputs = reply.outputs.map((output) => {
      const perItem = output.data.length / total;
      const data = output.data.slice(at * perItem, (at + own) * perItem);
      return { ...output, shape: [own, ...output.shape.slice(1)], data };
    });
    at += own;
    return Buffer.from(JSON.stringify({ ...reply, id: each.id, outputs }));
  });
  return { merged, parts };
}

/** A V1 body of about `bytes` bytes: rows of 64 numbers. */
export function numbersBody(bytes: number, separator: string): Buffer {
  const random = new Random(2);
  const rows: string[] = [];
  for (let length = 0; length < bytes; length += (rows[rows.length - 1] as string).length) {
    rows.push(`[${Array.from({ length: 64 }, () => sixDecimals(random)).join(separator)}]`);
  }
  return Buffer.from(`{"instances":[${rows.join(separator)}]}`);
}

/** Eight base64 strings of about `bytes` bytes together. */
export function base64Body(bytes: number): Buffer {
  const random = new Random(3);
  const image = () => Buffer.from(Array.from({ length: (bytes / 8) * 0.75 }, () => random.uniform() * 256));
  const strings = Array.from({ length: 8 }, () => `{"b64":"${image().toString('base64')}"}`);
  return Buffer.from(`{"instances":[${strings.join(',')}]}`);
}

/** Small objects with short keys, strings and numbers: the least favourable of the usual bodies. */
export function objectsBody(bytes: number): Buffer {
  const random = new Random(4);
  const objects: string[] = [];
  for (let length = 0; length < bytes; length += (objects[objects.length - 1] as string).length + 1) {
    objects.push(`{"age":${Math.floor(random.uniform() * 90)},"name":"n\\u00e4me ${objects.length}","ok":true}`);
  }
  return Buffer.from(`{"instances":[${objects.join(',')}]}`);
}

function sixDecimals(random: Random): string {
  return random.uniform().toFixed(6);
}

function v1Body(row: readonly string[]): string {
  return `{"instances":[[${row.join(',')}]]}`;
}

function v2Body(id: string, row: readonly string[]): string {
  return `{"id":"${id}","inputs":[{"name":"x","datatype":"FP32","shape":[1,${row.length}],"data":[${row.join(',')}]}]}`;
}
