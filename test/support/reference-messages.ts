// A plain reference of what gRPC inference messages are: a walk over fields in TypeScript, no kernel.

import { rawWidths } from './raw-bodies.ts';
import { holdsStrings } from './reference-bodies.ts';

/** One field as it stands. */
interface Field {
  number: number;
  type: number;
  value: bigint;
  content: Buffer;
}

export interface ReferenceMessage {
  outcome: 'measured' | 'pass-through' | 'refused';
  items: number;
}

class Ended extends Error {
  readonly outcome: 'pass-through' | 'refused';

  constructor(outcome: 'pass-through' | 'refused') {
    super(outcome);
    this.outcome = outcome;
  }
}

const refuse = (): never => {
  throw new Ended('refused');
};
const pass = (): never => {
  throw new Ended('pass-through');
};

/** A varint and where it ends; refused where it is none. */
function varint(bytes: Buffer, at: number): [bigint, number] {
  let value = 0n;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[at + i];
    if (byte === undefined || (i === 9 && byte > 1)) return refuse();
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return [value, at + i + 1];
  }
  return refuse();
}

/** All fields of a message, one by one: what is wrong with one shows when its turn comes. */
function* fieldsOf(bytes: Buffer): Generator<Field> {
  let at = 0;
  while (at < bytes.length) {
    const [tag, behind] = varint(bytes, at);
    const number = Number(tag >> 3n);
    const type = Number(tag & 7n);
    if (tag > 0xffffffffn || number === 0) refuse();
    if (type === 3) pass();
    let value = 0n;
    let content = bytes.subarray(behind, behind);
    if (type === 0) [value, at] = varint(bytes, behind);
    else if (type === 2) {
      const [length, start] = varint(bytes, behind);
      if (length > BigInt(bytes.length - start)) refuse();
      at = start + Number(length);
      content = bytes.subarray(start, at);
    } else {
      const width = type === 1 ? 8 : type === 5 ? 4 : refuse();
      at = behind + width;
      if (at > bytes.length) refuse();
      content = bytes.subarray(behind, at);
    }
    yield { number, type, value, content };
  }
}

interface Tensor {
  datatype: string;
  dimensions: number[];
  elements: number;
  /** What the parameter `binary_data_size` says, each time that it occurs. */
  sizes: bigint[];
}

/** What a ModelInferRequest, or ModelInferResponse, is: refused where it is none, and otherwise as far as it can be batched. */
export function referenceMessage(bytes: Buffer, reply: boolean): ReferenceMessage {
  try {
    return { outcome: 'measured', items: itemsOf(bytes, reply) };
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
    return { outcome: error.outcome, items: 0 };
  }
}

function itemsOf(bytes: Buffer, reply: boolean): number {
  const tensors: Tensor[] = [];
  const raws: Buffer[] = [];
  const once = new Set<number>();
  for (const { number, type, content } of fieldsOf(bytes)) {
    if (number === (reply ? 6 : 7) && type === 2) {
      if (raws.length === 64) pass();
      raws.push(content);
      continue;
    }
    const known = number <= (reply ? 5 : 6);
    if (!known || type !== 2) {
      if (reply) refuse();
      if (known) pass();
      continue;
    }
    if (number <= 3) {
      if (once.has(number)) pass();
      once.add(number);
      if (number === 3 && !isUtf8(content)) refuse();
    } else if (number === 4 && !reply) readParameter(content);
    else if (number === 6 && content.includes('shared_memory_')) pass();
    else if (number === 5) {
      if (tensors.length === 64) pass();
      tensors.push(readTensor(content, reply));
    }
  }
  if (tensors.length === 0 || (raws.length > 0 && raws.length !== tensors.length)) pass();
  for (const [i, { datatype, dimensions, elements, sizes }] of tensors.entries()) {
    if (elements > 0 === raws.length > 0) pass();
    if (raws.length === 0) {
      if (sizes.length > 0) pass();
      continue;
    }
    const raw = raws[i] as Buffer;
    const width = rawWidths[datatype];
    if (width === undefined) pass();
    const count = productOf(dimensions);
    const fits = width !== 0 || count === 0 ? count * (width as number) === raw.length : 4 * count <= raw.length;
    if (!fits) refuse();
    if (sizes.length > 1 || (sizes.length === 1 && sizes[0] !== BigInt(raw.length))) pass();
  }
  const items = tensors[0]?.dimensions[0] as number;
  if (items === 0 || tensors.some(({ dimensions }) => dimensions[0] !== items)) pass();
  if (reply) return items;
  // Strings are walked last, when everything else is known.
  for (const [i, { datatype, dimensions }] of tensors.entries()) {
    const count = productOf(dimensions);
    if (raws.length > 0 && datatype === 'BYTES' && count > 0 && !holdsStrings(raws[i] as Buffer, count)) refuse();
  }
  return items;
}

function productOf(dimensions: readonly number[]): number {
  return dimensions.reduce((product, each) => product * each, 1);
}

function isUtf8(bytes: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function readParameter(entry: Buffer): void {
  let key = '';
  let values = 0;
  for (const { number, type, content } of fieldsOf(entry)) {
    if (type !== 2) continue;
    if (number === 1) key = content.toString('latin1');
    if (number === 2 && ++values > 1) pass();
  }
  if (key.startsWith('sequence_')) pass();
}

function readTensor(bytes: Buffer, reply: boolean): Tensor {
  const tensor: Tensor = { datatype: '', dimensions: [], elements: -1, sizes: [] };
  const once = new Set<number>();
  const dimension = (value: bigint) => {
    if (value > 2147483647n) refuse();
    tensor.dimensions.push(Number(value));
  };
  for (const { number, type, value, content } of fieldsOf(bytes)) {
    if (number === 3 && type === 0) dimension(value);
    else if (number > 5 || type !== 2) {
      if (reply) refuse();
      if (number <= 5) pass();
    } else if (number === 3) {
      for (let at = 0; at < content.length; ) {
        const [each, next] = varint(content, at);
        dimension(each);
        at = next;
      }
    } else if (number === 4) {
      const size = sizeIn(content);
      if (size !== undefined) tensor.sizes.push(size);
    } else {
      if (once.has(number)) pass();
      once.add(number);
      if (number === 2) tensor.datatype = content.toString('latin1');
      if (number === 5 && content.length > 0) tensor.elements = countContents(content);
    }
  }
  if (!once.has(1) || !once.has(2) || tensor.dimensions.length === 0) pass();
  if (tensor.elements >= 0 && tensor.elements !== productOf(tensor.dimensions)) refuse();
  return tensor;
}

/** The number of a well-formed parameter `binary_data_size`. */
function sizeIn(entry: Buffer): bigint | undefined {
  try {
    const fields = [...fieldsOf(entry)].filter(({ type }) => type === 2);
    const values = fields.filter(({ number }) => number === 2);
    const key = fields.findLast(({ number }) => number === 1)?.content.toString('latin1');
    if (key !== 'binary_data_size' || values.length !== 1) return undefined;
    const [value, ...more] = [...fieldsOf(values[0]?.content as Buffer)];
    const isNumber = more.length === 0 && value?.type === 0 && (value.number === 2 || value.number === 5);
    return isNumber ? value.value : undefined;
  } catch (error) {
    if (error instanceof Ended) return undefined;
    throw error;
  }
}

/** Elements of one field, all packed in one list or all one by one. */
function countContents(bytes: Buffer): number {
  const [tag, behind] = varint(bytes, 0);
  const number = Number(tag >> 3n);
  const type = Number(tag & 7n);
  if (tag > 0xffffffffn || number === 0 || type === 4 || type > 5) refuse();
  if (type === 2 && number <= 7) {
    let length: bigint;
    let start: number;
    try {
      [length, start] = varint(bytes, behind);
    } catch {
      return pass();
    }
    if (Number(length) !== bytes.length - start) pass();
    if (number >= 6) {
      const width = number === 6 ? 4 : 8;
      return (bytes.length - start) % width === 0 ? (bytes.length - start) / width : refuse();
    }
    let count = 0;
    for (let at = start; at < bytes.length; count++) [, at] = varint(bytes, at);
    return count;
  }
  const single = number === 8 ? 2 : number === 6 ? 5 : number === 7 ? 1 : 0;
  if (number > 8 || type !== single) pass();
  let count = 0;
  try {
    for (const each of fieldsOf(bytes)) {
      if (each.number !== number || each.type !== type) pass();
      count++;
    }
  } catch {
    return pass();
  }
  return count;
}
