import { WireStatus } from './codes';
import { fail } from './window';

// Strings and white space. Every function takes the position of its first byte and returns the position behind its
// last one, or 0 after `fail`.

// @ts-ignore: decorator
@inline
function isSpace(c: u32): bool {
  return c == 0x20 || c == 0x0a || c == 0x0d || c == 0x09;
}

// @ts-ignore: decorator
@inline
export function skipSpace(p: usize): usize {
  while (isSpace(load<u8>(p))) p++;
  return p;
}

/** A string from its opening quote on. */
export function scanString(p: usize): usize {
  const start = p;
  p++;
  while (true) {
    if (ASC_FEATURE_SIMD) {
      // Sixteen plain bytes at a time: neither quote nor backslash, no control character, nothing beyond ASCII.
      while (true) {
        const v = v128.load(p);
        const special = v128.or(
          v128.or(i8x16.eq(v, i8x16.splat(0x22)), i8x16.eq(v, i8x16.splat(0x5c))),
          i8x16.lt_s(v, i8x16.splat(0x20)),
        );
        const mask = i8x16.bitmask(special);
        if (mask != 0) {
          p += ctz(mask);
          break;
        }
        p += 16;
      }
    }
    const c = <u32>load<u8>(p);
    if (c == 0x22) return p + 1;
    if (c == 0x5c) {
      p = scanEscape(p);
      if (p == 0) return 0;
    } else if (c < 0x20) return fail(WireStatus.Syntax, c == 0 ? start : p);
    else if (c < 0x80) p++;
    else {
      p = scanMultibyte(p);
      if (p == 0) return 0;
    }
  }
}

function scanEscape(p: usize): usize {
  const c = <u32>load<u8>(p, 1);
  if (c == 0x75) {
    for (let i: usize = 2; i < 6; i++) {
      const h = <u32>load<u8>(p + i);
      const hex = h - 0x30 < 10 || (h | 0x20) - 0x61 < 6;
      if (!hex) return fail(WireStatus.Syntax, p);
    }
    return p + 6;
  }
  const known = c == 0x22 || c == 0x5c || c == 0x2f || c == 0x62 || c == 0x66 || c == 0x6e || c == 0x72 || c == 0x74;
  return known ? p + 2 : fail(WireStatus.Syntax, p);
}

/** Whether bytes are well-formed UTF-8. Calls `fail` where they are not. */
export function isUtf8(p: usize, end: usize): bool {
  while (p < end) {
    if (load<u8>(p) < 0x80) p++;
    else {
      const start = p;
      p = scanMultibyte(p);
      if (p == 0) return false;
      if (p > end) return fail(WireStatus.Encoding, start) != 0;
    }
  }
  return true;
}

/** One character of two to four bytes: no overlong form, no surrogate, nothing above U+10FFFF (RFC 3629). */
function scanMultibyte(p: usize): usize {
  const a = <u32>load<u8>(p);
  const b = <u32>load<u8>(p, 1);
  if (a >= 0xc2 && a <= 0xdf) return tail(b) ? p + 2 : fail(WireStatus.Encoding, p);
  const c = <u32>load<u8>(p, 2);
  if (a >= 0xe0 && a <= 0xef) {
    const low: u32 = a == 0xe0 ? 0xa0 : 0x80;
    const high: u32 = a == 0xed ? 0x9f : 0xbf;
    return b >= low && b <= high && tail(c) ? p + 3 : fail(WireStatus.Encoding, p);
  }
  if (a >= 0xf0 && a <= 0xf4) {
    const low: u32 = a == 0xf0 ? 0x90 : 0x80;
    const high: u32 = a == 0xf4 ? 0x8f : 0xbf;
    return b >= low && b <= high && tail(c) && tail(<u32>load<u8>(p, 3)) ? p + 4 : fail(WireStatus.Encoding, p);
  }
  return fail(WireStatus.Encoding, p);
}

// @ts-ignore: decorator
@inline
function tail(c: u32): bool {
  return (c & 0xc0) == 0x80;
}
