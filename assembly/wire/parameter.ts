import { HoleKind } from './codes';
import { contentAt, fieldNumber, readTag, readVarint, skipField, WireType, wireType } from './proto';
import { addHole, holeCount } from './window';

/**
 * An entry of a map of parameters, of a request or of a tensor:
 *
 * ```
 *  LENGTH [ 1: key | 2: LENGTH [ one of bool 1, int64 2, string 3, double 4, uint64 5 ] ]
 * ```
 */
export const enum Entry {
  Read = 0,
  /** Not by the encoding. */
  Broken = 1,
  /** Two values (the last one would count, or both together), or a group. */
  Foreign = 2,
}

/** Where the entry that `readEntry` read last begins to be wrong. */
export let entryFailedAt: usize = 0;
let key: usize = 0;
let keyLength: u32 = 0;
let valueLengthAt: usize = 0;
let value: usize = 0;
let valueEnd: usize = 0;
let numberAt: usize = 0;

export function readEntry(content: usize, end: usize): Entry {
  keyLength = 0;
  value = 0;
  for (let p = content; p < end; ) {
    const at = readTag(p, end);
    if (at == 0) return failed(Entry.Broken, p);
    const number = fieldNumber;
    const type = wireType;
    if (type == WireType.Group) return failed(Entry.Foreign, at);
    p = skipField(at, end);
    if (p == 0) return failed(Entry.Broken, at);
    if (type != WireType.Bytes || number > 2) continue;
    if (number == 1) {
      key = contentAt;
      keyLength = <u32>(p - contentAt);
    } else {
      if (value != 0) return failed(Entry.Foreign, at);
      valueLengthAt = at;
      value = contentAt;
      valueEnd = p;
    }
  }
  return Entry.Read;
}

function failed(entry: Entry, at: usize): Entry {
  entryFailedAt = at;
  return entry;
}

export function entryIs(name: string): bool {
  return keyLength == <u32>name.length && entryStartsWith(name);
}

export function entryStartsWith(name: string): bool {
  if (keyLength < <u32>name.length) return false;
  for (let i = 0; i < name.length; i++) if (<i32>load<u8>(key + i) != name.charCodeAt(i)) return false;
  return true;
}

/** Whether the value is one whole number and nothing else; it is in `varint` then. */
export function entryHasNumber(): bool {
  if (value == 0) return false;
  numberAt = readTag(value, valueEnd);
  if (numberAt == 0 || wireType != WireType.Varint || (fieldNumber != 2 && fieldNumber != 5)) return false;
  return readVarint(numberAt, valueEnd) == valueEnd;
}

/** Makes holes of that number and of the lengths around it; false when there is no room. */
export function addEntryHoles(kind: HoleKind, rows: u32, lengthAt: usize, content: usize): bool {
  const hole = holeCount;
  if (!addHole(HoleKind.Length, lengthAt, content, hole + 3)) return false;
  if (!addHole(HoleKind.Length, valueLengthAt, value, hole + 3)) return false;
  return addHole(kind, numberAt, valueEnd, rows);
}
