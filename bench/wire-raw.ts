import type { BatchProtocol, Measured, MergeInput } from '../src/protocol/protocol.ts';
import { createProtocols } from '../src/protocol/protocols.ts';
import { interleave, timesCheaper, typical } from './measure.ts';
import { binaryBatch, messageBatch, type RawBatch } from './raw-batches.ts';
import type { BenchRow } from './report.ts';

const batchSize = 32;
/** Bytes a tensor, and how many GB/s merging must do. */
const sizes = [
  { bytes: 1_000, name: '1 KB', bar: undefined },
  { bytes: 20_000, name: '20 KB', bar: undefined },
  { bytes: 190_000, name: '190 KB', bar: 3 },
] as const;

/** One way of carrying raw tensors. */
interface RawProtocol {
  readonly name: string;
  readonly protocol: BatchProtocol;
  readonly batch: (bytes: number, size: number) => RawBatch;
}

/** Merging and splitting raw tensors, in bytes of tensors a second. */
export function rawRows(progress: (text: string) => void): BenchRow[] {
  const { v2, grpc } = createProtocols();
  const ways: RawProtocol[] = [
    { name: 'V2 binary', protocol: v2, batch: binaryBatch },
    { name: 'V2 gRPC', protocol: grpc, batch: messageBatch },
  ];
  return sizes.flatMap((size) => {
    progress(`wire: raw tensors, ${size.name}`);
    return compareWays(ways, size);
  });
}

/** All ways in turns, so that they can be compared with each other. */
function compareWays(ways: readonly RawProtocol[], size: (typeof sizes)[number]): BenchRow[] {
  const jobs: Record<string, () => void> = {};
  for (const way of ways) Object.assign(jobs, jobsOf(way, size.bytes));
  const rounds = interleave(jobs);
  const speed = (job: string) => (batchSize * size.bytes) / 1000 / typical(rounds, job);
  const rows = ways.flatMap(({ name }): BenchRow[] => {
    const label = `${name}, ${size.name}`;
    const merge = speed(`${name}: merge`);
    const row: BenchRow = { name: `${label}: merge`, value: merge, unit: 'GB/s' };
    return [
      size.bar === undefined ? row : { ...row, bar: `>= ${size.bar}`, holds: merge >= size.bar },
      { name: `${label}: merge, into one buffer`, value: speed(`${name}: joined`), unit: 'GB/s' },
      { name: `${label}: whole`, value: speed(`${name}: whole`), unit: 'GB/s' },
      { name: `${label}: CPU a request, whole`, value: typical(rounds, `${name}: whole`) / batchSize, unit: 'us' },
    ];
  });
  const ratio = timesCheaper(rounds, 'V2 gRPC: whole', 'V2 binary: whole');
  const name = `gRPC beside V2 binary, ${size.name}: whole`;
  return [...rows, { name, value: ratio, unit: 'x less CPU', bar: '>= 1', holds: ratio >= 1 }];
}

function jobsOf({ name, protocol, batch }: RawProtocol, bytes: number): Record<string, () => void> {
  const { bodies, reply } = batch(bytes, batchSize);
  const measure = (): MergeInput[] =>
    bodies.map(({ body, jsonBytes }) => ({ body, measured: protocol.measure(body, jsonBytes) as Measured }));
  const measured = measure();
  return {
    [`${name}: merge`]: () => protocol.merge(measured),
    [`${name}: joined`]: () => Buffer.concat(protocol.merge(measured).slices),
    [`${name}: whole`]: () => {
      const inputs = measure();
      protocol.merge(inputs);
      if (!Array.isArray(protocol.split(reply.body, inputs, reply.jsonBytes))) {
        throw new Error(`${name}: the reply cannot be split`);
      }
    },
  };
}
