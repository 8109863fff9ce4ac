import { HoleKind, WireStatus } from './codes';
import { allTagged, countElements, Elements, elementType, packedStyle } from './elements';
import { addEntryHoles, Entry, entryHasNumber, entryIs, readEntry } from './parameter';
import { contentAt, fieldNumber, readTag, readVarint, skipField, varint, WireType, wireType } from './proto';
import { widthOf } from './raw';
import { addHole, body, closeHole, fail, holeCount } from './window';

/**
 * The tensors of a gRPC message, in its order:
 *
 * ```
 *  tensors   [64 x 24 B]   elements f64 | width i32 (0: BYTES, -1: not known) | contents u32 (1: has some) | size i64
 * ```
 *
 * `size` is the number of the parameter `binary_data_size`, which gRPC has no use for and KServe writes beside raw contents
 * all the same; UNSAID where there is none.
 */
// @ts-ignore: decorator
@inline const TENSORS_MAX: u32 = 64;
// @ts-ignore: decorator
@inline const UNSAID: i64 = -1;
// @ts-ignore: decorator
@inline const CONTRADICTORY: i64 = -2;
const tensors: usize = heap.alloc(<usize>TENSORS_MAX * 24);
let count: u32 = 0;
let items: u32 = 0;
let unequal: bool = false;
/** Of which fields of InferTensorContents elements stand one by one. */
export let formOfContents: u32 = 1;

export function beginTensors(): void {
  count = 0;
  items = 0;
  unequal = false;
  formOfContents = 1;
}

export function tensorCount(): u32 {
  return count;
}

export function tensorElements(i: u32): f64 {
  return load<f64>(tensors + <usize>i * 24);
}

export function tensorWidth(i: u32): i32 {
  return load<i32>(tensors + <usize>i * 24, 8);
}

export function tensorHasContents(i: u32): bool {
  return load<u32>(tensors + <usize>i * 24, 12) != 0;
}

/** Whether the size that is said of a tensor, if one is, is this. */
export function tensorSizeFits(i: u32, bytes: i64): bool {
  const size = load<i64>(tensors + <usize>i * 24, 16);
  return size == UNSAID || size == bytes;
}

/** The common first dimension; 0 after `closeTensors` has failed. */
export function itemsOf(): u32 {
  return items;
}

/** No rows, or tensors that do not share their first dimension: valid, but nothing to join or to share out. */
export function closeTensors(): void {
  if (!unequal && items != 0) return;
  fail(WireStatus.PassThrough, body);
  items = 0;
}

let rank: u32 = 0;
let first: u32 = 0;
let product: f64 = 1;

/** One InferInputTensor or InferOutputTensor: name 1, datatype 2, shape 3, parameters 4, contents 5. */
export function scanTensor(lengthAt: usize, content: usize, end: usize, reply: bool): bool {
  if (count == TENSORS_MAX) return fail(WireStatus.TooMany, lengthAt) != 0;
  const hole = holeCount;
  if (!addHole(HoleKind.Length, lengthAt, content, 0)) return false;
  rank = 0;
  first = 0;
  product = 1;
  let seen: u32 = 0;
  let width = -1;
  let elements = -1;
  let size = UNSAID;
  for (let p = content; p < end; ) {
    const value = readTag(p, end);
    if (value == 0) return fail(WireStatus.Message, p) != 0;
    const number = fieldNumber;
    const type = wireType;
    if (type == WireType.Group) return fail(WireStatus.PassThrough, value) != 0;
    p = skipField(value, end);
    if (p == 0) return fail(WireStatus.Message, value) != 0;
    const inner = contentAt;
    if (number == 3 && type == WireType.Varint) {
      if (!addDimension(value, p)) return false;
    } else if (number > 5 || type != WireType.Bytes) {
      if (reply) return fail(WireStatus.ListBeside, value) != 0;
      if (number <= 5) return fail(WireStatus.PassThrough, value) != 0;
    } else if (number == 3) {
      if (!scanShape(value, inner, p)) return false;
    } else if (number == 4) {
      // Of other parameters all bytes must be equal, whatever they are.
      if (readEntry(inner, p) != Entry.Read || !entryIs('binary_data_size') || !entryHasNumber()) continue;
      size = size == UNSAID && varint <= <u64>i64.MAX_VALUE ? <i64>varint : CONTRADICTORY;
      if (!addEntryHoles(HoleKind.RawSize, count, value, inner)) return false;
    } else {
      // The last one of several would count, or all contents together.
      if ((seen & (1 << number)) != 0) return fail(WireStatus.PassThrough, value) != 0;
      seen |= 1 << number;
      if (number == 2) width = widthOf(inner, <u32>(p - inner));
      if (number == 5 && p > inner) {
        elements = scanContents(value, inner, p);
        if (elements < 0) return false;
      }
    }
  }
  closeHole(hole);
  if ((seen & 6) != 6 || rank == 0) return fail(WireStatus.PassThrough, lengthAt) != 0;
  if (elements >= 0 && <f64>elements != product) return fail(WireStatus.Shape, lengthAt) != 0;
  const at = tensors + <usize>count * 24;
  store<f64>(at, product);
  store<i32>(at, width, 8);
  store<u32>(at, elements > 0 ? 1 : 0, 12);
  store<i64>(at, size, 16);
  if (count > 0 && first != items) unequal = true;
  items = first;
  count++;
  return true;
}

/** Dimensions in one field, which is how they are mostly written. */
function scanShape(lengthAt: usize, content: usize, end: usize): bool {
  const hole = holeCount;
  if (!addHole(HoleKind.Length, lengthAt, content, 0)) return false;
  for (let p = content; p < end; ) {
    const next = readVarint(p, end);
    if (next == 0) return fail(WireStatus.Message, p) != 0;
    if (!addDimension(p, next)) return false;
    p = next;
  }
  closeHole(hole);
  return true;
}

/** The dimension that was read last. The first becomes a hole; a negative one is as large as 64 bits allow. */
function addDimension(p: usize, end: usize): bool {
  if (varint > 2147483647) return fail(WireStatus.Shape, p) != 0;
  if (rank == 0) {
    first = <u32>varint;
    if (!addHole(HoleKind.Count, p, end, first)) return false;
  }
  product *= <f64>varint;
  rank++;
  return true;
}

/**
 * InferTensorContents with something in it: elements of one field, all in one packed list or all one by one. Anything
 * else is for the model to understand. Returns how many there are, or -1.
 */
function scanContents(lengthAt: usize, content: usize, end: usize): i32 {
  const value = readTag(content, end);
  if (value == 0) return beyond(WireStatus.Message, content);
  const field = fieldNumber;
  const type = wireType;
  const hole = holeCount;
  if (!addHole(HoleKind.Length, lengthAt, content, 0)) return -1;
  const packed = packedStyle(field);
  if (type == WireType.Bytes && packed != 0) {
    if (skipField(value, end) != end) return beyond(WireStatus.PassThrough, value);
    const elements = contentAt;
    const many = countElements(elements, end, packed);
    if (many < 0) return beyond(WireStatus.Message, value);
    if (!addHole(HoleKind.Length, value, elements, hole + 3)) return -1;
    if (!addHole(HoleKind.Rows, elements, end, many, packed)) return -1;
    closeHole(hole);
    return many;
  }
  if (field > 8 || type != elementType(field)) return beyond(WireStatus.PassThrough, value);
  if (!allTagged(content, end, field, type)) return beyond(WireStatus.PassThrough, value);
  const many = countElements(content, end, Elements.Tagged);
  if (many < 0) return beyond(WireStatus.Message, value);
  if (!addHole(HoleKind.Rows, content, end, many, Elements.Tagged)) return -1;
  // Their tags are in the hole, so nothing outside says of which field they are.
  formOfContents = formOfContents * 31 + field;
  closeHole(hole);
  return many;
}

function beyond(status: WireStatus, at: usize): i32 {
  fail(status, at);
  return -1;
}
