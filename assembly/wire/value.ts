import { WireStatus } from './codes';
import { runCount, scanNumber, scanNumberRun } from './number';
import { scanString, skipSpace } from './text';
import { fail } from './window';

/** Nesting that is accepted. */
// @ts-ignore: decorator
@inline export const DEPTH_MAX: u32 = 64;

/** Leaves of the value that `scanValue` read last, and their kinds: 1 numbers, 2 strings, 4 booleans. A null has none. */
export let leaves: u32 = 0;
export let leafKinds: u32 = 0;
/** How that value is built: a hash over its brackets, keys and numbers of elements, not over what they hold. */
export let structure: u32 = 0;

/** The structure of a value that is no list and no object. */
// @ts-ignore: decorator
@inline export const LEAF: u32 = 0x9e3779b1;

// A level's hash folds its members one by one, h = h x FACTOR + member, and counts the leaves between them, so that a
// leaf costs an addition and a run of numbers as well.
// @ts-ignore: decorator
@inline const FACTOR: u32 = 0x85ebca6b;

/** The hashes of the open levels: what stood before the value of that level. */
const outer: usize = heap.alloc(<usize>DEPTH_MAX * 4);

/**
 * One JSON value of any kind at nesting `depth`, from its first byte; returns the position behind it, or 0.
 * No recursion: bit i of `objects` says whether level i is an object.
 */
export function scanValue(p: usize, depth: u32): usize {
  const base = depth;
  let objects: u64 = 0;
  let hash: u32 = 0;
  let between: u32 = 0;
  let total: u32 = 0;
  let kinds: u32 = 0;
  while (true) {
    const c = <u32>load<u8>(p);
    if (c == 0x5b || c == 0x7b) {
      if (depth >= DEPTH_MAX) return fail(WireStatus.Depth, p);
      const object = c == 0x7b;
      store<u32>(outer + (<usize>depth << 2), hash + between * LEAF);
      total += between;
      between = 0;
      hash = 0;
      p = skipSpace(p + 1);
      const bit = <u64>1 << <u64>depth;
      objects = object ? objects | bit : objects & ~bit;
      depth++;
      // An empty level is closed below.
      if (<u32>load<u8>(p) != c + 2) {
        if (object) {
          const key = p;
          p = scanKey(p);
          if (p == 0) return 0;
          hash = keyHash(key);
          continue;
        }
        if (!ASC_FEATURE_SIMD || !startsNumber(load<u8>(p)) || endsSoon(p)) continue;
        const run = scanNumberRun(p);
        if (run == 0) continue;
        between = runCount;
        kinds |= 1;
        p = run;
      }
    } else {
      if (c == 0x22) {
        p = scanString(p);
        kinds |= 2;
      } else if (startsNumber(c)) {
        p = scanNumber(p);
        kinds |= 1;
      } else {
        p = scanLiteral(p, c);
        if (c != 0x6e) kinds |= 4;
      }
      if (p == 0) return 0;
      between++;
    }
    while (true) {
      if (depth == base) {
        structure = hash + between * LEAF;
        leaves = total + between;
        leafKinds = kinds;
        return p;
      }
      p = skipSpace(p);
      const next = load<u8>(p);
      const object = ((objects >> <u64>(depth - 1)) & 1) != 0;
      if (next == 0x2c) {
        p = skipSpace(p + 1);
        if (object) {
          const key = p;
          p = scanKey(p);
          if (p == 0) return 0;
          hash = (hash + between * LEAF) * FACTOR + keyHash(key);
          total += between;
          between = 0;
        }
        break;
      }
      if (next != (object ? 0x7d : 0x5d)) return fail(WireStatus.Syntax, p);
      p++;
      depth--;
      hash = load<u32>(outer + (<usize>depth << 2)) * FACTOR + closed(hash + between * LEAF, object);
      total += between;
      between = 0;
    }
  }
}

/** Whether a list ends within 16 bytes: its numbers are faster read one by one. */
// @ts-ignore: decorator
@inline
function endsSoon(p: usize): bool {
  const end = i8x16.splat(0x5d);
  return v128.any_true(i8x16.eq(v128.load(p), end));
}

/** A level with the hash of its members, as a member of the level around it. */
// @ts-ignore: decorator
@inline
function closed(members: u32, object: bool): u32 {
  let h = members + (object ? 0x7feb352d : 0x3c6ef372);
  h = (h ^ (h >> 15)) * 0x2c1b3c6d;
  return h ^ (h >> 13);
}

/** A hash of the key that `scanKey` read from `key` on, quotes left out, eight bytes at a time. */
// @ts-ignore: decorator
@inline
function keyHash(key: usize): u32 {
  let p = key + 1;
  let left = keyBytes;
  let h: u64 = left;
  while (left > 8) {
    h = (h ^ load<u64>(p)) * 0x9e3779b97f4a7c15;
    h ^= h >> 29;
    p += 8;
    left -= 8;
  }
  if (left > 0) h = (h ^ (load<u64>(p) << <u64>(64 - 8 * left))) * 0x9e3779b97f4a7c15;
  return <u32>(h >> 32);
}

// @ts-ignore: decorator
@inline
export function startsNumber(c: u32): bool {
  return c == 0x2d || c - 0x30 < 10;
}

let keyBytes: u32 = 0;

/** A key with its colon and the white space behind it. */
function scanKey(p: usize): usize {
  if (load<u8>(p) != 0x22) return fail(WireStatus.Syntax, p);
  const key = p;
  p = scanString(p);
  if (p == 0) return 0;
  keyBytes = <u32>(p - key) - 2;
  p = skipSpace(p);
  if (load<u8>(p) != 0x3a) return fail(WireStatus.Syntax, p);
  return skipSpace(p + 1);
}

/** `true`, `false` or `null`. */
function scanLiteral(p: usize, c: u32): usize {
  if (c == 0x74 && load<u32>(p) == 0x65757274) return p + 4;
  if (c == 0x6e && load<u32>(p) == 0x6c6c756e) return p + 4;
  if (c == 0x66 && load<u32>(p, 1) == 0x65736c61) return p + 5;
  return fail(WireStatus.Syntax, p);
}
