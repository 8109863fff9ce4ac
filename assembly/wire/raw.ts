import { HoleKind, WireStatus } from './codes';
import { addHole, body, cuts, fail } from './window';

/**
 * Tensors whose elements are raw bytes (little endian, row-major) and not text: what a V2 body has behind its JSON, or a
 * gRPC message in its raw contents. Their elements are never read; only of BYTES the lengths are, which stand before each.
 *
 * ```
 *  raws   [64 x 8 B]   size u32 (bytes) | elements u32, of BYTES tensors only (0: all elements have one width)
 * ```
 */
// @ts-ignore: decorator
@inline const RAWS_MAX: u32 = 64;
const raws: usize = heap.alloc(<usize>RAWS_MAX * 8);
let rawCount: u32 = 0;
let rawSum: u64 = 0;

export function beginRaws(): void {
  rawCount = 0;
  rawSum = 0;
}

/** Bytes of one element by the name of its datatype; 0 for BYTES, -1 for a name that the protocol does not know. */
export function widthOf(name: usize, length: u32): i32 {
  if (is(name, length, 'BYTES')) return 0;
  if (is(name, length, 'BOOL')) return 1;
  const float = is(name, 2, 'FP');
  if (float || is(name, 3, 'INT') || is(name, 4, 'UINT')) {
    const digits: u32 = float ? 2 : load<u8>(name) == 0x49 ? 3 : 4;
    if (length == digits + 1 && load<u8>(name + digits) == 0x38 && !float) return 1;
    if (length != digits + 2) return -1;
    const bits = load<u16>(name + digits);
    return bits == 0x3631 ? 2 : bits == 0x3233 ? 4 : bits == 0x3436 ? 8 : -1;
  }
  return is(name, length, 'BF16') ? 2 : -1;
}

function is(name: usize, length: u32, text: string): bool {
  if (length != <u32>text.length) return false;
  for (let i = 0; i < text.length; i++) if (<i32>load<u8>(name + i) != text.charCodeAt(i)) return false;
  return true;
}

/**
 * Whether a tensor of `elements` elements of `width` bytes can have `size` bytes. Of BYTES, what its lengths say is
 * looked at when its bytes are seen.
 */
export function fits(size: u32, width: u32, elements: f64): bool {
  if (width != 0 || elements == 0) return <f64>width * elements == <f64>size;
  return elements * 4.0 <= <f64>size;
}

/** Notes a raw tensor of a JSON body; false when there is no room. */
export function addRaw(size: u32, width: u32, elements: f64, at: usize): bool {
  if (!fits(size, width, elements)) {
    fail(WireStatus.Raw, at);
    return false;
  }
  if (rawCount == RAWS_MAX) {
    fail(WireStatus.TooMany, at);
    return false;
  }
  store<u32>(raws + (<usize>rawCount << 3), size);
  store<u32>(raws + (<usize>rawCount << 3), width == 0 ? <u32>elements : 0, 4);
  rawCount++;
  rawSum += size;
  return true;
}

/** Makes a hole of every raw tensor behind a JSON text of `length` bytes. They must fill `bytes` exactly. */
export function placeRaws(length: u32, bytes: u32): void {
  let at = body + length;
  if (rawSum != bytes) {
    fail(WireStatus.Raw, at);
    return;
  }
  for (let i: u32 = 0; i < rawCount; i++) {
    const size = load<u32>(raws + (<usize>i << 3));
    const elements = load<u32>(raws + (<usize>i << 3), 4);
    if (!addHole(elements > 0 ? HoleKind.RawStrings : HoleKind.Raw, at, at + size, elements)) return;
    at += size;
  }
}

/**
 * Finds where parts of a BYTES tensor in the window end. `cuts` holds the number of elements of each part on the way in
 * and the offset behind its last one, from the tensor's first byte, on the way out. The lengths must fill it exactly.
 */
export function cutStrings(start: usize, end: usize, parts: u32, perRow: u32): bool {
  let p = start;
  for (let i: u32 = 0; i < parts; i++) {
    const at = cuts + (<usize>i << 2);
    for (let left = <u64>load<u32>(at) * perRow; left > 0; left--) {
      if (end - p < 4) return false;
      const length = load<u32>(p);
      p += 4;
      if (length > <u32>(end - p)) return false;
      p += length;
    }
    store<u32>(at, <u32>(p - start));
  }
  return p == end;
}
