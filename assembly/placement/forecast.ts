import { get, SECONDS_MAX } from './memory';

/**
 * Demand when a replica that is decided on now will serve, from the items of the last seconds, oldest first.
 *
 * Formula: level + trend x horizon + two margins. The level is the mean since the last change. A change is the cut that
 * takes most off the sum of squares; it counts where that is `CHANGE` times what chance does, and the seconds after it
 * are cut again, so that a step is known after one second and its size after two. A rise counts at once; a fall only
 * after `FALL_SECONDS`. A straight line over the same seconds replaces the steps where it leaves a smaller sum of
 * squares and rises beyond chance: then its end is the level and its slope the trend. The margins are the level's own
 * uncertainty and the spread of the seconds beyond Poisson's, both at `MARGIN` standard deviations.
 *
 * Why not exponential smoothing (Holt): it spreads a step over its time constant, so it is either slow or nervous, and
 * its trend overshoots after each step. Chance is judged by the index of dispersion of the differences between
 * neighbouring seconds, by their median, which neither a step nor a trend moves.
 */
@unmanaged
export class Forecast {
  /** Items a second, recorded and scratch. */
  seconds: usize;
  sorted: usize;
  count: i32;
  /** Out: items a second; seconds since the last change. */
  demand: f64;
  level: f64;
  since: i32;
}

/** Of the variance of a second: a difference of means of this many squared standard deviations is a change. */
const CHANGE: f64 = 14.0;
const FALL_SECONDS: i32 = 10;
/** A quantile of 95 %. */
const MARGIN: f64 = 1.645;
const HELD_SECONDS: i32 = 2;
const LINE_SECONDS: i32 = 30;
/** A trend is believed for this long. */
const TREND_SECONDS_MAX: f64 = 30.0;

export function forecast(past: Forecast, horizon: f64, heldSeconds: f64): void {
  const n = past.count;
  past.level = 0;
  past.demand = 0;
  past.since = n;
  if (n == 0) return;
  const spread = dispersion(past);
  let from = 0;
  let level = meanOf(past, 0, n);
  for (let depth = 0; depth < 4; depth++) {
    const cut = bestCut(past, from, spread);
    if (cut < 0) break;
    const after = meanOf(past, cut, n);
    // Until a fall is believed, the mean since the last rise counts, which a burst of one second leaves soon.
    if (after < level && n - cut < FALL_SECONDS) break;
    from = cut;
    level = after;
  }
  // What was held upstream during a start from zero comes in a second or two, but was asked for over the whole start.
  if (from > 0 && n - from <= HELD_SECONDS && meanOf(past, 0, from) == 0) {
    const length = <f64>(n - from);
    level *= length / (length + heldSeconds);
  }
  let trend: f64 = 0;
  const lineFrom = max(n - LINE_SECONDS, 0);
  if (n - lineFrom >= 8) {
    const slope = slopeOf(past, lineFrom);
    const length = <f64>(n - lineFrom);
    const middle = meanOf(past, lineFrom, n);
    const error = Math.sqrt((12.0 * spread * max(middle, 1)) / (length * length * length));
    if (slope > 3.5 * error && lineSquares(past, lineFrom, slope) < stepSquares(past, lineFrom, from)) {
      level = max(middle + slope * 0.5 * length, 0);
      trend = slope;
      from = lineFrom;
    }
  }
  // After a minute without a request nothing is expected; after one request anything up to a few.
  const variance = level > 0 ? spread * max(level, 1) : 0;
  const uncertain = Math.sqrt(variance / <f64>(n - from));
  const burst = Math.sqrt(max(spread - 1.5, 0) * level);
  past.level = level;
  past.since = n - from;
  past.demand = level + trend * min(horizon, TREND_SECONDS_MAX) + MARGIN * Math.sqrt(uncertain * uncertain + burst * burst);
}

/** Variance of a second over its mean, at least that of a Poisson process. */
function dispersion(past: Forecast): f64 {
  const n = past.count;
  if (n < 5) return 1;
  const sorted = past.sorted;
  for (let i = 1; i < n; i++) {
    const gap = Math.abs(get(past.seconds, i) - get(past.seconds, i - 1));
    let at = i - 1;
    while (at > 0 && get(sorted, at - 1) > gap) {
      store<f64>(sorted + (<usize>at << 3), get(sorted, at - 1));
      at--;
    }
    store<f64>(sorted + (<usize>at << 3), gap);
  }
  // Of a normal, the median of |differences| is 0.954 standard deviations of one second.
  const deviation = get(sorted, (n - 1) >> 1) / 0.954;
  return max((deviation * deviation) / max(meanOf(past, 0, n), 1), 1);
}

function meanOf(past: Forecast, from: i32, to: i32): f64 {
  let sum: f64 = 0;
  for (let i = from; i < to; i++) sum += get(past.seconds, i);
  return sum / <f64>(to - from);
}

/** Where the seconds from `from` on change most, or -1 if nowhere beyond chance. */
function bestCut(past: Forecast, from: i32, spread: f64): i32 {
  const n = past.count;
  let all: f64 = 0;
  for (let i = from; i < n; i++) all += get(past.seconds, i);
  let before: f64 = 0;
  let most: f64 = 0;
  let at = -1;
  for (let cut = from + 1; cut < n; cut++) {
    before += get(past.seconds, cut - 1);
    const left = <f64>(cut - from);
    const right = <f64>(n - cut);
    const gap = (all - before) / right - before / left;
    // By the standard error of the difference, whose seconds vary as much as those of the part with fewer items.
    const variance = spread * max(min(before / left, (all - before) / right), 1);
    const gain = (gap * gap * left * right) / ((left + right) * variance);
    if (gain > most) {
      most = gain;
      at = cut;
    }
  }
  return most > CHANGE ? at : -1;
}

/** Least squares: items a second, a second. */
function slopeOf(past: Forecast, from: i32): f64 {
  const n = past.count;
  const middle = 0.5 * <f64>(n - 1 + from);
  let top: f64 = 0;
  let bottom: f64 = 0;
  for (let i = from; i < n; i++) {
    const x = <f64>i - middle;
    top += x * get(past.seconds, i);
    bottom += x * x;
  }
  return bottom > 0 ? top / bottom : 0;
}

function lineSquares(past: Forecast, from: i32, slope: f64): f64 {
  const n = past.count;
  const middle = 0.5 * <f64>(n - 1 + from);
  const mean = meanOf(past, from, n);
  let sum: f64 = 0;
  for (let i = from; i < n; i++) {
    const miss = get(past.seconds, i) - mean - slope * (<f64>i - middle);
    sum += miss * miss;
  }
  return sum;
}

/** Of two steps, with the change at `cut`; of the mean, where the change came earlier. */
function stepSquares(past: Forecast, from: i32, cut: i32): f64 {
  return squares(past, from, max(cut, from)) + squares(past, max(cut, from), past.count);
}

function squares(past: Forecast, from: i32, to: i32): f64 {
  if (to <= from) return 0;
  const mean = meanOf(past, from, to);
  let sum: f64 = 0;
  for (let i = from; i < to; i++) {
    const miss = get(past.seconds, i) - mean;
    sum += miss * miss;
  }
  return sum;
}

/** Scratch words beside the seconds. */
export const SCRATCH_WORDS: i32 = SECONDS_MAX;
