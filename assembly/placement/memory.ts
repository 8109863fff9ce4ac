// Bounds and small numeric helpers of the placement kernel.

/** Options of one problem at the most. */
// @ts-ignore: decorator
@inline export const OPTIONS_MAX: i32 = 32;

/** Points of a latency curve at the most: what fits an option's row. */
// @ts-ignore: decorator
@inline export const POINTS_MAX: i32 = 32;

/** Seconds and minutes of recorded arrivals at the most. */
// @ts-ignore: decorator
@inline export const SECONDS_MAX: i32 = 60;
// @ts-ignore: decorator
@inline export const MINUTES_MAX: i32 = 1440;

/** The largest batch that is planned for, in items. */
// @ts-ignore: decorator
@inline export const BATCH_MAX: i32 = 1024;

/** Replicas of one option at the most. */
// @ts-ignore: decorator
@inline export const REPLICAS_MAX: f64 = 10000.0;

/** Bytes of zeroed memory from the instance's own heap, aligned to 16. Called by `configure` only. */
export function allocate(words: i32): usize {
  const bytes = <usize>words << 3;
  const at = heap.alloc((bytes + 15) & ~15);
  memory.fill(at, 0, bytes);
  return at;
}

/** The f64 word of a row. */
// @ts-ignore: decorator
@inline
export function get(row: usize, word: i32): f64 {
  return load<f64>(row + (<usize>word << 3));
}

// @ts-ignore: decorator
@inline
export function put(row: usize, word: i32, value: f64): void {
  store<f64>(row + (<usize>word << 3), value);
}

/** A trap unless `value` is a number within [low, high]: a number that is not one must not spread. */
export function checked(value: f64, low: f64, high: f64): f64 {
  assert(value >= low && value <= high);
  return value;
}

// @ts-ignore: decorator
@inline
export function clamp(value: f64, low: f64, high: f64): f64 {
  return min(max(value, low), high);
}
