import { PIXELS, SIDE } from './layout';
import { fillNormals, seedOf } from './normals';

/**
 * Weights of one hidden unit: normal inside a window of its own of 8 to 15 pixels a side, 0 outside. Units that look
 * at a part of the image tell digits apart better than units that look at all of it (McDonnell et al., 2015,
 * doi:10.1371/journal.pone.0134254). The corner pixel, which is never lit, holds the bias.
 */
export function fillUnit(at: usize, stream: u32): void {
  fillNormals(at, PIXELS, stream);
  const bias = load<f32>(at);
  const dice = seedOf(stream ^ 0x5bd1e995);
  const width = <i32>(8 + (dice & 7));
  const height = <i32>(8 + ((dice >> 3) & 7));
  const left = <i32>(((dice >> 6) & 0x3ff) % <u32>(SIDE - width));
  const top = <i32>(((dice >> 16) & 0x3ff) % <u32>(SIDE - height));
  for (let y = 0; y < SIDE; y++) {
    const line = at + <usize>(y * SIDE) * 4;
    if (y < top || y >= top + height) {
      memory.fill(line, 0, SIDE * 4);
    } else {
      memory.fill(line, 0, <usize>left * 4);
      memory.fill(line + <usize>(left + width) * 4, 0, <usize>(SIDE - left - width) * 4);
    }
  }
  store<f32>(at, bias);
}
