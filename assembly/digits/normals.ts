// Random weights from a seed: four xorshift32 generators side by side, a value being the sum of four draws (close to
// normal, variance 4/3). The scalar build draws and adds in the same order, so that all builds have the same bits.

const DRAWS: i32 = 4;
/** A draw is cut to 28 bits with its sign, so that four of them cannot overflow. */
const CUT: i32 = 4;
const UNIT: f32 = 1.0 / 134217728.0;

/** Spreads a number over 32 bits (the finaliser of MurmurHash3, public domain); never 0, which xorshift cannot leave. */
export function seedOf(n: u32): u32 {
  let x = n + 0x9e3779b9;
  x = (x ^ (x >> 16)) * 0x85ebca6b;
  x = (x ^ (x >> 13)) * 0xc2b2ae35;
  return (x ^ (x >> 16)) | 1;
}

/** Writes `count` values, a multiple of 4, that depend on `stream` alone. */
export function fillNormals(at: usize, count: i32, stream: u32): void {
  const a = seedOf(stream * 4);
  const b = seedOf(stream * 4 + 1);
  const c = seedOf(stream * 4 + 2);
  const d = seedOf(stream * 4 + 3);
  if (ASC_FEATURE_SIMD) {
    let x = i32x4.splat(a);
    x = i32x4.replace_lane(x, 1, b);
    x = i32x4.replace_lane(x, 2, c);
    x = i32x4.replace_lane(x, 3, d);
    const unit = f32x4.splat(UNIT);
    for (let i = 0; i < count; i += 4) {
      let sum = i32x4.splat(0);
      for (let k = 0; k < DRAWS; k++) {
        x = v128.xor(x, i32x4.shl(x, 13));
        x = v128.xor(x, i32x4.shr_u(x, 17));
        x = v128.xor(x, i32x4.shl(x, 5));
        sum = i32x4.add(sum, i32x4.shr_s(x, CUT));
      }
      v128.store(at + (<usize>i << 2), f32x4.mul(f32x4.convert_i32x4_s(sum), unit));
    }
  } else {
    fillLane(at, count, a);
    fillLane(at + 4, count, b);
    fillLane(at + 8, count, c);
    fillLane(at + 12, count, d);
  }
}

function fillLane(at: usize, count: i32, seed: u32): void {
  let x = seed;
  for (let i = 0; i < count; i += 4) {
    let sum: i32 = 0;
    for (let k = 0; k < DRAWS; k++) {
      x ^= x << 13;
      x ^= x >> 17;
      x ^= x << 5;
      sum += <i32>x >> CUT;
    }
    store<f32>(at + (<usize>i << 2), <f32>sum * UNIT);
  }
}
