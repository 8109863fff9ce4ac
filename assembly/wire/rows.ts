import { HoleKind, WireStatus } from './codes';
import { runCount, scanNumberRun } from './number';
import { skipSpace } from './text';
import { LEAF, leafKinds, leaves, scanValue, startsNumber, structure } from './value';
import { addHole, cuts, fail } from './window';

/** Of the list that `scanRows` measured last: rows, leaves in all of it, and the kinds of its leaves. */
export let rowCount: u32 = 0;
export let rowLeaves: u32 = 0;
export let rowKinds: u32 = 0;
/** The structure that all rows have; 0 where they differ. */
export let rowStructure: u32 = 0;
/** Whether the leaves of all rows are of the same kinds. */
export let rowsOfOneKind: bool = false;

/**
 * A list of rows, from its `[` at nesting `depth`; what lies between the brackets becomes a hole. Rows that differ in
 * structure (brackets, keys, numbers of elements) or in the kinds of their leaves make a batch that a model refuses or
 * reads as something else: their lists never share one.
 */
export function scanRows(p: usize, depth: u32): usize {
  const start = p + 1;
  rowCount = 0;
  rowLeaves = 0;
  rowKinds = 0;
  rowStructure = 0;
  rowsOfOneKind = true;
  p = skipSpace(start);
  if (load<u8>(p) == 0x5d) return addHole(HoleKind.Rows, start, p, 0) ? p + 1 : 0;
  if (ASC_FEATURE_SIMD && startsNumber(load<u8>(p))) {
    const run = scanNumberRun(p);
    if (run != 0) {
      rowCount = runCount;
      rowLeaves = runCount;
      rowKinds = 1;
      rowStructure = LEAF;
      return addHole(HoleKind.Rows, start, run, rowCount, 1) ? run + 1 : 0;
    }
  }
  let mixed = false;
  let kindsOfFirst: u32 = 0;
  while (true) {
    const end = scanValue(p, depth + 1);
    if (end == 0) return 0;
    if (rowCount == 0) {
      rowStructure = structure;
      kindsOfFirst = leafKinds;
    } else {
      if (structure != rowStructure) mixed = true;
      if (leafKinds != kindsOfFirst) rowsOfOneKind = false;
    }
    rowLeaves += leaves;
    rowKinds |= leafKinds;
    rowCount++;
    p = skipSpace(end);
    const next = load<u8>(p);
    if (next == 0x5d) break;
    if (next != 0x2c) return fail(WireStatus.Syntax, p);
    p = skipSpace(p + 1);
  }
  const numbers = !mixed && rowStructure == LEAF && rowKinds == 1;
  if (mixed) rowStructure = 0;
  return addHole(HoleKind.Rows, start, p, rowCount, numbers ? 1 : 0) ? p + 1 : 0;
}

/** The form of a list's rows in one number, never 0. */
export function formOf(structure: u32, kinds: u32): u32 {
  return (structure * 31 + kinds * 0x9e3779b1) | 1;
}

/**
 * Finds where parts of a measured list end. `cuts` holds the number of elements of each part on the way in and, on the
 * way out, the offset behind the part's last element. The list must have exactly as many elements as the parts need.
 * `numbers`: numbers and nulls only.
 */
export function cutRows(
  base: usize,
  start: usize,
  end: usize,
  numbers: bool,
  parts: u32,
  perRow: u32,
): bool {
  let p = skipSpace(start);
  for (let i: u32 = 0; i < parts; i++) {
    const at = cuts + (<usize>i << 2);
    p = cutPart(p, end, load<u32>(at) * perRow, numbers);
    if (p == 0) return false;
    store<u32>(at, <u32>(p - base));
    p = skipSpace(p);
    if (i + 1 < parts) {
      if (load<u8>(p) != 0x2c) return false;
      p = skipSpace(p + 1);
    }
  }
  return p >= end;
}

/** The position behind `count` elements of a measured list that ends at `end`, or 0. `numbers`: nothing else is in it. */
export function cutPart(p: usize, end: usize, count: u32, numbers: bool): usize {
  let left = count;
  while (left > 0) {
    if (p >= end) return 0;
    if (ASC_FEATURE_SIMD && numbers && left > 1) {
      const jumped = jumpNumbers(p, end, left - 1);
      left -= jumpedOver;
      p = skipSpace(jumped);
    }
    p = scanValue(p, 0);
    if (p == 0) return 0;
    left--;
    if (left > 0) p = skipSpace(skipSpace(p) + 1);
  }
  return p;
}

let jumpedOver: u32 = 0;

/**
 * Steps over at most `most` numbers with the commas behind them, whole blocks of 64 bytes at a time. Only for lists of
 * numbers and nulls: elsewhere a comma may stand inside a string or a row.
 */
function jumpNumbers(p: usize, end: usize, most: u32): usize {
  jumpedOver = 0;
  const start = p;
  const comma = i8x16.splat(0x2c);
  while (p + 64 <= end) {
    const seen =
      popcnt(i8x16.bitmask(i8x16.eq(v128.load(p), comma))) +
      popcnt(i8x16.bitmask(i8x16.eq(v128.load(p, 16), comma))) +
      popcnt(i8x16.bitmask(i8x16.eq(v128.load(p, 32), comma))) +
      popcnt(i8x16.bitmask(i8x16.eq(v128.load(p, 48), comma)));
    if (jumpedOver + <u32>seen > most) break;
    jumpedOver += <u32>seen;
    p += 64;
  }
  // A number may be longer than a block.
  if (jumpedOver == 0) return start;
  // Back to behind the last comma: a block may end inside a number.
  while (load<u8>(p - 1) != 0x2c) p--;
  return p;
}
