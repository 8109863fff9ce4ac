/**
 * Arrival rate in items per ms: two exponentially decayed counters, of one second and of ten.
 *
 * The quick one sees a burst within a second; the slow one steadies it at low rates, where a second holds few arrivals.
 * A counter c with time constant T estimates the rate as c / T once the process is older than T.
 */
@unmanaged
export class Rate {
  quick: f64;
  slow: f64;
  at: f64;
  born: f64;
  last: f64;
  requests: f64;
}

// @ts-ignore: decorator
@inline const QUICK_MS: f64 = 1000.0;
// @ts-ignore: decorator
@inline const SLOW_MS: f64 = 10000.0;

export function rateReset(rate: Rate, now: f64): void {
  rate.quick = 0;
  rate.slow = 0;
  rate.requests = 0;
  rate.at = now;
  rate.born = now;
  rate.last = now;
}

function decay(rate: Rate, now: f64): void {
  const passed = now - rate.at;
  if (passed <= 0) return;
  rate.quick *= Math.exp(-passed / QUICK_MS);
  const keep = Math.exp(-passed / SLOW_MS);
  rate.slow *= keep;
  rate.requests *= keep;
  rate.at = now;
}

export function rateAdd(rate: Rate, now: f64, items: u32): void {
  decay(rate, now);
  rate.quick += <f64>items;
  rate.slow += <f64>items;
  rate.requests += 1;
  rate.last = now;
}

/** Items per ms. The larger of both views, so that a rise is believed at once and a lull only after a while. */
export function rateNow(rate: Rate, now: f64): f64 {
  decay(rate, now);
  const age = max(now - rate.born, 50.0);
  return max(rate.quick / min(QUICK_MS, age), rate.slow / min(SLOW_MS, age));
}

/** Expected ms until the next request: the mean gap, or the time since the last one where that is longer. */
export function rateGap(rate: Rate, now: f64): f64 {
  decay(rate, now);
  const perMs = rate.requests / min(SLOW_MS, max(now - rate.born, 50.0));
  const mean = perMs > 1e-9 ? 1.0 / perMs : 1e9;
  return max(mean, now - rate.last);
}
