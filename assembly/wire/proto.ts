// The encoding of Protocol Buffers (https://protobuf.dev/programming-guides/encoding/), as far as a walk over fields needs
// it. Every function takes a position and the end of what it may read, and returns the position behind what it read, or 0.

/** The value that `readVarint` read last. */
export let varint: u64 = 0;

/** A number of at most ten bytes, seven bits in each, the lowest first. 0: cut off, or larger than 64 bits. */
export function readVarint(p: usize, end: usize): usize {
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 70 && p < end; shift += 7) {
    const byte = <u64>load<u8>(p++);
    if (shift == 63 && byte > 1) return 0;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      varint = value;
      return p;
    }
  }
  return 0;
}

/**
 * How a field is encoded. Groups are of old and in no message of ours: whoever reads a tag forwards a message with one. Its
 * end (4) belongs to one that was begun.
 */
export const enum WireType {
  Varint = 0,
  Fixed64 = 1,
  Bytes = 2,
  Group = 3,
  Fixed32 = 5,
}

/** Number and encoding of the field that `readTag` read last. */
export let fieldNumber: u32 = 0;
export let wireType: u32 = 0;

/** 0 too where the number or the encoding is none. */
export function readTag(p: usize, end: usize): usize {
  p = readVarint(p, end);
  if (p == 0 || varint > <u64>u32.MAX_VALUE) return 0;
  fieldNumber = <u32>(varint >> 3);
  wireType = <u32>varint & 7;
  return fieldNumber == 0 || wireType > 5 || wireType == 4 ? 0 : p;
}

/** Where the content of the length-delimited field begins whose value was skipped or read last; elsewhere its value. */
export let contentAt: usize = 0;

/** The value of a field whose tag was read last. */
export function skipField(p: usize, end: usize): usize {
  contentAt = p;
  if (wireType == WireType.Varint) return readVarint(p, end);
  if (wireType == WireType.Fixed64) return end - p < 8 ? 0 : p + 8;
  if (wireType == WireType.Fixed32) return end - p < 4 ? 0 : p + 4;
  if (wireType != WireType.Bytes) return 0;
  p = readVarint(p, end);
  if (p == 0 || varint > <u64>(end - p)) return 0;
  contentAt = p;
  return p + <usize>varint;
}

/** How many numbers a packed field holds, or -1 where its bytes are not numbers exactly. */
export function countVarints(p: usize, end: usize): i32 {
  let count = 0;
  while (p < end) {
    if (ASC_FEATURE_SIMD && end - p >= 16) {
      // Sixteen numbers of one byte each.
      if (i8x16.bitmask(v128.load(p)) == 0) {
        count += 16;
        p += 16;
        continue;
      }
    }
    p = readVarint(p, end);
    if (p == 0) return -1;
    count++;
  }
  return count;
}
