import { HoleKind, WireStatus } from './codes';
import { contentAt, fieldNumber, readTag, readVarint, skipField, varint, WireType, wireType } from './proto';
import { addEntryHoles, Entry, entryFailedAt, entryHasNumber, entryIs, entryStartsWith, readEntry } from './parameter';
import { fits } from './raw';
import { namesSharedMemory } from './shared-memory';
import { beginTensors, closeTensors, itemsOf, scanTensor, tensorCount, tensorElements, tensorHasContents, tensorSizeFits, tensorWidth } from './tensor';
import { isUtf8 } from './text';
import { addHole, body, fail, failAtHole, failure, holeCount, setRaw, skipBytes } from './window';

/**
 * inference.ModelInferRequest and ModelInferResponse, in the window without the tensors:
 *
 * ```
 *  message   fields | 7: tag length | raw bytes ...... | 7: tag length | raw bytes ...... | fields
 *  window    fields | 7: tag length | 7: tag length | fields
 * ```
 *
 * The host puts pieces of the message into the window, one behind the other; each step reads the fields that are all there.
 * At a raw tensor that goes beyond the piece it stops and says where to go on: behind the tensor in the message, in its
 * place in the window. Tensors that are all in a piece stay there. Offsets of holes are those of the message.
 */
// @ts-ignore: decorator
@inline const RAWS_MAX: u32 = 64;
/** The hole of each raw tensor, and its bytes. */
const raws: usize = heap.alloc(<usize>RAWS_MAX * 8);
let rawCount: u32 = 0;
let isReply: bool = false;
/** Fields that occur once: those that were seen. */
let seen: u32 = 0;

// @ts-ignore: decorator
@inline export const FAILED: u32 = u32.MAX_VALUE;

/** Beyond it, what a host reads as a number is inexact: 2^53 - 1. */
// @ts-ignore: decorator
@inline const COMPARABLE_MAX: u64 = 9007199254740991;

/** Where in the window the next piece belongs. */
export let nextAt: usize = 0;

export function beginMessage(reply: bool): void {
  isReply = reply;
  rawCount = 0;
  seen = 0;
  nextAt = body;
  beginTensors();
}

/**
 * Reads a piece of `bytes` bytes at `at`; `left` bytes of the message are still to come, the piece included. Returns how
 * many of them are done with: 0 where the field is longer than the piece, FAILED where the message is none.
 */
export function stepMessage(at: usize, bytes: u32, left: u32): u32 {
  const end = at + bytes;
  const all = bytes == left;
  let p = at;
  while (p < end) {
    const field = p;
    let value = readTag(p, end);
    if (value == 0) return cutOff(field, at, all || end - p >= 10);
    const number = fieldNumber;
    const type = wireType;
    if (type == WireType.Group) return failed(WireStatus.PassThrough, field);
    if (type == WireType.Bytes) {
      const content = readVarint(value, end);
      if (content == 0) return cutOff(field, at, all || end - value >= 10);
      if (varint > <u64>(left - <u32>(content - at))) return failed(WireStatus.Message, value);
      const length = <u32>varint;
      if (number == (isReply ? 6 : 7)) {
        if (!addRaw(value, content, length)) return FAILED;
        if (length > <u32>(end - content)) {
          skipBytes(length);
          nextAt = content;
          return <u32>(content - at) + length;
        }
        p = content + length;
        continue;
      }
    }
    p = skipField(value, end);
    if (p == 0) return cutOff(field, at, all);
    if (!scanField(number, type, value, contentAt, p)) return FAILED;
  }
  nextAt = p;
  return bytes;
}

/** A field that is not all there: an error where nothing more comes. */
function cutOff(field: usize, at: usize, wrong: bool): u32 {
  if (wrong) return failed(WireStatus.Message, field);
  nextAt = field;
  return <u32>(field - at);
}

function failed(status: WireStatus, at: usize): u32 {
  fail(status, at);
  return FAILED;
}

/** One raw tensor: its length, then its bytes. */
function addRaw(lengthAt: usize, content: usize, length: u32): bool {
  if (rawCount == RAWS_MAX) {
    fail(WireStatus.TooMany, lengthAt);
    return false;
  }
  store<u32>(raws + (<usize>rawCount << 3), holeCount + 1);
  store<u32>(raws + (<usize>rawCount << 3), length, 4);
  rawCount++;
  return addHole(HoleKind.Length, lengthAt, content, holeCount + 2) && addHole(HoleKind.Raw, content, content + length, 0);
}

/** A field of the message that is no raw tensor; its value begins at `value`, what a length announces at `content`. */
function scanField(number: u32, type: u32, value: usize, content: usize, end: usize): bool {
  const known = number <= (isReply ? 5 : 6);
  if (!known || type != WireType.Bytes) {
    // What a reply has beside what is known may have one element for each item.
    if (isReply) fail(WireStatus.ListBeside, value);
    else if (known) fail(WireStatus.PassThrough, value);
    return !known && !isReply;
  }
  if (number <= 3) {
    // The last one of several would count.
    if ((seen & (1 << number)) != 0) return fail(WireStatus.PassThrough, value) != 0;
    seen |= 1 << number;
    if (number < 3) return true;
    return isUtf8(content, end) && addHole(HoleKind.Id, value, end, 0);
  }
  if (number == 4) return isReply || scanParameter(value, content, end);
  if (number == 6 && namesSharedMemory(content, end)) return fail(WireStatus.PassThrough, value) != 0;
  return number != 5 || scanTensor(value, content, end, isReply);
}

/**
 * A request parameter, an entry of a map. A sequence belongs to one instance of the model: it is forwarded, never
 * batched. The numbers of `timeout` and `priority` become holes, where they are such that can be compared: of a negative
 * one the model would hear from every caller in its batch.
 */
function scanParameter(lengthAt: usize, content: usize, end: usize): bool {
  const entry = readEntry(content, end);
  if (entry == Entry.Broken) return fail(WireStatus.Message, entryFailedAt) != 0;
  if (entry == Entry.Foreign) return fail(WireStatus.PassThrough, entryFailedAt) != 0;
  if (entryStartsWith('sequence_')) return fail(WireStatus.PassThrough, content) != 0;
  const isTimeout = entryIs('timeout');
  if (!isTimeout && !entryIs('priority')) return true;
  if (!entryHasNumber() || varint > COMPARABLE_MAX) return true;
  return addEntryHoles(isTimeout ? HoleKind.Timeout : HoleKind.Priority, 0, lengthAt, content);
}

/** Items of the message that was read, once all of it has been. 0 where `fail` was called. */
export function endMessage(): u32 {
  const tensors = tensorCount();
  if (failure != WireStatus.Ok) return 0;
  if (tensors == 0 || (rawCount != 0 && rawCount != tensors)) {
    fail(WireStatus.PassThrough, body);
    return 0;
  }
  for (let i: u32 = 0; i < tensors; i++) {
    // Contents in both forms, or in none (shared memory): for the model to judge.
    if (tensorHasContents(i) == (rawCount != 0)) {
      fail(WireStatus.PassThrough, body);
      return 0;
    }
    if (rawCount == 0) {
      if (!tensorSizeFits(i, -1)) {
        fail(WireStatus.PassThrough, body);
        return 0;
      }
      continue;
    }
    const hole = load<u32>(raws + (<usize>i << 3));
    const width = tensorWidth(i);
    if (width < 0) {
      fail(WireStatus.PassThrough, body);
      return 0;
    }
    const bytes = load<u32>(raws + (<usize>i << 3), 4);
    if (!fits(bytes, width, tensorElements(i))) {
      failAtHole(WireStatus.Raw, hole);
      return 0;
    }
    if (!tensorSizeFits(i, bytes)) {
      fail(WireStatus.PassThrough, body);
      return 0;
    }
    const strings = width == 0 && tensorElements(i) > 0;
    setRaw(hole, strings ? HoleKind.RawStrings : HoleKind.Raw, strings ? <u32>tensorElements(i) : 0);
  }
  closeTensors();
  return itemsOf();
}
