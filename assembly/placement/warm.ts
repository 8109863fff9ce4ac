import { get } from './memory';

/** A request that misses because of a cold start is worth this many seconds of a replica. */
const MISS_SECONDS: f64 = 60.0;

/**
 * Whether one replica should stay warm while nothing arrives.
 *
 * Formula (the break-even rule of renting against buying): over the recorded minutes, each idle stretch longer than what
 * Knative waits anyway costs a warm replica its length beyond that wait, and costs a cold one a start and the requests
 * that miss meanwhile, the first one and what arrives during the start. The cheaper one wins. The stretch that lasts
 * still counts as if it ended now, and with no arrival in the whole record nothing speaks for warmth.
 */
export function keepWarm(minutes: usize, count: i32, waitMs: f64, coldMs: f64): bool {
  const cold = coldMs / 1000.0;
  const wait = waitMs / 1000.0;
  let warmCost: f64 = 0;
  let coldCost: f64 = 0;
  let idle: f64 = 0;
  let items: f64 = 0;
  for (let i = 0; i < count; i++) {
    const now = get(minutes, i);
    items += now;
    if (now <= 0) {
      idle += 60.0;
      continue;
    }
    if (idle > wait) {
      warmCost += idle - wait;
      coldCost += cold + MISS_SECONDS * (1.0 + (now * cold) / 60.0);
    }
    idle = 0;
  }
  if (items <= 0) return false;
  if (idle > wait) warmCost += idle - wait;
  // A busy record without idle stretches: the next one is as long as they come, and a start is dear.
  if (coldCost == 0 && warmCost == 0) return true;
  return warmCost <= max(coldCost, cold + MISS_SECONDS);
}
