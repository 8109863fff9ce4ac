import { WireKernel, WireStatus } from '../src/kernels/wire.ts';
import type { BatchProtocol, Measured, MergeInput, Spliced } from '../src/protocol/protocol.ts';
import { createProtocols } from '../src/protocol/protocols.ts';
import { interleave, timesCheaper, typical } from './measure.ts';
import type { BenchReport, BenchRow } from './report.ts';
import { base64Body, batchOf, numbersBody, objectsBody, plainJob, type WireBatch } from './wire-bodies.ts';
import { rawRows } from './wire-raw.ts';

const batchSize = 32;
/** Body size in bytes, its name, and how many times less CPU it must take: bodies measured before, and with measuring. */
const sizes = [
  { bytes: 100, name: '100 B', merge: 5, whole: 3 },
  { bytes: 1000, name: '1 KB', merge: 20, whole: 6 },
  { bytes: 20_000, name: '20 KB', merge: 40, whole: 8 },
  { bytes: 190_000, name: '190 KB', merge: 40, whole: 8 },
] as const;

/** Merging and splitting bodies against JSON.parse and JSON.stringify, and the speed of validation alone. */
export async function run(progress: (text: string) => void): Promise<BenchReport> {
  const protocols = createProtocols();
  const rows: BenchRow[] = [];
  for (const version of ['v1', 'v2'] as const) {
    for (const size of sizes) {
      progress(`wire: ${version}, ${size.name}`);
      const batch = batchOf(version, size.bytes, batchSize);
      rows.push(...compare(protocols[version], batch, size));
    }
  }
  rows.push(...rawRows(progress));
  rows.push(...validation(progress));
  return {
    name: 'wire',
    title: 'Merging and splitting bodies',
    rows,
    notes: [
      `Batches of ${batchSize} bodies of one item each, numbers with six decimals; the reply has 10 numbers an item (3 at 100 B).`,
      'Buffers in, buffers for the socket out, on both sides (pieces of 16 KB and more are views, not copies): the other side parses each body, puts the rows together, stringifies, ' +
        'parses the reply, takes it apart and stringifies each part. "Whole" is validation and measuring of each body, ' +
        'merge and split; "merge and split" is what is left once a body has been measured on its arrival. The reply is validated in both. ' +
        '"Into one buffer" copies the merged body together whatever its size, which the companion does not do.',
      'Raw tensors: batches of 32 requests with one FP32 tensor of one row each, and a reply of 10 numbers a row. "Merge" takes ' +
        'measured requests, "whole" measures them and splits the reply as well; both count the bytes of the tensors. ' +
        '"Into one buffer" is what the merge would cost if tensors were copied.',
      'CPU of the process (garbage collection included), ways in turns, medians of 15 rounds.',
    ],
  };
}

function compare(protocol: BatchProtocol, batch: WireBatch, size: (typeof sizes)[number]): BenchRow[] {
  const measured = measureAll(protocol, batch.bodies);
  verify(protocol, batch, measured);
  const rounds = interleave({
    plain: () => plainJob(batch),
    merge: () => splice(protocol, batch, measured),
    whole: () => splice(protocol, batch, measureAll(protocol, batch.bodies)),
    joined: () => {
      Buffer.concat(protocol.merge(measured).slices);
      protocol.split(batch.reply, measured);
    },
  });
  const label = `${protocol.name.toUpperCase()}, ${size.name}`;
  return [
    cheaper(`${label}: merge and split`, timesCheaper(rounds, 'merge', 'plain'), size.merge),
    cheaper(`${label}: whole`, timesCheaper(rounds, 'whole', 'plain'), size.whole),
    {
      name: `${label}: merge and split, into one buffer`,
      value: timesCheaper(rounds, 'joined', 'plain'),
      unit: 'x less CPU',
    },
    { name: `${label}: CPU a request, whole`, value: typical(rounds, 'whole') / batchSize, unit: 'us' },
    { name: `${label}: CPU a request, JSON`, value: typical(rounds, 'plain') / batchSize, unit: 'us' },
  ];
}

function cheaper(name: string, value: number, bar: number): BenchRow {
  return { name, value, unit: 'x less CPU', bar: `>= ${bar}`, holds: value >= bar };
}

function measureAll(protocol: BatchProtocol, bodies: readonly Buffer[]): MergeInput[] {
  return bodies.map((body) => ({ body, measured: protocol.measure(body) as Measured }));
}

/** What the companion does with a batch: one merged body for the model, one body for each caller. */
function splice(protocol: BatchProtocol, batch: WireBatch, inputs: readonly MergeInput[]): Spliced[] {
  if (protocol.merge(inputs).slices.length === 0) throw new Error('nothing was merged');
  return protocol.split(batch.reply, inputs) as Spliced[];
}

/** Both sides must give the same values, or the comparison is worth nothing. */
function verify(protocol: BatchProtocol, batch: WireBatch, inputs: readonly MergeInput[]): void {
  const plain = plainJob(batch);
  const merged = Buffer.concat(protocol.merge(inputs).slices);
  const parts = (protocol.split(batch.reply, inputs) as Spliced[]).map(({ slices }) => Buffer.concat(slices));
  const same = (a: Buffer, b: Buffer) => JSON.stringify(JSON.parse(`${a}`)) === JSON.stringify(JSON.parse(`${b}`));
  if (!same(merged, plain.merged)) throw new Error(`${protocol.name}: the two sides merge differently`);
  if (!parts.every((part, i) => same(part, plain.parts[i] as Buffer))) {
    throw new Error(`${protocol.name}: the two sides split differently`);
  }
}

/** Validation alone: bytes into the window and one strict scan. */
function validation(progress: (text: string) => void): BenchRow[] {
  progress('wire: validation alone');
  const kernel = new WireKernel();
  const bodies = {
    'numbers, 1 MB, separated by `,`': { body: numbersBody(1_000_000, ','), bar: 1 },
    'numbers, 1 MB, separated by `, `': { body: numbersBody(1_000_000, ', '), bar: 1 },
    'base64 strings, 1 MB': { body: base64Body(1_000_000), bar: 5 },
    'small objects, 1 MB': { body: objectsBody(1_000_000), bar: undefined },
  };
  const rounds = interleave(
    Object.fromEntries(
      Object.entries(bodies).map(([name, { body }]) => [
        name,
        () => {
          if (kernel.validate(body) !== WireStatus.Ok) throw new Error(`${name}: not valid`);
        },
      ]),
    ),
  );
  return Object.entries(bodies).map(([name, { body, bar }]) => {
    const value = body.length / 1000 / typical(rounds, name);
    const row: BenchRow = { name: `validation alone, ${name}`, value, unit: 'GB/s' };
    return bar === undefined ? row : { ...row, bar: `>= ${bar}`, holds: value >= bar };
  });
}
