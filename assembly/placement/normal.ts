/**
 * P(Z <= x) of a standard normal Z, to 1.5e-7 (Abramowitz and Stegun 7.1.26). Every build computes the same bits.
 */
export function normalBelow(x: f64): f64 {
  const y = Math.abs(x) * Math.SQRT1_2;
  const t = 1.0 / (1.0 + 0.3275911 * y);
  const poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const tail = 0.5 * poly * Math.exp(-y * y);
  return x < 0 ? tail : 1.0 - tail;
}

/** The x with P(Z > x) = `tail`, for tails up to one half, to 4.5e-4 (Abramowitz and Stegun 26.2.23). */
export function normalAbove(tail: f64): f64 {
  const t = Math.sqrt(-2.0 * Math.log(max(tail, 1e-12)));
  const above = 2.515517 + t * (0.802853 + t * 0.010328);
  const below = 1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308));
  return max(t - above / below, 0);
}
