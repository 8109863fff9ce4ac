// Shared bounds and small numeric helpers of the batching kernel.

/** No slot, no row, no node. */
// @ts-ignore: decorator
@inline export const NONE: u32 = 0xffffffff;

/** Rows of lanes in one domain at the most. */
// @ts-ignore: decorator
@inline export const LANES_MAX: u32 = 256;

/** Tenants that are told apart; the rest share tenant 0. */
// @ts-ignore: decorator
@inline export const TENANTS_MAX: u32 = 1024;

/** Bands of priority, 0 the most urgent. */
// @ts-ignore: decorator
@inline export const BANDS: u32 = 8;

/** The largest batch that a domain may be configured for, in items. */
// @ts-ignore: decorator
@inline export const BATCH_ITEMS_MAX: u32 = 1024;

/** Items of one request beyond which their number no longer matters: sums of them stay within 32 bits. */
// @ts-ignore: decorator
@inline export const ITEMS_MAX: u32 = 1 << 16;

/** Batches at the limit after which a refused size is tried again; doubled with each refusal, up to the second. */
// @ts-ignore: decorator
@inline export const RETRY_BATCHES: u32 = 256;
// @ts-ignore: decorator
@inline export const RETRY_BATCHES_MAX: u32 = 8192;

/** The host may be asked to come back after this long at the most, in ms. */
// @ts-ignore: decorator
@inline export const WAKE_MS_MAX: f64 = 60000.0;

/** A step that comes later than this after the last one, with work in flight, means that time or the host stood still. */
// @ts-ignore: decorator
@inline export const JUMP_MS: f64 = 5000.0;

/** Bytes of zeroed memory from the instance's own heap, aligned to 16. Called by `configure` only. */
export function allocate(bytes: usize): usize {
  const at = heap.alloc((bytes + 15) & ~15);
  memory.fill(at, 0, bytes);
  return at;
}

/** A trap unless `value` is a finite number within [low, high]: a number that is not one must not spread. */
export function checked(value: f64, low: f64, high: f64): f64 {
  assert(value >= low && value <= high);
  return value;
}

// @ts-ignore: decorator
@inline
export function clamp(value: f64, low: f64, high: f64): f64 {
  return min(max(value, low), high);
}

/** A well-mixed hash of a slot number: the treap's heap order, which needs no chance, only no pattern. */
// @ts-ignore: decorator
@inline
export function mix(x: u32): u32 {
  x ^= x >> 16;
  x *= 0x7feb352d;
  x ^= x >> 15;
  x *= 0x846ca68b;
  x ^= x >> 16;
  return x;
}
