// A plain reference of measuring V1 and V2 JSON bodies: JSON.parse and a tree with offsets, no kernel.
import { type JsonValue, kindsOf, leavesOf, readJson, structureOf } from './json-text.ts';

/** A part of a body that differs between requests that may be merged. */
export interface ReferenceHole {
  kind: 'rows' | 'count' | 'id' | 'timeout' | 'priority' | 'raw-size' | 'raw';
  start: number;
  end: number;
  /** The elements of a list of rows. */
  rows: JsonValue[];
}

export interface ReferenceScan {
  outcome: 'measured' | 'pass-through' | 'refused';
  items: number;
  /** How the rows are formed; null where they differ among themselves. */
  form: string | null;
  holes: ReferenceHole[];
}

const depthMax = 64;
/** Keys that may be open at once in the objects that the protocol reads. */
const keysMax = 128;

class Ended extends Error {
  readonly outcome: 'pass-through' | 'refused';

  constructor(outcome: 'pass-through' | 'refused') {
    super(outcome);
    this.outcome = outcome;
  }
}

/**
 * What a body is: refused if it is no JSON or no body of the protocol, and otherwise as far as it can be batched. With
 * `jsonBytes`, raw tensors of V2 follow the JSON.
 */
export function referenceScan(
  protocol: 'v1' | 'v2',
  body: Uint8Array,
  reply: boolean,
  jsonBytes?: number,
): ReferenceScan {
  const scan: ReferenceScan = { outcome: 'measured', items: 0, form: null, holes: [] };
  if ((jsonBytes ?? 0) > body.length) return { ...scan, outcome: 'refused' };
  const json = body.subarray(0, jsonBytes);
  const root = readJson(json);
  if (!root || root.depth > depthMax) return { ...scan, outcome: 'refused' };
  try {
    if (root.kind !== 'object' || root.keys.length === 0) throw new Ended('pass-through');
    if (protocol === 'v1') readV1(root, reply, scan);
    else {
      const reader = new V2Reader(Buffer.from(json).toString('latin1'), reply, scan, jsonBytes !== undefined);
      reader.read(root);
      if (jsonBytes !== undefined) readRaws(Buffer.from(body), jsonBytes, reader.raws, reply, scan);
    }
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
    return { outcome: error.outcome, items: 0, form: null, holes: [] };
  }
  return scan;
}

/** Everything outside the holes, and the form of the rows: equal for bodies that may be merged. */
export function referenceSignature(body: Buffer, scan: ReferenceScan): string {
  const text = body.toString('latin1');
  let at = 0;
  const outside = scan.holes.map((hole) => {
    const before = text.slice(at, hole.start);
    at = hole.end;
    return `${before}<${hole.kind}>`;
  });
  return `${outside.join('')}${text.slice(at)} ${scan.form}`;
}

/** Refuses a key that comes twice; one with an escape could spell a name of the protocol in another way. */
function checkKey(object: JsonValue, index: number, outer: number): string {
  const key = object.keys[index] as string;
  if (key.includes('\\')) throw new Ended('pass-through');
  if (object.keys.indexOf(key) < index) throw new Ended('refused');
  if (outer + index >= keysMax) throw new Ended('pass-through');
  return key;
}

function rowsHole(list: JsonValue): ReferenceHole {
  return { kind: 'rows', start: list.start + 1, end: list.end - 1, rows: list.values };
}

/** What every caller of a batch gets holds no list with elements: it could have one for each item. */
function refuseList(value: JsonValue): void {
  if (value.kind === 'list' && value.values.length > 0) throw new Ended('refused');
  for (const each of value.values) refuseList(each);
}

function readV1(root: JsonValue, reply: boolean, scan: ReferenceScan): void {
  let columnar = false;
  const lists: JsonValue[] = [];
  for (const [index, value] of root.values.entries()) {
    const key = checkKey(root, index, 0);
    const named = reply ? key === 'predictions' : key === 'instances' || key === 'inputs';
    if (!named) {
      if (reply) refuseList(value);
      continue;
    }
    if (value.kind === 'list') lists.push(value);
    else if (reply || key === 'instances') throw new Ended('refused');
    else columnar = true;
  }
  const list = lists[0];
  if (!list || lists.length > 1 || columnar) throw new Ended('pass-through');
  scan.items = list.values.length;
  scan.holes.push(rowsHole(list));
  const forms = new Set(list.values.map((row) => `${structureOf(row)} ${kindsOf(row)}`));
  scan.form = forms.size === 1 ? ([...forms][0] as string) : null;
}

/** A tensor in raw bytes; `elements` of a BYTES tensor only. */
interface RawTensor {
  size: number;
  elements: number | undefined;
}

const widths: Record<string, number> = {
  ...{ BOOL: 1, UINT8: 1, INT8: 1, UINT16: 2, INT16: 2, FP16: 2, BF16: 2, UINT32: 4, INT32: 4, FP32: 4 },
  ...{ UINT64: 8, INT64: 8, FP64: 8, BYTES: 0 },
};

/** The raw tensors must fill what follows the JSON, and the lengths in BYTES tensors must fill these. */
function readRaws(body: Buffer, from: number, raws: RawTensor[], reply: boolean, scan: ReferenceScan): void {
  let at = from;
  for (const { size } of raws) {
    scan.holes.push({ kind: 'raw', start: at, end: at + size, rows: [] });
    at += size;
  }
  if (at !== body.length) throw new Ended('refused');
  at = from;
  for (const { size, elements } of raws) {
    if (elements !== undefined && !reply && !holdsStrings(body.subarray(at, at + size), elements)) {
      throw new Ended('refused');
    }
    at += size;
  }
}

export function holdsStrings(raw: Buffer, elements: number): boolean {
  let at = 0;
  for (let i = 0; i < elements; i++) {
    if (at + 4 > raw.length) return false;
    at += 4 + raw.readUInt32LE(at);
    if (at > raw.length) return false;
  }
  return at === raw.length;
}

class V2Reader {
  readonly raws: RawTensor[] = [];
  readonly #maybeRaw: boolean;
  readonly #text: string;
  readonly #reply: boolean;
  readonly #scan: ReferenceScan;
  readonly #forms: (string | null)[] = [];

  constructor(text: string, reply: boolean, scan: ReferenceScan, maybeRaw: boolean) {
    this.#maybeRaw = maybeRaw;
    this.#text = text;
    this.#reply = reply;
    this.#scan = scan;
  }

  read(root: JsonValue): void {
    let found = false;
    for (const [index, value] of root.values.entries()) {
      const key = checkKey(root, index, 0);
      if (key === (this.#reply ? 'outputs' : 'inputs')) {
        found = true;
        if (value.kind !== 'list') throw new Ended('refused');
        if (value.values.length === 0) throw new Ended('pass-through');
        for (const each of value.values) this.#tensor(each, index + 1);
      } else if (key === 'id') this.#id(value);
      else if (this.#reply) refuseList(value);
      else if (key === 'parameters') this.#parameters(value, index + 1);
      else if (key === 'outputs' && this.#text.slice(value.start, value.end).includes('shared_memory_')) {
        throw new Ended('pass-through');
      }
    }
    if (!found) throw new Ended('refused');
    this.#scan.form = this.#forms.includes(null) ? null : this.#forms.join(' | ');
  }

  /** Whether a value is a number of digits alone that is exact. */
  #isWhole({ kind, start, end }: JsonValue): boolean {
    const digits = this.#text.slice(start, end);
    return kind === 'number' && /^\d+$/.test(digits) && Number.isSafeInteger(Number(digits));
  }

  #id(value: JsonValue): void {
    if (value.kind === 'null') return;
    if (value.kind !== 'string') throw new Ended('refused');
    this.#hole('id', value);
  }

  #parameters(value: JsonValue, outer: number): void {
    if (value.kind === 'null') return;
    if (value.kind !== 'object') throw new Ended('refused');
    for (const [index, each] of value.values.entries()) {
      const key = checkKey(value, index, outer);
      if (key.startsWith('sequence_')) throw new Ended('pass-through');
      if ((key === 'timeout' || key === 'priority') && this.#isWhole(each)) this.#hole(key, each);
    }
  }

  #tensor(tensor: JsonValue, outer: number): void {
    if (tensor.kind !== 'object') throw new Ended('refused');
    let dimensions: number[] | undefined;
    let data: JsonValue | undefined;
    let named = 0;
    let datatype = '';
    let rawSize: number | undefined;
    for (const [index, value] of tensor.values.entries()) {
      const key = checkKey(tensor, index, outer);
      if ((key === 'name' || key === 'datatype') && value.kind === 'string') named++;
      if (key === 'datatype' && value.kind === 'string') datatype = this.#text.slice(value.start + 1, value.end - 1);
      if (this.#maybeRaw && key === 'parameters' && value.kind === 'object') {
        rawSize = this.#tensorParameters(value, outer + index + 1) ?? rawSize;
        continue;
      }
      if (key === 'shape' && value.kind === 'list') dimensions = this.#shape(value);
      if (key === 'data' && value.kind === 'list') {
        data = value;
        this.#scan.holes.push(rowsHole(value));
      }
      if (this.#reply && !((key === 'shape' || key === 'data') && value.kind === 'list')) refuseList(value);
    }
    if (named < 2 || !dimensions) throw new Ended('refused');
    if (rawSize !== undefined) return this.#raw(dimensions, datatype, rawSize, data !== undefined);
    if (!data) throw new Ended('pass-through');
    const elements = dimensions.reduce((product, each) => product * each, 1);
    if (leavesOf(data).length !== elements) throw new Ended('refused');
    const items = dimensions[0] as number;
    if (data.values.length === 0) throw new Ended('pass-through');
    if (this.#forms.length > 0 && items !== this.#scan.items) throw new Ended('pass-through');
    this.#scan.items = items;
    const structures = new Set(data.values.map(structureOf));
    const isFlat = structures.size === 1 && structures.has('.');
    const isNested = structures.size === 1 && data.values.length === items;
    if (!isFlat && !isNested && this.#reply) throw new Ended('refused');
    this.#forms.push(isFlat || isNested ? `${[...structures][0]} ${kindsOf(data)}` : null);
  }

  #tensorParameters(value: JsonValue, outer: number): number | undefined {
    let size: number | undefined;
    for (const [index, each] of value.values.entries()) {
      const isSize = checkKey(value, index, outer) === 'binary_data_size' && each.kind !== 'null';
      if (this.#reply) refuseList(each);
      if (!isSize) continue;
      const text = this.#text.slice(each.start, each.end);
      if (!/^\d{1,10}$/.test(text) || Number(text) >= 2 ** 32) throw new Ended('refused');
      size = Number(text);
      this.#hole('raw-size', each);
    }
    return size;
  }

  #raw(dimensions: number[], datatype: string, size: number, hasData: boolean): void {
    if (hasData) throw new Ended('refused');
    const width = widths[datatype];
    if (width === undefined) throw new Ended('pass-through');
    const elements = dimensions.reduce((product, each) => product * each, 1);
    const fits = width > 0 || elements === 0 ? elements * width === size : 4 * elements <= size;
    if (!fits) throw new Ended('refused');
    if (this.raws.length === 64) throw new Ended('pass-through');
    this.raws.push({ size, elements: width === 0 && elements > 0 ? elements : undefined });
    const items = dimensions[0] as number;
    if (items === 0 || (this.#forms.length > 0 && items !== this.#scan.items)) throw new Ended('pass-through');
    this.#scan.items = items;
    this.#forms.push('raw');
  }

  #shape(list: JsonValue): number[] {
    if (list.values.length === 0) throw new Ended('pass-through');
    const sizes = list.values.map((each) => this.#text.slice(each.start, each.end));
    if (!sizes.every((each) => /^\d{1,10}$/.test(each) && Number(each) < 2 ** 31)) throw new Ended('refused');
    this.#hole('count', list.values[0] as JsonValue);
    return sizes.map(Number);
  }

  #hole(kind: ReferenceHole['kind'], value: JsonValue): void {
    this.#scan.holes.push({ kind, start: value.start, end: value.end, rows: [] });
  }
}
