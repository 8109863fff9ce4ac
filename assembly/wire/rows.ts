import { HoleKind, WireStatus } from './codes';
import { runCount, scanNumberRun } from './number';
import { skipSpace } from './text';
import { leaves, resetLeaves, scanValue } from './value';
import { addHole, cuts, fail } from './window';

/** Of the list that `scanRows` measured last: rows, leaves in all of it, and a hash of the rows' common form. */
export let rowCount: u32 = 0;
export let rowLeaves: u32 = 0;
/** 0: the rows are of different forms. */
export let rowForm: u32 = 0;

/**
 * A list of rows, from its `[` at nesting `depth`; what lies between the brackets becomes a hole. The form of a row is
 * its kind, how deep it nests at its beginning and how many leaves it has: rows that differ in it make a batch that a
 * model refuses, so they never share one.
 */
export function scanRows(p: usize, depth: u32): usize {
  const start = p + 1;
  rowCount = 0;
  rowLeaves = 0;
  rowForm = 0;
  p = skipSpace(start);
  if (load<u8>(p) == 0x5d) return addHole(HoleKind.Rows, start, p, 0) ? p + 1 : 0;
  if (ASC_FEATURE_SIMD && kindOf(load<u8>(p)) == 1) {
    const run = scanNumberRun(p);
    if (run != 0) {
      rowCount = runCount;
      rowLeaves = runCount;
      rowForm = formOf(1, 0, 1);
      return addHole(HoleKind.Rows, start, run, rowCount) ? run + 1 : 0;
    }
  }
  let mixed = false;
  while (true) {
    const kind = kindOf(load<u8>(p));
    const nesting = nestingOf(p);
    resetLeaves();
    const end = scanValue(p, depth + 1);
    if (end == 0) return 0;
    const form = formOf(kind, nesting, leaves);
    if (rowCount > 0 && form != rowForm) mixed = true;
    rowForm = form;
    rowLeaves += leaves;
    rowCount++;
    p = skipSpace(end);
    const next = load<u8>(p);
    if (next == 0x5d) break;
    if (next != 0x2c) return fail(WireStatus.Syntax, p);
    p = skipSpace(p + 1);
  }
  if (mixed) rowForm = 0;
  return addHole(HoleKind.Rows, start, p, rowCount) ? p + 1 : 0;
}

/** 1 number, 2 string, 3 literal, 4 array, 5 object. */
function kindOf(c: u32): u32 {
  if (c == 0x2d || c - 0x30 < 10) return 1;
  if (c == 0x22) return 2;
  if (c == 0x5b) return 4;
  return c == 0x7b ? 5 : 3;
}

function nestingOf(p: usize): u32 {
  let nesting: u32 = 0;
  while (load<u8>(p) == 0x5b) {
    nesting++;
    p = skipSpace(p + 1);
  }
  return nesting;
}

function formOf(kind: u32, nesting: u32, count: u32): u32 {
  return ((kind * 65 + nesting) * 0x9e3779b1) ^ (count * 0x85ebca6b) | 1;
}

/**
 * Finds where parts of a measured list end. `cuts` holds the number of elements of each part on the way in and, on the
 * way out, the offset behind the part's last element. The list must have exactly as many elements as the parts need.
 */
export function cutRows(base: usize, start: usize, end: usize, parts: u32, perRow: u32): bool {
  let p = skipSpace(start);
  for (let i: u32 = 0; i < parts; i++) {
    const at = cuts + (<usize>i << 2);
    let left = load<u32>(at) * perRow;
    while (left > 0) {
      if (p >= end) return false;
      if (ASC_FEATURE_SIMD && left > 1 && kindOf(load<u8>(p)) == 1) {
        const jumped = jumpNumbers(p, end, left - 1);
        left -= jumpedOver;
        p = skipSpace(jumped);
      }
      p = scanValue(p, 0);
      if (p == 0) return false;
      left--;
      if (left > 0) p = skipSpace(skipSpace(p) + 1);
    }
    store<u32>(at, <u32>(p - base));
    p = skipSpace(p);
    if (i + 1 < parts) {
      if (load<u8>(p) != 0x2c) return false;
      p = skipSpace(p + 1);
    }
  }
  return p >= end;
}

let jumpedOver: u32 = 0;

/** Steps over at most `most` numbers with the commas behind them, whole blocks of 64 bytes without a string at a time. */
function jumpNumbers(p: usize, end: usize, most: u32): usize {
  jumpedOver = 0;
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
  // Back to behind the last comma: a block may end inside a number.
  while (jumpedOver > 0 && load<u8>(p - 1) != 0x2c) p--;
  return p;
}
