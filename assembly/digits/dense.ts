import { PIXELS } from './layout';

/** Rectified response of one unit to four images that lie side by side; written to `out`, 4 f32. */
export function respondToFour(weights: usize, images: usize, bias: f32, scale: f32, out: usize): void {
  if (ASC_FEATURE_SIMD) {
    let a = f32x4.splat(0);
    let b = a;
    let c = a;
    let d = a;
    for (let i: usize = 0; i < <usize>PIXELS * 4; i += 16) {
      const w = v128.load(weights + i);
      const x = images + i;
      a = f32x4.add(a, f32x4.mul(w, v128.load(x)));
      b = f32x4.add(b, f32x4.mul(w, v128.load(x, PIXELS * 4)));
      c = f32x4.add(c, f32x4.mul(w, v128.load(x, PIXELS * 8)));
      d = f32x4.add(d, f32x4.mul(w, v128.load(x, PIXELS * 12)));
    }
    store<f32>(out, rectified(lanes(a), bias, scale));
    store<f32>(out, rectified(lanes(b), bias, scale), 4);
    store<f32>(out, rectified(lanes(c), bias, scale), 8);
    store<f32>(out, rectified(lanes(d), bias, scale), 12);
  } else {
    for (let k: usize = 0; k < 4; k++) {
      store<f32>(out + k * 4, respondToOne(weights, images + k * PIXELS * 4, bias, scale));
    }
  }
}

/** Rectified response of one unit to one image. */
export function respondToOne(weights: usize, image: usize, bias: f32, scale: f32): f32 {
  if (ASC_FEATURE_SIMD) {
    let sum = f32x4.splat(0);
    for (let i: usize = 0; i < <usize>PIXELS * 4; i += 16) {
      sum = f32x4.add(sum, f32x4.mul(v128.load(weights + i), v128.load(image + i)));
    }
    return rectified(lanes(sum), bias, scale);
  }
  let a: f32 = 0;
  let b: f32 = 0;
  let c: f32 = 0;
  let d: f32 = 0;
  for (let i: usize = 0; i < <usize>PIXELS * 4; i += 16) {
    a += load<f32>(weights + i) * load<f32>(image + i);
    b += load<f32>(weights + i, 4) * load<f32>(image + i, 4);
    c += load<f32>(weights + i, 8) * load<f32>(image + i, 8);
    d += load<f32>(weights + i, 12) * load<f32>(image + i, 12);
  }
  return rectified(a + b + (c + d), bias, scale);
}

// @ts-ignore: decorator
@inline
function lanes(v: v128): f32 {
  return (
    f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
  );
}

// @ts-ignore: decorator
@inline
function rectified(sum: f32, bias: f32, scale: f32): f32 {
  return max<f32>(0, sum * scale + bias);
}
