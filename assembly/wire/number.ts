import { WireStatus } from './codes';
import { fail } from './window';

// @ts-ignore: decorator
@inline
function isDigit(c: u32): bool {
  return c - 0x30 < 10;
}

/** One number by the grammar of RFC 8259, section 6. */
export function scanNumber(p: usize): usize {
  const start = p;
  if (load<u8>(p) == 0x2d) p++;
  const first = <u32>load<u8>(p);
  if (!isDigit(first)) return fail(WireStatus.Syntax, start);
  p++;
  if (first != 0x30) while (isDigit(load<u8>(p))) p++;
  if (load<u8>(p) == 0x2e) {
    p++;
    if (!isDigit(load<u8>(p))) return fail(WireStatus.Syntax, start);
    while (isDigit(load<u8>(p))) p++;
  }
  if ((load<u8>(p) | 0x20) == 0x65) {
    p++;
    const sign = load<u8>(p);
    if (sign == 0x2b || sign == 0x2d) p++;
    if (!isDigit(load<u8>(p))) return fail(WireStatus.Syntax, start);
    while (isDigit(load<u8>(p))) p++;
  }
  return p;
}

/** Numbers in the run that `scanNumberRun` validated last. */
export let runCount: u32 = 0;

// @ts-ignore: decorator
@inline
function mask64(a: v128, b: v128, c: v128, d: v128): u64 {
  return (
    <u64>(<u32>i8x16.bitmask(a)) |
    (<u64>(<u32>i8x16.bitmask(b)) << 16) |
    (<u64>(<u32>i8x16.bitmask(c)) << 32) |
    (<u64>(<u32>i8x16.bitmask(d)) << 48)
  );
}

// @ts-ignore: decorator
@inline
function equal64(a: v128, b: v128, c: v128, d: v128, byte: i8): u64 {
  const v = i8x16.splat(byte);
  return mask64(i8x16.eq(a, v), i8x16.eq(b, v), i8x16.eq(c, v), i8x16.eq(d, v));
}

// @ts-ignore: decorator
@inline
function digits64(a: v128, b: v128, c: v128, d: v128): u64 {
  const zero = i8x16.splat(0x30);
  const ten = i8x16.splat(10);
  return mask64(
    i8x16.lt_u(i8x16.sub(a, zero), ten),
    i8x16.lt_u(i8x16.sub(b, zero), ten),
    i8x16.lt_u(i8x16.sub(c, zero), ten),
    i8x16.lt_u(i8x16.sub(d, zero), ten),
  );
}

/**
 * Numbers separated by `,` or `, ` up to a `]`, from the first number's first byte: 64 bytes a round. Returns the
 * position of the `]`, or 0 without `fail` where the text is anything else; the plain scanner then decides.
 *
 * Each byte becomes one bit in a mask of its class. What may follow what is a shift and an AND. That a number has one
 * fraction and one exponent at most needs runs of digits: adding a bit at a run's first digit to the mask of digits
 * carries out of the run's end, and there a point (after a fraction or an exponent) or another `e` (after an exponent)
 * is wrong. Carries travel between rounds.
 */
export function scanNumberRun(p: usize): usize {
  let comma1: u64 = 1;
  let space1: u64 = 0;
  let minus1: u64 = 0;
  let lead1: u64 = 0;
  let point1: u64 = 0;
  let exp1: u64 = 0;
  let sign1: u64 = 0;
  let zero1: u64 = 0;
  let digit1: u64 = 0;
  let fractionCarry: u64 = 0;
  let exponentCarry: u64 = 0;
  let count: u32 = 1;
  while (true) {
    const a = v128.load(p);
    const b = v128.load(p, 16);
    const c = v128.load(p, 32);
    const d = v128.load(p, 48);
    let digit = digits64(a, b, c, d);
    let comma = equal64(a, b, c, d, 0x2c);
    let point = equal64(a, b, c, d, 0x2e);
    let minus = equal64(a, b, c, d, 0x2d);
    let space: u64 = 0;
    let exp: u64 = 0;
    let plus: u64 = 0;
    let other = ~(digit | comma | point | minus);
    if (other != 0) {
      space = equal64(a, b, c, d, 0x20);
      exp = equal64(a, b, c, d, 0x65) | equal64(a, b, c, d, 0x45);
      plus = equal64(a, b, c, d, 0x2b);
      other &= ~(space | exp | plus);
    }
    const stop = other != 0 ? <u32>ctz(other) : 64;
    if (stop < 64) {
      const keep = (<u64>1 << stop) - 1;
      digit &= keep;
      comma &= keep;
      point &= keep;
      minus &= keep;
      space &= keep;
      exp &= keep;
      plus &= keep;
    }
    const afterComma = (comma << 1) | comma1;
    const afterSpace = (space << 1) | space1;
    const afterExp = (exp << 1) | exp1;
    const afterPoint = (point << 1) | point1;
    const afterMinus = (minus << 1) | minus1;
    const afterDigit = (digit << 1) | digit1;
    const begin = afterComma | afterSpace;
    const lead = minus & begin;
    const afterLead = (lead << 1) | lead1;
    const sign = plus | (minus & afterExp);
    const afterSign = (sign << 1) | sign1;
    const zero = equal64(a, b, c, d, 0x30) & digit & (begin | afterLead);
    const afterZero = (zero << 1) | zero1;
    const whole = stop < 64 ? (<u64>1 << stop) - 1 : ~(<u64>0);

    let wrong = (space & ~afterComma) | (minus & ~(begin | afterExp)) | (plus & ~afterExp);
    wrong |= (point | exp | comma) & ~afterDigit;
    wrong |= whole & afterComma & ~(digit | minus | space);
    wrong |= whole & afterSpace & ~(digit | minus);
    wrong |= whole & (afterMinus | afterSign | afterPoint) & ~digit;
    wrong |= whole & afterExp & ~(digit | minus | plus);
    wrong |= afterZero & digit;

    const fraction = digit + (digit & afterPoint);
    let carried: u64 = fraction < digit ? 1 : 0;
    const fractionEnds = fraction + fractionCarry;
    if (fractionEnds < fraction) carried = 1;
    fractionCarry = carried;
    wrong |= fractionEnds & ~digit & point;

    const exponent = digit + (digit & ((afterExp | afterSign)));
    carried = exponent < digit ? 1 : 0;
    const exponentEnds = exponent + exponentCarry;
    if (exponentEnds < exponent) carried = 1;
    exponentCarry = carried;
    wrong |= exponentEnds & ~digit & (point | exp);
    if (wrong != 0) return 0;

    count += <u32>popcnt(comma);
    if (stop < 64) {
      // The list ends here, behind a digit.
      if (((afterDigit >> stop) & 1) == 0 || load<u8>(p + stop) != 0x5d) return 0;
      runCount = count;
      return p + stop;
    }
    comma1 = comma >> 63;
    space1 = space >> 63;
    minus1 = minus >> 63;
    lead1 = lead >> 63;
    point1 = point >> 63;
    exp1 = exp >> 63;
    sign1 = sign >> 63;
    zero1 = zero >> 63;
    digit1 = digit >> 63;
    p += 64;
  }
}
