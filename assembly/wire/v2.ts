import { scanBeside } from './beside';
import { HoleKind, WireStatus } from './codes';
import { closed, closeObject, keyIs, keyStartsWith, nextKey, nextMember, openObject } from './fields';
import { addRaw, widthOf } from './raw';
import { formOf, rowCount, rowKinds, rowLeaves, rowStructure, scanRows } from './rows';
import { namesSharedMemory } from './shared-memory';
import { skipSpace } from './text';
import { LEAF, scanValue } from './value';
import { addHole, fail } from './window';

/**
 * Items (the common first dimension) of the body that was measured last, and a hash of how its data is laid out; 0 where
 * data nests in another way than its shape, so that it cannot be joined with other data.
 */
export let itemsV2: u32 = 0;
export let formV2: u32 = 0;

/**
 * A V2 request (its `inputs`) or, with `reply`, a V2 reply (its `outputs`). With `raw`, tensors may have a
 * `binary_data_size` in the place of data. Holes: the `id`, each tensor's first
 * dimension and data, and the parameters that schedule (`timeout`, `priority`). Returns the position behind the object.
 */
export function measureV2(p: usize, reply: bool, raw: bool): usize {
  if (load<u8>(p) != 0x7b) {
    const end = scanValue(p, 0);
    return end == 0 ? 0 : fail(WireStatus.PassThrough, p);
  }
  const mark = openObject();
  const start = p;
  let found = false;
  isReply = reply;
  mayBeRaw = raw;
  tensors = 0;
  itemsV2 = 0;
  formV2 = 0;
  p = skipSpace(p + 1);
  if (load<u8>(p) == 0x7d) return fail(WireStatus.PassThrough, start);
  while (true) {
    p = nextKey(p, mark);
    if (p == 0) return 0;
    if (keyIs(reply ? 'outputs' : 'inputs')) {
      found = true;
      p = scanTensors(p);
    } else if (keyIs('id')) p = scanId(p);
    else if (!reply && keyIs('parameters')) p = scanParameters(p);
    else {
      const areOutputs = !reply && keyIs('outputs');
      const value = p;
      p = reply ? scanBeside(p, 1) : scanValue(p, 1);
      if (areOutputs && p != 0 && namesSharedMemory(value, p)) return fail(WireStatus.PassThrough, value);
    }
    if (p == 0) return 0;
    p = nextMember(p);
    if (p == 0) return 0;
    if (closed) break;
  }
  closeObject(mark);
  if (!found) return fail(WireStatus.Type, start);
  return p;
}

let isReply: bool = false;
let mayBeRaw: bool = false;
let tensors: u32 = 0;

/** The value of `id`. Writers that spell every field say null where they have none: that is part of the template. */
function scanId(p: usize): usize {
  if (load<u8>(p) == 0x6e) return scanValue(p, 1);
  const string = load<u8>(p) == 0x22;
  const end = scanValue(p, 1);
  if (end == 0) return 0;
  if (!string) return fail(WireStatus.Type, p);
  return addHole(HoleKind.Id, p, end, 0) ? end : 0;
}

/**
 * Request parameters. A sequence belongs to one instance of the model: it is forwarded, never batched. Only a whole number
 * can be compared with another caller's; anything else in `timeout` or `priority` keeps bodies apart, so that the model
 * tells nobody else that it is wrong.
 */
function scanParameters(p: usize): usize {
  if (load<u8>(p) == 0x6e) return scanValue(p, 1);
  if (load<u8>(p) != 0x7b) {
    const end = scanValue(p, 1);
    return end == 0 ? 0 : fail(WireStatus.Type, p);
  }
  const mark = openObject();
  p = skipSpace(p + 1);
  if (load<u8>(p) == 0x7d) return p + 1;
  while (true) {
    p = nextKey(p, mark);
    if (p == 0) return 0;
    if (keyStartsWith('sequence_')) return fail(WireStatus.PassThrough, p);
    const kind: u32 = keyIs('timeout') ? HoleKind.Timeout : keyIs('priority') ? HoleKind.Priority : 0;
    const end = scanValue(p, 2);
    if (end == 0) return 0;
    if (kind != 0 && wholeNumber(p, end, COMPARABLE_MAX) != NONE && !addHole(kind, p, end, 0)) return 0;
    p = nextMember(end);
    if (p == 0) return 0;
    if (closed) break;
  }
  closeObject(mark);
  return p;
}

function scanTensors(p: usize): usize {
  if (load<u8>(p) != 0x5b) {
    const end = scanValue(p, 1);
    return end == 0 ? 0 : fail(WireStatus.Type, p);
  }
  const start = p;
  p = skipSpace(p + 1);
  if (load<u8>(p) == 0x5d) return fail(WireStatus.PassThrough, start);
  while (true) {
    p = scanTensor(p);
    if (p == 0) return 0;
    p = skipSpace(p);
    const next = load<u8>(p);
    if (next == 0x5d) return p + 1;
    if (next != 0x2c) return fail(WireStatus.Syntax, p);
    p = skipSpace(p + 1);
  }
}

/**
 * One tensor: `name`, `shape`, `datatype`, `parameters`, `data`. Its data must have as many elements as its shape. How
 * they nest is the model's business in a request (most servers flatten what they read), as long as it gets that request
 * alone or beside others that nest in the same way; a reply must be flat or have one element for each item.
 */
function scanTensor(p: usize): usize {
  const start = p;
  if (load<u8>(p) != 0x7b) {
    const end = scanValue(p, 2);
    return end == 0 ? 0 : fail(WireStatus.Type, start);
  }
  const mark = openObject();
  let hasName = false;
  let hasType = false;
  let hasShape = false;
  let hasData = false;
  let rows: u32 = 0;
  let count: u32 = 0;
  let structure: u32 = 0;
  let kinds: u32 = 0;
  let type: usize = 0;
  let typeLength: u32 = 0;
  rawSize = NONE;
  p = skipSpace(p + 1);
  if (load<u8>(p) == 0x7d) return fail(WireStatus.Type, start);
  while (true) {
    p = nextKey(p, mark);
    if (p == 0) return 0;
    const string = load<u8>(p) == 0x22;
    const list = load<u8>(p) == 0x5b;
    if (keyIs('shape') && list) {
      hasShape = true;
      p = scanShape(p);
    } else if (keyIs('data') && list) {
      hasData = true;
      p = scanRows(p, 3);
      rows = rowCount;
      count = rowLeaves;
      structure = rowStructure;
      kinds = rowKinds;
    } else if (mayBeRaw && keyIs('parameters') && load<u8>(p) == 0x7b) p = scanTensorParameters(p);
    else {
      if (keyIs('name') && string) hasName = true;
      const isType = keyIs('datatype') && string;
      const value = p;
      p = isReply ? scanBeside(p, 3) : scanValue(p, 3);
      if (isType) {
        hasType = true;
        type = value + 1;
        typeLength = <u32>(p - value - 2);
      }
    }
    if (p == 0) return 0;
    p = nextMember(p);
    if (p == 0) return 0;
    if (closed) break;
  }
  closeObject(mark);
  if (rawSize != NONE && hasName && hasType && hasShape) {
    if (hasData) return fail(WireStatus.Raw, start);
    const width = widthOf(type, typeLength);
    if (width < 0) return fail(WireStatus.PassThrough, start);
    if (!addRaw(<u32>rawSize, width, shapeProduct, start)) return 0;
    hasData = true;
    rows = shapeFirst;
    count = <u32>shapeProduct;
    structure = LEAF;
    kinds = RAW_KIND;
  }
  // A tensor without data lies elsewhere (binary, shared memory): not ours to batch.
  if (hasName && hasType && hasShape && !hasData) return fail(WireStatus.PassThrough, start);
  if (!hasName || !hasType || !hasShape) return fail(WireStatus.Type, start);
  if (<f64>count != shapeProduct) return fail(WireStatus.Shape, start);
  // No rows, or tensors that do not share their first dimension: valid, but nothing to join or to share out.
  if (rows == 0 || (tensors > 0 && itemsV2 != shapeFirst)) return fail(WireStatus.PassThrough, start);
  itemsV2 = shapeFirst;
  const apart = structure != LEAF && (structure == 0 || rows != shapeFirst);
  if (apart && isReply) return fail(WireStatus.Shape, start);
  const before = formV2;
  formV2 = apart || (tensors > 0 && before == 0) ? 0 : (before * 31 + formOf(structure, kinds)) | 1;
  tensors++;
  return p;
}

// @ts-ignore: decorator
@inline const NONE: u64 = u64.MAX_VALUE;
/** Beyond it, what a host reads as a number is inexact: 2^53 - 1. */
// @ts-ignore: decorator
@inline const COMPARABLE_MAX: u64 = 9007199254740991;
/** Beside the kinds of leaves: a tensor in raw bytes. */
// @ts-ignore: decorator
@inline const RAW_KIND: u32 = 8;
let rawSize: u64 = NONE;

/** Parameters of a tensor that may be raw: its `binary_data_size` becomes a hole. */
function scanTensorParameters(p: usize): usize {
  const mark = openObject();
  p = skipSpace(p + 1);
  if (load<u8>(p) == 0x7d) return p + 1;
  while (true) {
    p = nextKey(p, mark);
    if (p == 0) return 0;
    const isSize = keyIs('binary_data_size') && load<u8>(p) != 0x6e;
    const value = p;
    p = isReply ? scanBeside(p, 4) : scanValue(p, 4);
    if (p == 0) return 0;
    if (isSize) {
      rawSize = wholeNumber(value, p, <u64>u32.MAX_VALUE);
      if (rawSize == NONE) return fail(WireStatus.Raw, value);
      if (!addHole(HoleKind.RawSize, value, p, 0)) return 0;
    }
    p = nextMember(p);
    if (p == 0) return 0;
    if (closed) break;
  }
  closeObject(mark);
  return p;
}

/** The value of a JSON number of digits alone, at most `max`; NONE for any other value. */
function wholeNumber(p: usize, end: usize, max: u64): u64 {
  if (end - p > 16) return NONE;
  let value: u64 = 0;
  for (; p < end; p++) {
    const digit = <u32>load<u8>(p) - 0x30;
    if (digit > 9) return NONE;
    value = value * 10 + digit;
  }
  return value <= max ? value : NONE;
}

let shapeFirst: u32 = 0;
let shapeProduct: f64 = 0;

/** A list of whole numbers below 2^31. The first becomes a hole. */
function scanShape(p: usize): usize {
  const start = p;
  shapeProduct = 1;
  let rank = 0;
  p = skipSpace(p + 1);
  // A scalar has no dimension along which requests could be joined.
  if (load<u8>(p) == 0x5d) return fail(WireStatus.PassThrough, start);
  while (true) {
    const digits = p;
    let value: f64 = 0;
    while (load<u8>(p) - 0x30 < 10 && p - digits < 10) {
      value = value * 10.0 + <f64>(load<u8>(p) - 0x30);
      p++;
    }
    const zeroLed = p - digits > 1 && load<u8>(digits) == 0x30;
    if (p == digits || zeroLed || value > 2147483647.0) {
      const end = scanValue(start, 3);
      return end == 0 ? 0 : fail(WireStatus.Shape, start);
    }
    if (rank == 0) {
      shapeFirst = <u32>value;
      if (!addHole(HoleKind.Count, digits, p, shapeFirst)) return 0;
    }
    shapeProduct *= value;
    rank++;
    p = skipSpace(p);
    const next = load<u8>(p);
    if (next == 0x5d) return p + 1;
    if (next != 0x2c) {
      const end = scanValue(start, 3);
      return end == 0 ? 0 : fail(WireStatus.Shape, start);
    }
    p = skipSpace(p + 1);
  }
}
