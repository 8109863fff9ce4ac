/**
 * How much on-time work is due by when, in items: a calendar of counters over soft deadlines.
 *
 * ```
 *        now
 *         ▼
 *  ... │ 3 │ 0 │ 5 │ 12 │ ... │ 1 │        64 buckets, `width` ms each, a ring over absolute time
 *                                   far: items due beyond the ring
 * ```
 *
 * Invariant: the counters add up to the items of all on-time requests that wait. A slot remembers its bucket, so that
 * leaving is exact however late it happens.
 *
 * Why: the least rate that meets every deadline is max over t of (items due by t) / (t - now); one pass of 64 steps
 * answers it for any number that wait.
 */
// @ts-ignore: decorator
@inline const BUCKETS: i32 = 64;
// @ts-ignore: decorator
@inline export const FAR: u32 = 64;

@unmanaged
export class Demand {
  width: f64;
  counts: usize;
}

// @ts-ignore: decorator
@inline export const DEMAND_BYTES: usize = 65 * 4;

/** The bucket of a soft deadline, seen from `now`. */
export function demandBucket(demand: Demand, now: f64, soft: f64): u32 {
  const steps = (soft - now) / demand.width;
  if (steps >= <f64>(BUCKETS - 2)) return FAR;
  return <u32>(<i64>Math.floor(max(soft, now) / demand.width) & (BUCKETS - 1));
}

// @ts-ignore: decorator
@inline
export function demandAdd(demand: Demand, bucket: u32, items: i32): void {
  const at = demand.counts + (<usize>bucket << 2);
  store<i32>(at, load<i32>(at) + items);
}

/**
 * The least rate, in items per ms, at which everything that waits on time would meet its deadline.
 * A bucket counts as due at its end, but never sooner than half a bucket from now.
 */
export function demandRate(demand: Demand, now: f64): f64 {
  const width = demand.width;
  const first = Math.floor(now / width);
  const start = <i32>(<i64>first & (BUCKETS - 1));
  let due: i32 = 0;
  let rate: f64 = 0;
  for (let i = 0; i < BUCKETS; i++) {
    const items = load<i32>(demand.counts + (<usize>((start + i) & (BUCKETS - 1)) << 2));
    if (items == 0) continue;
    due += items;
    const left = max((first + <f64>(i + 1)) * width - now, width * 0.5);
    rate = max(rate, <f64>due / left);
  }
  return rate;
}
