import { WireStatus } from './codes';
import { scanString, skipSpace } from './text';
import { fail } from './window';

/**
 * Walks the members of one object that the protocol reads, and refuses a key that comes twice.
 *
 * ```
 *  keys   [128 x 8 B]   start u32 | length u32, of the members seen so far in the objects that are open
 * ```
 *
 * Objects nest (body, input), so each walk remembers where its own keys begin in the table.
 */
// @ts-ignore: decorator
@inline const KEYS_MAX: u32 = 128;
const keys: usize = heap.alloc(<usize>KEYS_MAX * 8);
let keyCount: u32 = 0;

/** The key that `nextKey` read last: its first byte and its length, without quotes. */
export let keyAt: usize = 0;
export let keyLength: u32 = 0;

export function openObject(): u32 {
  return keyCount;
}

export function closeObject(mark: u32): void {
  keyCount = mark;
}

export function resetKeys(): void {
  keyCount = 0;
}

/**
 * Reads a key, its colon and the white space behind it; returns the position of the value. A key with an escape might
 * spell a name that the protocol reads in another way: such a body is forwarded, not interpreted.
 */
export function nextKey(p: usize, mark: u32): usize {
  if (load<u8>(p) != 0x22) return fail(WireStatus.Syntax, p);
  const end = scanString(p);
  if (end == 0) return 0;
  keyAt = p + 1;
  keyLength = <u32>(end - p - 2);
  for (let i: u32 = 0; i < keyLength; i++) if (load<u8>(keyAt + i) == 0x5c) return fail(WireStatus.PassThrough, p);
  for (let i = mark; i < keyCount; i++) {
    const at = keys + (<usize>i << 3);
    if (load<u32>(at, 4) == keyLength && memory.compare(<usize>load<u32>(at), keyAt, keyLength) == 0)
      return fail(WireStatus.DuplicateKey, p);
  }
  if (keyCount == KEYS_MAX) return fail(WireStatus.TooMany, p);
  store<u32>(keys + (<usize>keyCount << 3), <u32>keyAt);
  store<u32>(keys + (<usize>keyCount << 3), keyLength, 4);
  keyCount++;
  p = skipSpace(end);
  if (load<u8>(p) != 0x3a) return fail(WireStatus.Syntax, p);
  return skipSpace(p + 1);
}

/** Whether the last key is `name`. */
export function keyIs(name: string): bool {
  if (keyLength != <u32>name.length) return false;
  for (let i = 0; i < name.length; i++) if (<i32>load<u8>(keyAt + i) != name.charCodeAt(i)) return false;
  return true;
}

export function keyStartsWith(name: string): bool {
  if (keyLength < <u32>name.length) return false;
  for (let i = 0; i < name.length; i++) if (<i32>load<u8>(keyAt + i) != name.charCodeAt(i)) return false;
  return true;
}

/** Behind a member: the position of the next key, of the closing brace with `closed` set, or 0. */
export let closed: bool = false;

export function nextMember(p: usize): usize {
  p = skipSpace(p);
  closed = load<u8>(p) == 0x7d;
  if (closed) return p + 1;
  if (load<u8>(p) != 0x2c) return fail(WireStatus.Syntax, p);
  return skipSpace(p + 1);
}
