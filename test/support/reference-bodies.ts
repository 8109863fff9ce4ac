// A plain reference of measuring V1 and V2 JSON bodies: JSON.parse and a tree with offsets, no kernel.
import { type JsonValue, kindsOf, leavesOf, readJson, structureOf } from './json-text.ts';

/** A part of a body that differs between requests that may be merged. */
export interface ReferenceHole {
  kind: 'rows' | 'count' | 'id' | 'timeout' | 'priority';
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

/** What a body is: refused if it is no JSON or no body of the protocol, and otherwise as far as it can be batched. */
export function referenceScan(protocol: 'v1' | 'v2', body: Uint8Array, reply: boolean): ReferenceScan {
  const scan: ReferenceScan = { outcome: 'measured', items: 0, form: null, holes: [] };
  const root = readJson(body);
  if (!root || root.depth > depthMax) return { ...scan, outcome: 'refused' };
  try {
    if (root.kind !== 'object' || root.keys.length === 0) throw new Ended('pass-through');
    if (protocol === 'v1') readV1(root, reply, scan);
    else new V2Reader(Buffer.from(body).toString('latin1'), reply, scan).read(root);
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

class V2Reader {
  readonly #text: string;
  readonly #reply: boolean;
  readonly #scan: ReferenceScan;
  readonly #forms: (string | null)[] = [];

  constructor(text: string, reply: boolean, scan: ReferenceScan) {
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
    }
    if (!found) throw new Ended('refused');
    this.#scan.form = this.#forms.includes(null) ? null : this.#forms.join(' | ');
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
      if ((key === 'timeout' || key === 'priority') && each.kind === 'number') this.#hole(key, each);
    }
  }

  #tensor(tensor: JsonValue, outer: number): void {
    if (tensor.kind !== 'object') throw new Ended('refused');
    let dimensions: number[] | undefined;
    let data: JsonValue | undefined;
    let named = 0;
    for (const [index, value] of tensor.values.entries()) {
      const key = checkKey(tensor, index, outer);
      if ((key === 'name' || key === 'datatype') && value.kind === 'string') named++;
      if (key === 'shape' && value.kind === 'list') dimensions = this.#shape(value);
      if (key === 'data' && value.kind === 'list') {
        data = value;
        this.#scan.holes.push(rowsHole(value));
      }
      if (this.#reply && !((key === 'shape' || key === 'data') && value.kind === 'list')) refuseList(value);
    }
    if (named < 2 || !dimensions) throw new Ended('refused');
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
