import { CELLS, FILTERS, SIDE, TAPS, cells, filters } from './layout';

/** Fills `cells` with the rectified responses of all filters to one image, summed over cells of 4 x 4 positions. */
export function convolve(image: usize): void {
  memory.fill(cells, 0, CELLS * FILTERS * 4);
  for (let y = 0; y < 24; y++) {
    for (let x = 0; x < 24; x++) {
      const cell = cells + <usize>((y >> 2) * 6 + (x >> 2)) * FILTERS * 4;
      const corner = image + <usize>(y * SIDE + x) * 4;
      for (let f: usize = 0; f < <usize>FILTERS * 4; f += 32) respond(corner, f, cell + f);
    }
  }
}

/** Eight filters at one position. */
function respond(corner: usize, first: usize, cell: usize): void {
  if (ASC_FEATURE_SIMD) {
    let a = f32x4.splat(0);
    let b = a;
    for (let tap = 0; tap < TAPS; tap++) {
      const pixel = v128.load32_splat(corner + <usize>((tap / 5) * SIDE + (tap % 5)) * 4);
      const w = filters + <usize>tap * FILTERS * 4 + first;
      a = f32x4.add(a, f32x4.mul(pixel, v128.load(w)));
      b = f32x4.add(b, f32x4.mul(pixel, v128.load(w, 16)));
    }
    const zero = f32x4.splat(0);
    v128.store(cell, f32x4.add(v128.load(cell), f32x4.max(a, zero)));
    v128.store(cell, f32x4.add(v128.load(cell, 16), f32x4.max(b, zero)), 16);
  } else {
    for (let k: usize = 0; k < 32; k += 4) {
      let sum: f32 = 0;
      for (let tap = 0; tap < TAPS; tap++) {
        const pixel = load<f32>(corner + <usize>((tap / 5) * SIDE + (tap % 5)) * 4);
        sum += pixel * load<f32>(filters + <usize>tap * FILTERS * 4 + first + k);
      }
      store<f32>(cell + k, load<f32>(cell + k) + max<f32>(sum, 0));
    }
  }
}
