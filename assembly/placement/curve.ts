import { OptionWord } from './codes';
import { BATCH_MAX, get } from './memory';

/**
 * A latency curve: how long a batch of n items takes, through measured points.
 *
 * ```
 *  option row:  ... | items e q | items e q | ...        e: expected ms, q: ms that the promised share stays below
 * ```
 *
 * Invariant: items rise strictly from point to point, times never fall, q >= e (the host sees to it, `plan` checks).
 * Between two points the curve is a line; before the first it is flat, which is never too short; beyond the last it
 * goes on as the last line did, and through the origin where there is one point only.
 */
// @ts-ignore: decorator
@inline
export function pointItems(option: usize, point: i32): f64 {
  return get(option, OptionWord.Curve + 3 * point);
}

/** Ms of a batch of `n` items: the expected time (`which` 1) or its quantile (2). */
export function timeOf(option: usize, n: f64, which: i32): f64 {
  const points = <i32>get(option, OptionWord.Points);
  const first = OptionWord.Curve + which;
  let right = 0;
  while (right < points && pointItems(option, right) < n) right++;
  if (right == 0) return get(option, first);
  if (points == 1) return (get(option, first) * n) / pointItems(option, 0);
  if (right == points) right--;
  const x0 = pointItems(option, right - 1);
  const x1 = pointItems(option, right);
  const y0 = get(option, first + 3 * (right - 1));
  const y1 = get(option, first + 3 * right);
  return y0 + ((y1 - y0) * (n - x0)) / (x1 - x0);
}

// @ts-ignore: decorator
@inline
export function expectedMs(option: usize, n: f64): f64 {
  return timeOf(option, n, 1);
}

// @ts-ignore: decorator
@inline
export function quantileMs(option: usize, n: f64): f64 {
  return timeOf(option, n, 2);
}

/**
 * The batch with the most items a ms among those whose quantile stays below `within` ms, the smaller one of equals; 0 if
 * a single item takes longer. On a line the rate n / (a + c n) is monotone, so the best size is a point or the largest.
 */
export function bestBatch(option: usize, within: f64, largest: f64): f64 {
  if (quantileMs(option, 1) > within) return 0;
  let low: f64 = 1;
  let high = min(largest, <f64>BATCH_MAX);
  while (low < high) {
    const middle = Math.ceil((low + high) * 0.5);
    if (quantileMs(option, middle) <= within) low = middle;
    else high = middle - 1;
  }
  let best: f64 = 1;
  let rate = 1.0 / expectedMs(option, 1);
  const points = <i32>get(option, OptionWord.Points);
  for (let i = 0; i <= points; i++) {
    const size = i == points ? low : pointItems(option, i);
    if (size > low || size <= best) continue;
    const its = size / expectedMs(option, size);
    // A batch that is larger for less than half a percent only makes callers wait.
    if (its > rate * 1.005) {
      best = size;
      rate = its;
    }
  }
  return best;
}
