import type { KernelSource } from '../kernels/load.ts';
import { type Hole, HoleKind, type Scan, WireKernel, WireStatus } from '../kernels/wire.ts';
import { Pieces } from './pieces.ts';
import type { BatchProtocol, BodyRefusal, Measurement, MergeInput, SplitFailure } from './protocol.ts';
import { wrongField } from './wrong-field.ts';

/** Replies whose parts are smaller than this on average are written by the kernel; larger ones stay where they are. */
const renderedMax = 4096;
const comma = Buffer.from(',');
/** The first dimensions of most tensors. */
const counts = Array.from({ length: 129 }, (_, i) => Buffer.from(String(i)));

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
  readonly replyMax: number;
  readonly #kernel: WireKernel;
  readonly #pieces = new Pieces();

  constructor(name: 'v1' | 'v2', kernel: WireKernel) {
    this.name = name;
    this.#kernel = kernel;
    this.replyMax = kernel.bodyMax;
  }

  measure(body: Buffer): Measurement {
    if (body.length > this.#kernel.bodyMax) return 'pass-through';
    const scan = this.#kernel.measure(this.name, body, false);
    if (scan.status !== WireStatus.Ok) return refusal(scan, this.name, body);
    if (scan.items === 0) return 'pass-through';
    const { items, signature, form, holes } = scan;
    const timeoutUs = numberIn(body, holes, HoleKind.Timeout);
    const priority = numberIn(body, holes, HoleKind.Priority);
    return { items, signature, uniform: form !== 0, holes, timeoutUs, priority };
  }

  merge(requests: readonly MergeInput[]): Buffer[] {
    const first = requests[0] as MergeInput;
    if (requests.length === 1) return [first.body];
    const total = sumItems(requests);
    const pieces = this.#pieces;
    const { body, measured } = first;
    let at = 0;
    for (const [index, hole] of measured.holes.entries()) {
      pieces.add(body, at, hole.start);
      if (hole.kind === HoleKind.Rows) addRows(pieces, requests, index);
      else if (hole.kind === HoleKind.Count) addCount(pieces, total);
      else if (hole.kind === HoleKind.Id) pieces.add(body, hole.start, hole.end);
      else addHole(pieces, strictest(hole.kind, requests, index), index);
      at = hole.end;
    }
    pieces.add(body, at, body.length);
    return pieces.take();
  }

  split(reply: Buffer, requests: readonly MergeInput[]): Buffer[][] | SplitFailure {
    if (requests.length === 1) return [[reply]];
    if (reply.length > this.#kernel.bodyMax) return failure('too-large', 'the reply is larger than 4 MiB');
    const scan = this.#kernel.measure(this.name, reply, true);
    if (scan.status === WireStatus.ListBeside) {
      return failure(
        'shape',
        `the model's reply holds a list beside its rows, perhaps one element for each item (at byte ${scan.failedAt})`,
      );
    }
    if (scan.status !== WireStatus.Ok) {
      const notJson = [WireStatus.Syntax, WireStatus.Depth, WireStatus.Encoding].includes(scan.status);
      return failure(notJson ? 'not-json' : 'shape', `the model's reply cannot be split (at byte ${scan.failedAt})`);
    }
    const total = sumItems(requests);
    if (scan.items !== total) return failure('count', `the model answered ${scan.items} items to ${total}`);
    const rows = requests.map((each) => each.measured.items);
    const rendered = this.#render(reply, scan.holes, requests, rows);
    if (rendered) return rendered;
    const ends: (readonly number[])[] = [];
    for (const [index, hole] of scan.holes.entries()) {
      if (hole.kind !== HoleKind.Rows) continue;
      const perRow = hole.rows / total;
      const cut = Number.isInteger(perRow) && perRow > 0 ? this.#kernel.cut(index, rows, perRow) : null;
      if (!cut) return failure('count', `a list of ${hole.rows} elements cannot be shared by ${total} items`);
      ends[index] = cut;
    }
    return requests.map((request, place) => this.#part(reply, scan.holes, ends, request, place, requests.length));
  }

  /** The parts of a reply that is small, or null. */
  #render(reply: Buffer, holes: readonly Hole[], requests: readonly MergeInput[], rows: number[]): Buffer[][] | null {
    let template = reply.length;
    let id: Hole | undefined;
    for (const hole of holes) {
      template -= hole.end - hole.start;
      if (hole.kind === HoleKind.Id) id = hole;
    }
    if (template + (reply.length - template) / requests.length > renderedMax) return null;
    const ids = requests.map((request, place) => (id ? ownId(reply, id, request, place) : noId));
    const rendered = this.#kernel.render(reply.length, rows, ids.map(lengthOf));
    if (!rendered) return null;
    return rendered.parts.map((part, i) => {
      const { body, start, end } = ids[i] as Slice;
      let at = rendered.idsAt[i] as number;
      for (let from = start; from < end; from++) part[at++] = body[from] as number;
      return [part];
    });
  }

  /** The reply of one caller: the whole reply's template filled with its own rows. */
  #part(
    reply: Buffer,
    holes: readonly Hole[],
    ends: readonly (readonly number[])[],
    request: MergeInput,
    place: number,
    of: number,
  ): Buffer[] {
    const pieces = this.#pieces;
    let at = 0;
    for (let index = 0; index < holes.length; index++) {
      const hole = holes[index] as Hole;
      pieces.add(reply, at, hole.start);
      if (hole.kind === HoleKind.Count) addCount(pieces, request.measured.items);
      else if (hole.kind === HoleKind.Id) {
        const id = ownId(reply, hole, request, place);
        pieces.add(id.body, id.start, id.end);
      } else {
        const cut = ends[index] as readonly number[];
        const start = place === 0 ? hole.start : afterComma(reply, cut[place - 1] as number);
        pieces.add(reply, start, place === of - 1 ? hole.end : (cut[place] as number));
      }
      at = hole.end;
    }
    pieces.add(reply, at, reply.length);
    return pieces.take();
  }
}

/** Both protocols over one kernel instance. */
export function createProtocols(from?: KernelSource): { v1: BatchProtocol; v2: BatchProtocol } {
  const kernel = new WireKernel(from);
  return { v1: new JsonProtocol('v1', kernel), v2: new JsonProtocol('v2', kernel) };
}

function refusal(scan: Scan, protocol: 'v1' | 'v2', body: Buffer): BodyRefusal | 'pass-through' {
  const known = refusals[scan.status];
  if (!known) return 'pass-through';
  const field = scan.status === WireStatus.Type ? wrongField(protocol, body) : undefined;
  return {
    refused: true,
    code: known.code,
    message: `${field ?? known.message} (at byte ${scan.failedAt})`,
    offset: scan.failedAt,
  };
}

function addRows(pieces: Pieces, requests: readonly MergeInput[], hole: number): void {
  for (let i = 0; i < requests.length; i++) {
    if (i > 0) pieces.add(comma, 0, 1);
    addHole(pieces, requests[i] as MergeInput, hole);
  }
}

function addHole(pieces: Pieces, { body, measured }: MergeInput, hole: number): void {
  const { start, end } = measured.holes[hole] as Hole;
  pieces.add(body, start, end);
}

function addCount(pieces: Pieces, count: number): void {
  const digits = counts[count] ?? Buffer.from(String(count));
  pieces.add(digits, 0, digits.length);
}

/** A batch is given the longest timeout and the most urgent priority (1) of its requests; 0 says nothing in either. */
function strictest(kind: HoleKind, requests: readonly MergeInput[], hole: number): MergeInput {
  const rankOf = ({ body, measured }: MergeInput) => {
    const { start, end } = measured.holes[hole] as Hole;
    const value = Number(body.toString('latin1', start, end)) || Number.POSITIVE_INFINITY;
    return kind === HoleKind.Timeout ? value : -value;
  };
  return requests.reduce((best, each) => (rankOf(each) > rankOf(best) ? each : best));
}

/** Part of a buffer. */
interface Slice {
  readonly body: Buffer;
  readonly start: number;
  readonly end: number;
}

const noId: Slice = { body: comma, start: 0, end: 0 };

function lengthOf({ start, end }: Slice): number {
  return end - start;
}

/** The caller's own id; where it gave none, the model's with the caller's place behind it. */
function ownId(reply: Buffer, hole: Hole, { body, measured }: MergeInput, place: number): Slice {
  for (const { kind, start, end } of measured.holes) if (kind === HoleKind.Id) return { body, start, end };
  if (place === 0) return { body: reply, start: hole.start, end: hole.end };
  const made = Buffer.from(`${reply.toString('latin1', hole.start, hole.end - 1)}-${place}"`, 'latin1');
  return { body: made, start: 0, end: made.length };
}

/** The first byte behind the comma that follows a part. */
function afterComma(reply: Buffer, end: number): number {
  let at = end;
  while (reply[at] !== 0x2c) at++;
  return at + 1;
}

function numberIn(body: Buffer, holes: readonly Hole[], kind: HoleKind): number | undefined {
  for (const hole of holes) {
    if (hole.kind !== kind) continue;
    const value = Number(body.toString('latin1', hole.start, hole.end));
    return Number.isFinite(value) && value >= 0 ? value : undefined;
  }
  return undefined;
}

function sumItems(requests: readonly MergeInput[]): number {
  let sum = 0;
  for (const { measured } of requests) sum += measured.items;
  return sum;
}

function failure(failed: SplitFailure['failed'], message: string): SplitFailure {
  return { failed, message };
}
