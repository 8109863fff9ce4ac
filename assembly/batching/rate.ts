import { clamp } from './memory';

/**
 * Arrival rate in items per ms: three exponentially decayed counters, of two objectives, of one second and of ten.
 *
 * The one of two objectives sees a burst while what it brought can still be served in time; the one of a second sees a
 * rise in load; the slow one steadies both at low rates, where a second holds few arrivals.
 * A counter c with time constant T estimates the rate as c / T once the process is older than T.
 */
@unmanaged
export class Rate {
  burst: f64;
  quick: f64;
  slow: f64;
  at: f64;
  born: f64;
  last: f64;
  requests: f64;
  /** Time constant of `burst`. */
  burstMs: f64;
}

// @ts-ignore: decorator
@inline const QUICK_MS: f64 = 1000.0;
// @ts-ignore: decorator
@inline const SLOW_MS: f64 = 10000.0;

export function rateReset(rate: Rate, now: f64, sloMs: f64): void {
  rateScale(rate, sloMs);
  rate.burst = 0;
  rate.quick = 0;
  rate.slow = 0;
  rate.requests = 0;
  rate.at = now;
  rate.born = now;
  rate.last = now;
}

/** The objective changed. */
export function rateScale(rate: Rate, sloMs: f64): void {
  rate.burstMs = clamp(2.0 * sloMs, 50.0, QUICK_MS);
}

function decay(rate: Rate, now: f64): void {
  const passed = now - rate.at;
  if (passed <= 0) return;
  rate.burst *= Math.exp(-passed / rate.burstMs);
  rate.quick *= Math.exp(-passed / QUICK_MS);
  const keep = Math.exp(-passed / SLOW_MS);
  rate.slow *= keep;
  rate.requests *= keep;
  rate.at = now;
}

export function rateAdd(rate: Rate, now: f64, items: u32): void {
  decay(rate, now);
  rate.burst += <f64>items;
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

/** The same for a reader at any later time; changes nothing, so that reading never changes a decision. */
export function rateAt(rate: Rate, now: f64): f64 {
  const passed = max(now - rate.at, 0);
  const age = max(now - rate.born, 50.0);
  const quick = rate.quick * Math.exp(-passed / QUICK_MS);
  return max(quick / min(QUICK_MS, age), (rate.slow * Math.exp(-passed / SLOW_MS)) / min(SLOW_MS, age));
}

/** `rateNow`, or the rate of the last two objectives where that is larger: what the size of a batch has to keep up with. */
export function ratePeak(rate: Rate, now: f64): f64 {
  const steady = rateNow(rate, now);
  const age = max(now - rate.born, 50.0);
  return max(steady, rate.burst / min(rate.burstMs, age));
}

/** Expected ms until the next request: the mean gap, or the time since the last one where that is longer. */
export function rateGap(rate: Rate, now: f64): f64 {
  decay(rate, now);
  const perMs = rate.requests / min(SLOW_MS, max(now - rate.born, 50.0));
  const mean = perMs > 1e-9 ? 1.0 / perMs : 1e9;
  return max(mean, now - rate.last);
}
