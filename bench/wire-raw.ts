import type { BatchProtocol, Measured, MergeInput } from '../src/protocol/protocol.ts';
import { createProtocols } from '../src/protocol/protocols.ts';
import { interleave, typical } from './measure.ts';
import type { BenchRow } from './report.ts';

const batchSize = 32;
const outputs = 10;
/** Bytes a tensor, and how many GB/s merging must do. */
const sizes = [
  { bytes: 1_000, name: '1 KB', bar: undefined },
  { bytes: 20_000, name: '20 KB', bar: undefined },
  { bytes: 190_000, name: '190 KB', bar: 3 },
] as const;

/** Requests with one raw tensor, and the model's reply to all of them. */
interface RawBatch {
  readonly bodies: readonly { readonly body: Buffer; readonly jsonBytes?: number }[];
  readonly reply: { readonly body: Buffer; readonly jsonBytes?: number };
}

/** One way of carrying raw tensors. */
interface RawProtocol {
  readonly name: string;
  readonly protocol: BatchProtocol;
  readonly batch: (bytes: number) => RawBatch;
}

/** Merging and splitting raw tensors, in bytes of tensors a second. */
export function rawRows(progress: (text: string) => void): BenchRow[] {
  const { v2 } = createProtocols();
  const ways: RawProtocol[] = [{ name: 'V2 binary', protocol: v2, batch: binaryBatch }];
  const rows: BenchRow[] = [];
  for (const size of sizes) {
    for (const way of ways) {
      progress(`wire: ${way.name}, ${size.name}`);
      rows.push(...measureWay(way, size));
    }
  }
  return rows;
}

function measureWay({ name, protocol, batch }: RawProtocol, size: (typeof sizes)[number]): BenchRow[] {
  const { bodies, reply } = batch(size.bytes);
  const measure = (): MergeInput[] =>
    bodies.map(({ body, jsonBytes }) => ({ body, measured: protocol.measure(body, jsonBytes) as Measured }));
  const measured = measure();
  const split = (inputs: readonly MergeInput[]) => {
    const parts = protocol.split(reply.body, inputs, reply.jsonBytes);
    if (!Array.isArray(parts)) throw new Error(`${name}: the reply cannot be split`);
  };
  const rounds = interleave({
    merge: () => protocol.merge(measured),
    joined: () => Buffer.concat(protocol.merge(measured).slices),
    whole: () => {
      const inputs = measure();
      protocol.merge(inputs);
      split(inputs);
    },
  });
  const speed = (way: 'merge' | 'joined' | 'whole') => (batchSize * size.bytes) / 1000 / typical(rounds, way);
  const label = `${name}, ${size.name}`;
  const merge = speed('merge');
  const row: BenchRow = { name: `${label}: merge`, value: merge, unit: 'GB/s' };
  return [
    size.bar === undefined ? row : { ...row, bar: `>= ${size.bar}`, holds: merge >= size.bar },
    { name: `${label}: merge, into one buffer`, value: speed('joined'), unit: 'GB/s' },
    { name: `${label}: whole`, value: speed('whole'), unit: 'GB/s' },
    { name: `${label}: CPU a request, whole`, value: typical(rounds, 'whole') / batchSize, unit: 'us' },
  ];
}

function binaryBatch(bytes: number): RawBatch {
  const body = (i: number) => {
    const json = `{"id":"caller-${10 + i}","inputs":[{"name":"x","shape":[1,${bytes / 4}],"datatype":"FP32","parameters":{"binary_data_size":${bytes}}}],"parameters":{"binary_data_output":true}}`;
    return { body: Buffer.concat([Buffer.from(json), Buffer.alloc(bytes, i)]), jsonBytes: json.length };
  };
  const json = `{"model_name":"m","id":"caller-10","outputs":[{"name":"y","shape":[${batchSize},${outputs}],"datatype":"FP32","parameters":{"binary_data_size":${4 * batchSize * outputs}}}]}`;
  return {
    bodies: Array.from({ length: batchSize }, (_, i) => body(i)),
    reply: { body: Buffer.concat([Buffer.from(json), Buffer.alloc(4 * batchSize * outputs)]), jsonBytes: json.length },
  };
}
