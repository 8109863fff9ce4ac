import { countVarints, fieldNumber, readTag, readVarint, skipField, WireType, wireType } from './proto';
import { cuts } from './window';

/**
 * The elements of a gRPC tensor that are no raw bytes: one of the repeated fields of InferTensorContents.
 *
 * ```
 *  packed     tag | length | element element ...     the hole is the elements: `Varints`, or their width in bytes
 *  one by one tag element | tag element ...          the hole is all of it: `Tagged`
 * ```
 */
export const enum Elements {
  Varints = 1,
  Tagged = 2,
  Four = 4,
  Eight = 8,
}

/** How the packed elements of a field of InferTensorContents stand; 0: there is no such field. */
export function packedStyle(field: u32): u32 {
  if (field >= 1 && field <= 5) return Elements.Varints;
  return field == 6 ? Elements.Four : field == 7 ? Elements.Eight : 0;
}

/** How many elements stand between `p` and `end`; -1: they do not fill it. */
export function countElements(p: usize, end: usize, style: u32): i32 {
  if (style == Elements.Varints) return countVarints(p, end);
  const bytes = <u32>(end - p);
  if (style == Elements.Four || style == Elements.Eight) return bytes % style == 0 ? <i32>(bytes / style) : -1;
  let count = 0;
  for (; p < end; count++) {
    p = skipTagged(p, end);
    if (p == 0) return -1;
  }
  return count;
}

/** Whether all fields between `p` and `end` are elements one by one of the field `field`, in its encoding `type`. */
export function allTagged(p: usize, end: usize, field: u32, type: u32): bool {
  while (p < end) {
    p = readTag(p, end);
    if (p == 0 || fieldNumber != field || wireType != type) return false;
    p = skipField(p, end);
    if (p == 0) return false;
  }
  return true;
}

/** The encoding of one element by itself. */
export function elementType(field: u32): u32 {
  if (field == 8) return WireType.Bytes;
  return field == 6 ? WireType.Fixed32 : field == 7 ? WireType.Fixed64 : WireType.Varint;
}

function skipTagged(p: usize, end: usize): usize {
  p = readTag(p, end);
  return p == 0 ? 0 : skipField(p, end);
}

/** As `cutRows` does: `cuts` holds elements of each part and then where each ends, from `base` on. */
export function cutElements(base: usize, start: usize, end: usize, style: u32, parts: u32, perRow: u32): bool {
  let p = start;
  for (let i: u32 = 0; i < parts; i++) {
    const at = cuts + (<usize>i << 2);
    const count = <u64>load<u32>(at) * perRow;
    if (style >= <u32>Elements.Four) {
      if (count * style > <u64>(end - p)) return false;
      p += <usize>(count * style);
    } else {
      for (let left = count; left > 0; left--) {
        p = style == Elements.Varints ? readVarint(p, end) : skipTagged(p, end);
        if (p == 0) return false;
      }
    }
    store<u32>(at, <u32>(p - base));
  }
  return p == end;
}
