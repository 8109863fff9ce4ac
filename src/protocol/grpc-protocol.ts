import { type Hole, HoleKind, type WireKernel, WireStatus } from '../kernels/wire.ts';
import { cutRaw, failure, isRaw, sizeOf, strictest, sumItems, sumOfHoles } from './holes.ts';
import { Pieces } from './pieces.ts';
import type { BatchProtocol, Measurement, MergeInput, Spliced, SplitFailure } from './protocol.ts';
import { refusalOf } from './refusals.ts';
import { readVarint, Varints, varintSize } from './varints.ts';

/** Replies beyond this are not held together. A window of typed contents is smaller, and says so. */
const replyMax = 64 * 1024 * 1024;

/**
 * inference.ModelInferRequest and ModelInferResponse: templates with holes as JSON bodies are, whose lengths are holes too,
 * because they follow from what is in them:
 *
 * ```
 *  name | id: length text | tensor: LENGTH [ name type shape: LENGTH [ COUNT 224 224 ] ] | raw: LENGTH [ bytes ]
 * ```
 *
 * A tensor's parameter `binary_data_size`, which KServe writes beside raw contents, follows from them too.
 */
export class GrpcProtocol implements BatchProtocol {
  readonly name = 'grpc';
  readonly #kernel: WireKernel;
  readonly #pieces = new Pieces();
  readonly #varints = new Varints();

  constructor(kernel: WireKernel) {
    this.#kernel = kernel;
  }

  measure(body: Buffer): Measurement {
    if (body.length > this.#kernel.bodyMax) return 'pass-through';
    const scan = this.#kernel.measureMessage(body, false);
    if (scan.status !== WireStatus.Ok) return refusalOf(scan);
    const { items, signature, holes } = scan;
    const timeoutUs = numberIn(body, holes, HoleKind.Timeout);
    const priority = numberIn(body, holes, HoleKind.Priority);
    return { items, signature, uniform: true, holes, timeoutUs, priority };
  }

  merge(requests: readonly MergeInput[]): Spliced {
    const { body, measured } = requests[0] as MergeInput;
    if (requests.length === 1) return { slices: [body] };
    const { holes } = measured;
    const total = sumItems(requests);
    const chosen: (MergeInput | undefined)[] = [];
    const numbers = numbersOf(body, holes, total, (hole, index) => {
      if (hole.kind === HoleKind.Timeout || hole.kind === HoleKind.Priority) {
        const strict = strictest(hole.kind, requests, (each) => numberAt(each, index));
        chosen[index] = strict;
        return sizeOf(strict.measured.holes[index] as Hole);
      }
      return hole.kind === HoleKind.Id ? sizeOf(hole) : sumOfHoles(requests, index);
    });
    const slices = this.#write(body, holes, numbers, (hole, index) => {
      if (hole.kind === HoleKind.Id) this.#add({ body, measured }, index);
      else if (chosen[index]) this.#add(chosen[index], index);
      else for (const each of requests) this.#add(each, index);
    });
    return { slices };
  }

  fits(reply: Buffer): boolean {
    return reply.length <= replyMax;
  }

  split(reply: Buffer, requests: readonly MergeInput[]): Spliced[] | SplitFailure {
    if (requests.length === 1) return [{ slices: [reply] }];
    if (!this.fits(reply)) return failure('too-large', 'the reply is larger than 64 MiB');
    const scan = this.#kernel.measureMessage(reply, true);
    if (scan.status === WireStatus.TooMany) return failure('too-large', 'the reply is larger than 4 MiB');
    if (scan.status === WireStatus.ListBeside) {
      return failure('shape', `the model's reply has a field that is not known (at byte ${scan.failedAt})`);
    }
    if (scan.status !== WireStatus.Ok) {
      const kind = scan.status === WireStatus.Message ? 'not-protobuf' : 'shape';
      return failure(kind, `the model's reply cannot be split (at byte ${scan.failedAt})`);
    }
    const { holes } = scan;
    const total = sumItems(requests);
    if (scan.items !== total) return failure('count', `the model answered ${scan.items} items to ${total}`);
    const rows = requests.map((each) => each.measured.items);
    const parts: (readonly Part[])[] = [];
    for (const [index, hole] of holes.entries()) {
      if (hole.kind !== HoleKind.Rows && !isRaw(hole)) continue;
      const perRow = hole.rows / total;
      const ends = isRaw(hole)
        ? cutRaw(this.#kernel, reply, hole, rows, total, 0)
        : perRow >= 1 && this.#kernel.cutElements(index, rows, perRow);
      if (!ends) return failure('count', `a tensor of the reply cannot be shared by ${total} items`);
      parts[index] = partsOf(ends, hole);
    }
    return requests.map((request, place) => this.#part(reply, holes, parts, request, place));
  }

  /** The reply of one caller: the whole reply's template filled with its own rows. */
  #part(
    reply: Buffer,
    holes: readonly Hole[],
    parts: readonly (readonly Part[])[],
    request: MergeInput,
    place: number,
  ): Spliced {
    let id: { readonly body: Buffer; readonly start: number; readonly end: number } | undefined;
    const numbers = numbersOf(reply, holes, request.measured.items, (hole, index) => {
      if (hole.kind !== HoleKind.Id) return sizeOf((parts[index] as readonly Part[])[place] as Part);
      id = ownId(reply, hole, request, place);
      return sizeOf(id);
    });
    const slices = this.#write(reply, holes, numbers, (_hole, index) => {
      const own = parts[index]?.[place];
      if (own) this.#pieces.add(reply, own.start, own.end);
      else if (id) this.#pieces.add(id.body, id.start, id.end);
    });
    return { slices };
  }

  /** A template with its holes filled: numbers as they are, everything else by `write`. */
  #write(
    template: Buffer,
    holes: readonly Hole[],
    numbers: readonly number[],
    write: (hole: Hole, index: number) => void,
  ): Buffer[] {
    const pieces = this.#pieces;
    pieces.clear();
    let at = 0;
    for (let index = 0; index < holes.length; index++) {
      const hole = holes[index] as Hole;
      pieces.add(template, at, hole.start);
      if (isNumber(hole)) this.#varints.add(pieces, numbers[index] as number);
      else write(hole, index);
      at = hole.end;
    }
    pieces.add(template, at, template.length);
    return pieces.take();
  }

  #add({ body, measured }: MergeInput, hole: number): void {
    const { start, end } = measured.holes[hole] as Hole;
    this.#pieces.add(body, start, end);
  }
}

/** Part of a body. */
interface Part {
  readonly start: number;
  readonly end: number;
}

/** Where the parts of a hole lie, from where they end: counted from a raw tensor's start, or from that of the message. */
function partsOf(ends: readonly number[], hole: Hole): Part[] {
  const from = isRaw(hole) ? hole.start : 0;
  return ends.map((end, i) => ({ start: i === 0 ? hole.start : from + (ends[i - 1] as number), end: from + end }));
}

function isNumber({ kind }: Hole): boolean {
  return kind === HoleKind.Count || kind === HoleKind.Length || kind === HoleKind.RawSize;
}

/**
 * The numbers that belong into a template with `count` rows, inner ones first: a length grows by what the holes in it grow.
 * `sizeIn` says how large what goes into another hole is.
 */
function numbersOf(
  template: Buffer,
  holes: readonly Hole[],
  count: number,
  sizeIn: (hole: Hole, index: number) => number,
): number[] {
  const numbers: number[] = new Array(holes.length).fill(0);
  /** How much the holes from this one on have grown together. */
  const grown: number[] = new Array(holes.length + 1).fill(0);
  for (let index = holes.length - 1; index >= 0; index--) {
    const hole = holes[index] as Hole;
    let size: number;
    if (isNumber(hole)) {
      let number = count;
      if (hole.kind === HoleKind.RawSize) {
        const raw = placeOfRaw(holes, hole.rows);
        number = sizeIn(holes[raw] as Hole, raw);
      } else if (hole.kind === HoleKind.Length) {
        const inside = (grown[index + 1] as number) - (grown[hole.rows] ?? 0);
        number = readVarint(template, hole.start) + inside;
      }
      numbers[index] = number;
      size = varintSize(number);
    } else size = sizeIn(hole, index);
    grown[index] = (grown[index + 1] as number) + size - sizeOf(hole);
  }
  return numbers;
}

/** The place among the holes of the n-th raw tensor, which the kernel has found there. */
function placeOfRaw(holes: readonly Hole[], n: number): number {
  let left = n;
  return holes.findIndex((hole) => isRaw(hole) && left-- === 0);
}

/** The caller's own id; where it gave none, the model's with the caller's place behind it. */
function ownId(reply: Buffer, hole: Hole, { body, measured }: MergeInput, place: number) {
  for (const { kind, start, end } of measured.holes) if (kind === HoleKind.Id) return { body, start, end };
  if (place === 0) return { body: reply, start: hole.start, end: hole.end };
  const length = readVarint(reply, hole.start);
  const id = Buffer.concat([reply.subarray(hole.end - length, hole.end), Buffer.from(`-${place}`)]);
  const made = Buffer.concat([Varints.bytes(id.length), id]);
  return { body: made, start: 0, end: made.length };
}

function numberAt({ body, measured }: MergeInput, hole: number): number {
  return readVarint(body, (measured.holes[hole] as Hole).start);
}

/** A parameter's number. Of several under one key the last one counts, as in any map of a message. */
function numberIn(body: Buffer, holes: readonly Hole[], kind: HoleKind): number | undefined {
  const last = holes.findLast((hole) => hole.kind === kind);
  return last && readVarint(body, last.start);
}
