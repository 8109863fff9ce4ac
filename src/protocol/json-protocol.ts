import { type Hole, HoleKind, type Scan, type WireKernel, WireStatus } from '../kernels/wire.ts';
import { cutRaw, failure, firstRaw, isRaw, sizeOf, strictest, sumItems, sumOfHoles } from './holes.ts';
import { Pieces } from './pieces.ts';
import type { BatchProtocol, Measurement, MergeInput, Spliced, SplitFailure } from './protocol.ts';
import { refusalOf } from './refusals.ts';
import { wrongField } from './wrong-field.ts';

/** Replies whose parts are smaller than this on average are written by the kernel; larger ones stay where they are. */
const renderedMax = 4096;
const comma = Buffer.from(',');
/** The first dimensions of most tensors. */
const counts = Array.from({ length: 129 }, (_, i) => Buffer.from(String(i)));

/** A reply that can be split: its holes, and where each caller's part of every list and raw tensor ends. */
interface Sliceable {
  readonly reply: Buffer;
  readonly holes: readonly Hole[];
  readonly ends: readonly (readonly number[])[];
  /** The model said where its JSON ends. */
  readonly announced: boolean;
}

/**
 * V1 and V2 over one kernel: both are templates with holes, so both merge and split the same way. Raw tensors of V2 are
 * holes behind the JSON.
 */
export class JsonProtocol implements BatchProtocol {
  readonly name: 'v1' | 'v2';
  readonly #kernel: WireKernel;
  readonly #pieces = new Pieces();

  constructor(name: 'v1' | 'v2', kernel: WireKernel) {
    this.name = name;
    this.#kernel = kernel;
  }

  measure(body: Buffer, jsonBytes?: number): Measurement {
    // No JSON at all: raw bytes are the one input of a model that knows the rest.
    if (body.length > this.#kernel.bodyMax || jsonBytes === 0) return 'pass-through';
    const scan = this.#scan(body, jsonBytes, false);
    if (scan.status !== WireStatus.Ok) {
      return refusalOf(scan, (code) =>
        code === 'PL_BODY_TYPE' ? wrongField(this.name, body.subarray(0, jsonBytes)) : undefined,
      );
    }
    if (scan.items === 0) return 'pass-through';
    const { items, signature, form, holes } = scan;
    const timeoutUs = numberIn(body, holes, HoleKind.Timeout);
    const priority = numberIn(body, holes, HoleKind.Priority);
    return { items, signature, uniform: form !== 0, holes, jsonBytes, timeoutUs, priority };
  }

  merge(requests: readonly MergeInput[]): Spliced {
    const { body, measured } = requests[0] as MergeInput;
    if (requests.length === 1) return { slices: [body], jsonBytes: measured.jsonBytes };
    const total = sumItems(requests);
    const pieces = this.#pieces;
    pieces.clear();
    let jsonBytes: number | undefined;
    let raw = firstRaw(measured.holes);
    let at = 0;
    for (const [index, hole] of measured.holes.entries()) {
      pieces.add(body, at, hole.start);
      if (hole.kind === HoleKind.Rows) addRows(pieces, requests, index);
      else if (hole.kind === HoleKind.Count) addCount(pieces, total);
      else if (hole.kind === HoleKind.Id) pieces.add(body, hole.start, hole.end);
      else if (hole.kind === HoleKind.RawSize) addCount(pieces, sumOfHoles(requests, raw++));
      else if (isRaw(hole)) {
        jsonBytes ??= pieces.bytes;
        for (const each of requests) addHole(pieces, each, index);
      } else
        addHole(
          pieces,
          strictest(hole.kind, requests, (each) => numberAt(each, index)),
          index,
        );
      at = hole.end;
    }
    pieces.add(body, at, body.length);
    if (measured.jsonBytes !== undefined) jsonBytes ??= pieces.bytes;
    return { slices: pieces.take(), jsonBytes };
  }

  fits(reply: Buffer, jsonBytes = reply.length): boolean {
    return jsonBytes <= this.#kernel.bodyMax;
  }

  split(reply: Buffer, requests: readonly MergeInput[], jsonBytes?: number): Spliced[] | SplitFailure {
    if (requests.length === 1) return [{ slices: [reply], jsonBytes }];
    if (!this.fits(reply, jsonBytes)) return failure('too-large', 'the reply is larger than 4 MiB');
    const scan = this.#scan(reply, jsonBytes, true);
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
    const announced = jsonBytes !== undefined;
    const rendered = announced ? null : this.#render(reply, scan.holes, requests, rows);
    if (rendered) return rendered;
    const ends: (readonly number[])[] = [];
    for (const [index, hole] of scan.holes.entries()) {
      if (hole.kind !== HoleKind.Rows && !isRaw(hole)) continue;
      const cut = isRaw(hole)
        ? cutRaw(this.#kernel, reply, hole, rows, total, jsonBytes ?? 0)
        : this.#cut(index, hole.rows / total, rows);
      if (!cut) return failure('count', `a tensor or list of the reply cannot be shared by ${total} items`);
      ends[index] = cut;
    }
    const whole: Sliceable = { reply, holes: scan.holes, ends, announced };
    return requests.map((request, place) => this.#part(whole, request, place, requests.length));
  }

  #scan(body: Buffer, jsonBytes: number | undefined, reply: boolean): Scan {
    return jsonBytes === undefined
      ? this.#kernel.measure(this.name, body, reply)
      : this.#kernel.measureRaw(body, jsonBytes, reply);
  }

  #cut(hole: number, perRow: number, rows: readonly number[]): number[] | null {
    return Number.isInteger(perRow) && perRow > 0 ? this.#kernel.cut(hole, rows, perRow) : null;
  }

  /** The parts of a reply that is small, or null. */
  #render(reply: Buffer, holes: readonly Hole[], requests: readonly MergeInput[], rows: number[]): Spliced[] | null {
    let template = reply.length;
    let id: Hole | undefined;
    for (const hole of holes) {
      template -= sizeOf(hole);
      if (hole.kind === HoleKind.Id) id = hole;
    }
    if (template + (reply.length - template) / requests.length > renderedMax) return null;
    const ids = requests.map((request, place) => (id ? ownId(reply, id, request, place) : noId));
    const rendered = this.#kernel.render(reply.length, rows, ids.map(sizeOf));
    if (!rendered) return null;
    return rendered.parts.map((part, i) => {
      const { body, start, end } = ids[i] as Slice;
      let at = rendered.idsAt[i] as number;
      for (let from = start; from < end; from++) part[at++] = body[from] as number;
      return { slices: [part] };
    });
  }

  /** The reply of one caller: the whole reply's template filled with its own rows. */
  #part({ reply, holes, ends, announced }: Sliceable, request: MergeInput, place: number, of: number): Spliced {
    const pieces = this.#pieces;
    pieces.clear();
    let jsonBytes: number | undefined;
    let raw = firstRaw(holes);
    let at = 0;
    for (let index = 0; index < holes.length; index++) {
      const hole = holes[index] as Hole;
      pieces.add(reply, at, hole.start);
      if (hole.kind === HoleKind.Count) addCount(pieces, request.measured.items);
      else if (hole.kind === HoleKind.Id) {
        const id = ownId(reply, hole, request, place);
        pieces.add(id.body, id.start, id.end);
      } else if (hole.kind === HoleKind.RawSize) addCount(pieces, sizeOf(own(ends[raw++], place)));
      else if (isRaw(hole)) {
        jsonBytes ??= pieces.bytes;
        const { start, end } = own(ends[index], place);
        pieces.add(reply, hole.start + start, hole.start + end);
      } else {
        const cut = ends[index] as readonly number[];
        const start = place === 0 ? hole.start : afterComma(reply, cut[place - 1] as number);
        pieces.add(reply, start, place === of - 1 ? hole.end : (cut[place] as number));
      }
      at = hole.end;
    }
    pieces.add(reply, at, reply.length);
    if (announced) jsonBytes ??= pieces.bytes;
    return { slices: pieces.take(), jsonBytes };
  }
}

/** One caller's part of a raw tensor. */
function own(ends: readonly number[] | undefined, place: number): { start: number; end: number } {
  return { start: place === 0 ? 0 : (ends?.[place - 1] as number), end: ends?.[place] as number };
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

function numberAt({ body, measured }: MergeInput, hole: number): number {
  const { start, end } = measured.holes[hole] as Hole;
  return Number(body.toString('latin1', start, end));
}

/** Part of a buffer. */
interface Slice {
  readonly body: Buffer;
  readonly start: number;
  readonly end: number;
}

const noId: Slice = { body: comma, start: 0, end: 0 };

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
  const hole = holes.find((each) => each.kind === kind);
  return hole && Number(body.toString('latin1', hole.start, hole.end));
}
