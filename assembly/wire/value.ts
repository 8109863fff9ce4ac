import { WireStatus } from './codes';
import { runCount, scanNumber, scanNumberRun } from './number';
import { scanString, skipSpace } from './text';
import { fail } from './window';

/** Nesting that is accepted. */
// @ts-ignore: decorator
@inline export const DEPTH_MAX: u32 = 64;

/** Numbers and other leaves that the last `scanValue` counted below its own level: the size of a tensor. */
export let leaves: u32 = 0;

export function resetLeaves(): void {
  leaves = 0;
}

/**
 * One JSON value of any kind at nesting `depth`, from its first byte; returns the position behind it, or 0.
 * No recursion: bit i of `kinds` says whether level i is an object.
 */
export function scanValue(p: usize, depth: u32): usize {
  const base = depth;
  let kinds: u64 = 0;
  while (true) {
    const c = <u32>load<u8>(p);
    if (c == 0x5b || c == 0x7b) {
      if (depth >= DEPTH_MAX) return fail(WireStatus.Depth, p);
      const object = c == 0x7b;
      p = skipSpace(p + 1);
      if (<u32>load<u8>(p) == c + 2) p++;
      else {
        const bit = <u64>1 << <u64>depth;
        kinds = object ? kinds | bit : kinds & ~bit;
        depth++;
        if (object) {
          p = scanKey(p);
          if (p == 0) return 0;
          continue;
        }
        if (!ASC_FEATURE_SIMD || !startsNumber(load<u8>(p))) continue;
        const run = scanNumberRun(p);
        if (run == 0) continue;
        leaves += runCount;
        p = run;
      }
    } else {
      p = scanLeaf(p);
      if (p == 0) return 0;
      leaves++;
    }
    while (true) {
      if (depth == base) return p;
      p = skipSpace(p);
      const next = load<u8>(p);
      const object = ((kinds >> <u64>(depth - 1)) & 1) != 0;
      if (next == 0x2c) {
        p = skipSpace(p + 1);
        if (object) p = scanKey(p);
        if (p == 0) return 0;
        break;
      }
      if (next != (object ? 0x7d : 0x5d)) return fail(WireStatus.Syntax, p);
      p++;
      depth--;
    }
  }
}

// @ts-ignore: decorator
@inline
function startsNumber(c: u32): bool {
  return c == 0x2d || c - 0x30 < 10;
}

/** A key with its colon and the white space behind it. */
export function scanKey(p: usize): usize {
  if (load<u8>(p) != 0x22) return fail(WireStatus.Syntax, p);
  p = scanString(p);
  if (p == 0) return 0;
  p = skipSpace(p);
  if (load<u8>(p) != 0x3a) return fail(WireStatus.Syntax, p);
  return skipSpace(p + 1);
}

/** A string, a number or a literal. */
function scanLeaf(p: usize): usize {
  const c = <u32>load<u8>(p);
  if (c == 0x22) return scanString(p);
  if (startsNumber(c)) return scanNumber(p);
  if (c == 0x74 && load<u32>(p) == 0x65757274) return p + 4;
  if (c == 0x6e && load<u32>(p) == 0x6c6c756e) return p + 4;
  if (c == 0x66 && load<u32>(p, 1) == 0x65736c61) return p + 5;
  return fail(WireStatus.Syntax, p);
}
