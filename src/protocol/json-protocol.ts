import { createHash } from 'node:crypto';
import type { KernelFlavour } from '../kernels/load.ts';
import { type Hole, HoleKind, type Scan, WireKernel, WireStatus } from '../kernels/wire.ts';
import type { BatchProtocol, BodyRefusal, Measured, Measurement, MergeInput, SplitFailure } from './protocol.ts';

/** Templates up to this long are their own signature; longer ones are hashed with SHA-256. */
const literalSignatureMax = 1024;
const comma = Buffer.from(',');

const refusals: Partial<Record<WireStatus, { code: string; message: string }>> = {
  [WireStatus.Syntax]: { code: 'PL_BODY_SYNTAX', message: 'the body is not valid JSON' },
  [WireStatus.Depth]: { code: 'PL_BODY_DEPTH', message: 'the body nests deeper than 64 levels' },
  [WireStatus.Encoding]: { code: 'PL_BODY_ENCODING', message: 'the body is not valid UTF-8' },
  [WireStatus.DuplicateKey]: { code: 'PL_BODY_DUPLICATE_KEY', message: 'a key occurs twice in one object' },
  [WireStatus.Type]: { code: 'PL_BODY_TYPE', message: 'a field is missing or has the wrong type' },
  [WireStatus.Shape]: { code: 'PL_BODY_SHAPE', message: 'shape and data of a tensor do not agree' },
};

/** V1 and V2 JSON over one kernel: both are templates with holes, so both merge and split the same way. */
export class JsonProtocol implements BatchProtocol {
  readonly name: 'v1' | 'v2';
  readonly #kernel: WireKernel;

  constructor(name: 'v1' | 'v2', kernel: WireKernel) {
    this.name = name;
    this.#kernel = kernel;
  }

  measure(body: Buffer): Measurement {
    if (body.length > this.#kernel.bodyMax) return 'pass-through';
    const scan = this.#kernel.measure(this.name, body, false);
    if (scan.status !== WireStatus.Ok) return refusal(scan);
    if (scan.items === 0) return 'pass-through';
    const timeoutUs = numberIn(body, scan.holes, HoleKind.Timeout);
    const priority = numberIn(body, scan.holes, HoleKind.Priority);
    return {
      items: scan.items,
      signature: signatureOf(body, scan),
      uniform: scan.form !== 0,
      holes: scan.holes,
      ...(timeoutUs === undefined ? {} : { timeoutUs }),
      ...(priority === undefined ? {} : { priority }),
    };
  }

  merge(requests: readonly MergeInput[]): Buffer[] {
    const first = requests[0] as MergeInput;
    if (requests.length === 1) return [first.body];
    const total = sumItems(requests);
    return fill(first.body, first.measured.holes, (hole, index) => {
      if (hole.kind === HoleKind.Rows) return requests.flatMap((each, i) => joinRows(i, sliceOf(each, index)));
      if (hole.kind === HoleKind.Count) return [Buffer.from(String(total))];
      if (hole.kind === HoleKind.Id) return [sliceOf(first, index)];
      return [strictest(hole.kind, requests, index)];
    });
  }

  split(reply: Buffer, requests: readonly MergeInput[]): Buffer[][] | SplitFailure {
    if (requests.length === 1) return [[reply]];
    if (reply.length > this.#kernel.bodyMax) return failure('shape', 'the reply is larger than 4 MiB');
    const scan = this.#kernel.measure(this.name, reply, true);
    if (scan.status !== WireStatus.Ok) {
      const notJson = [WireStatus.Syntax, WireStatus.Depth, WireStatus.Encoding].includes(scan.status);
      return failure(notJson ? 'not-json' : 'shape', `the model's reply cannot be split (at byte ${scan.failedAt})`);
    }
    const total = sumItems(requests);
    if (scan.items !== total) return failure('count', `the model answered ${scan.items} items to ${total}`);
    const rows = requests.map((each) => each.measured.items);
    const ends = new Map<number, number[]>();
    for (const [index, hole] of scan.holes.entries()) {
      if (hole.kind !== HoleKind.Rows) continue;
      const perRow = hole.rows / total;
      const cut = Number.isInteger(perRow) && perRow > 0 ? this.#kernel.cut(index, rows, perRow) : null;
      if (!cut) return failure('count', `a list of ${hole.rows} elements cannot be shared by ${total} items`);
      ends.set(index, cut);
    }
    return requests.map((each, i) =>
      fill(reply, scan.holes, (hole, index) => {
        if (hole.kind === HoleKind.Count) return [Buffer.from(String(each.measured.items))];
        if (hole.kind === HoleKind.Id) return [ownId(reply, hole, each, i)];
        const cut = ends.get(index) as number[];
        const start = i === 0 ? hole.start : afterComma(reply, cut[i - 1] as number);
        return [reply.subarray(start, i === requests.length - 1 ? hole.end : (cut[i] as number))];
      }),
    );
  }
}

/** Both protocols over one kernel instance. */
export function createProtocols(flavour?: KernelFlavour): { v1: BatchProtocol; v2: BatchProtocol } {
  const kernel = new WireKernel(flavour);
  return { v1: new JsonProtocol('v1', kernel), v2: new JsonProtocol('v2', kernel) };
}

function refusal(scan: Scan): BodyRefusal | 'pass-through' {
  const known = refusals[scan.status];
  if (!known) return 'pass-through';
  return {
    refused: true,
    code: known.code,
    message: `${known.message} (at byte ${scan.failedAt})`,
    offset: scan.failedAt,
  };
}

/** All bytes outside the holes with the holes' kinds between them, and the form of the rows: no hash below 1 KB. */
function signatureOf(body: Buffer, scan: Scan): string {
  let template = `${scan.form.toString(36)}`;
  let at = 0;
  for (const hole of scan.holes) {
    template += `\u0000${hole.kind}${body.toString('latin1', at, hole.start)}`;
    at = hole.end;
  }
  template += `\u0000${body.toString('latin1', at, body.length)}`;
  if (template.length <= literalSignatureMax) return template;
  return createHash('sha256').update(template, 'latin1').digest('base64');
}

/** A body with its holes filled anew. */
function fill(body: Buffer, holes: readonly Hole[], content: (hole: Hole, index: number) => Buffer[]): Buffer[] {
  const slices: Buffer[] = [];
  let at = 0;
  for (const [index, hole] of holes.entries()) {
    slices.push(body.subarray(at, hole.start), ...content(hole, index));
    at = hole.end;
  }
  slices.push(body.subarray(at));
  return slices;
}

function joinRows(index: number, rows: Buffer): Buffer[] {
  return index === 0 ? [rows] : [comma, rows];
}

function sliceOf(input: MergeInput, hole: number): Buffer {
  const { start, end } = input.measured.holes[hole] as Hole;
  return input.body.subarray(start, end);
}

/** A batch is given the longest timeout and the most urgent priority (1) of its requests, 0 being the default. */
function strictest(kind: HoleKind, requests: readonly MergeInput[], hole: number): Buffer {
  const rank = (text: string) => (kind === HoleKind.Timeout ? Number(text) : -(Number(text) || 1e9));
  return requests
    .map((each) => sliceOf(each, hole))
    .reduce((best, each) => (rank(each.toString('latin1')) > rank(best.toString('latin1')) ? each : best));
}

/** The caller's own id; where no caller gave one, the model's with the caller's place behind it. */
function ownId(reply: Buffer, hole: Hole, request: MergeInput, place: number): Buffer {
  const own = request.measured.holes.findIndex((each) => each.kind === HoleKind.Id);
  if (own >= 0) return sliceOf(request, own);
  const given = reply.subarray(hole.start, hole.end);
  return place === 0 ? given : Buffer.concat([given.subarray(0, -1), Buffer.from(`-${place}"`)]);
}

/** The first byte behind the comma that follows a part. */
function afterComma(reply: Buffer, end: number): number {
  return reply.indexOf(0x2c, end) + 1;
}

function numberIn(body: Buffer, holes: readonly Hole[], kind: HoleKind): number | undefined {
  const hole = holes.find((each) => each.kind === kind);
  const value = hole ? Number(body.toString('latin1', hole.start, hole.end)) : Number.NaN;
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}

function sumItems(requests: readonly MergeInput[]): number {
  return requests.reduce((sum, each) => sum + (each.measured as Measured).items, 0);
}

function failure(failed: SplitFailure['failed'], message: string): SplitFailure {
  return { failed, message };
}
