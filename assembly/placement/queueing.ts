import { expectedMs, quantileMs } from './curve';
import { normalBelow } from './normal';
import { clamp } from './memory';

/**
 * How long requests take in one replica that serves batches: Poisson arrivals at rate r, `k` batches at once, whatever
 * waits goes together as soon as a server is free, at most b items.
 *
 * Formula. A batch of n takes T(n); meanwhile x = r T(n) / k arrive, and they are the next batch, or one that the server
 * waits for: n = x + exp(-x), whose least solution is found by halving. Around it the sizes are a first-order
 * autoregression, because a longer batch gathers a larger one: with slope s = T', g = r s / k and relative spread v,
 *
 *   var T = (s^2 x + v^2 T^2) / (1 - g^2).
 *
 * A request that finds the servers busy (share x / (x + exp(-x)) of them) waits a uniform part of the batch before it,
 * which it meets with a probability in proportion to its length, and then its own, which has 1 + Poisson(r T / k) items.
 * Both are integrated over normals (five points of Gauss and Hermite each); the uniform part in closed form.
 * What does not fit the next batch waits for whole batches more: the excess of a random walk with drift b - r T(b) / k,
 * whose tail is exponential.
 *
 * Regimes: alone (x << 1), batching (x > 1), full (x near b: the excess rules). Beyond r = k b / T(b) nothing is stable
 * and the share in time is 0. Source: the bulk queue M/G^[1,b]/1 (Bailey 1954; Chaudhry and Templeton 1983), closed by
 * moments here, because a plan for a thousand services has a millisecond for each.
 */
@unmanaged
export class Load {
  option: usize;
  /** Ms that a request may take, batches at once, largest batch. */
  within: f64;
  parallel: f64;
  batch: f64;
  /** Relative spread of the model's time. */
  spread: f64;
  /** Out: share of the requests in time, mean ms of a request, mean items of a batch. */
  inTime: f64;
  meanMs: f64;
  items: f64;
}

/** Of the relative spread: the curve's quantile is that of a lognormal, `z` standard deviations above. */
export function spreadOf(option: usize, n: f64, z: f64): f64 {
  if (z <= 0) return 0;
  return clamp(Math.log(quantileMs(option, n) / expectedMs(option, n)) / z, 0, 1);
}

/** Fills in the results for `rate` items a ms in one replica. */
export function weigh(load: Load, rate: f64): void {
  const option = load.option;
  const k = load.parallel;
  const b = load.batch;
  const alone = expectedMs(option, 1);
  if (rate <= 0) {
    load.inTime = within(load, alone);
    load.meanMs = alone;
    load.items = 1;
    return;
  }
  const full = expectedMs(option, b);
  const drift = b - (rate * full) / k;
  if (drift <= 0) {
    load.inTime = 0;
    load.meanMs = 1e9;
    load.items = b;
    return;
  }
  const n = meanItems(load, rate);
  const time = expectedMs(option, n);
  const x = (rate * time) / k;
  const slope = slopeAt(option, n, b);
  const g = min((rate * slope) / k, 0.98);
  const noise = load.spread * load.spread;
  const variance = (slope * slope * x + noise * time * time) / (1.0 - g * g);
  const empty = Math.exp(-x);
  const busy = x / (x + empty);

  // The excess over b: how likely, and how fast its tail falls, per ms of waiting.
  const deviation = Math.sqrt(x + (rate / k) * (rate / k) * variance);
  const jump = (rate * full) / k + (rate / k) * (rate / k) * noise * full * full;
  const fall = (2.0 * drift) / jump;
  const over = min((1.0 - normalBelow((b + 0.5 - x) / max(deviation, 1e-9))) * (1.0 + jump / (2.0 * drift * drift)), 1.0);
  const excess = over > 1e-6 ? over : 0.0;
  const fallMs = (fall * b * k) / full;

  const before = time + variance / time;
  const reach = Math.sqrt(2.0 * variance);
  let share: f64 = 0;
  let mean: f64 = 0;
  for (let i = 0; i < 5; i++) {
    const previous = max(before + reach * node(i), alone * 0.5);
    const gap = previous / k;
    const arrivals = rate * gap;
    const items = min(1.0 + arrivals, b);
    const own = expectedMs(option, items);
    const ownReach = Math.sqrt(2.0 * (slope * slope * (items < b ? arrivals : 0.0) + noise * own * own));
    const step = fallMs * gap;
    let good: f64 = 0;
    for (let j = 0; j < 5; j++) {
      const slack = load.within - max(own + ownReach * node(j), alone * 0.5);
      if (slack <= 0) continue;
      const part = min(slack / gap, 1.0);
      let inReach = part;
      if (excess > 0) {
        const end = fallMs * slack;
        const begin = end - part * step;
        // What is beyond exp(-20) is nothing.
        const first = begin <= 0 ? 1.0 : begin < 20 ? Math.exp(-begin) : 0.0;
        const last = end < 20 ? Math.exp(-end) : 0.0;
        inReach -= (excess * (first - last)) / step;
      }
      good += weight(j) * max(inReach, 0);
    }
    share += weight(i) * good;
    mean += weight(i) * (gap * 0.5 + own);
  }
  load.inTime = busy * share + (1.0 - busy) * within(load, alone);
  load.meanMs = busy * (mean + excess / fallMs) + (1.0 - busy) * alone;
  load.items = n;
}

/** Ms that one item more costs, around batches of `n`. */
function slopeAt(option: usize, n: f64, largest: f64): f64 {
  const low = max(n - 1, 1);
  const high = min(n + 1, largest);
  return high > low ? (expectedMs(option, high) - expectedMs(option, low)) / (high - low) : 0;
}

/** Mean items of a batch: the least n of n = x(n) + exp(-x(n)), at most b: by Newton's steps, by halving where they fail. */
function meanItems(load: Load, rate: f64): f64 {
  const each = rate / load.parallel;
  let n: f64 = 1;
  for (let i = 0; i < 6; i++) {
    const x = each * expectedMs(load.option, n);
    const empty = Math.exp(-x);
    const pull = each * slopeAt(load.option, n, load.batch) * (1.0 - empty);
    if (pull >= 0.98) break;
    const next = clamp(n + (x + empty - n) / (1.0 - pull), 1, load.batch);
    if (Math.abs(next - n) < 0.005 * n) return next;
    n = next;
  }
  let low: f64 = 1;
  let high = load.batch;
  while (high - low > 0.02) {
    n = 0.5 * (low + high);
    const x = each * expectedMs(load.option, n);
    if (x + Math.exp(-x) > n) low = n;
    else high = n;
  }
  return high;
}

/** Share of the batches of mean `ms` that end within the objective. */
function within(load: Load, ms: f64): f64 {
  if (load.spread < 1e-6) return ms <= load.within ? 1.0 : 0.0;
  return normalBelow(Math.log(load.within / ms) / load.spread);
}

/** Nodes and weights of the five-point rule of Gauss and Hermite, for a normal with weight exp(-x^2) / sqrt(pi). */
function node(i: i32): f64 {
  if (i == 2) return 0;
  const at = i == 0 || i == 4 ? 2.0201828704560856 : 0.9585724646138185;
  return i < 2 ? -at : at;
}

function weight(i: i32): f64 {
  if (i == 2) return 0.5333333333333333;
  return i == 0 || i == 4 ? 0.011257411327720691 : 0.2220759220056126;
}

/** Largest rate up to `limit`, in items a ms of one replica, at which `quantile` of the requests are in time, to 0.2 %; 0 if none. */
export function capacityOf(load: Load, quantile: f64, limit: f64): f64 {
  if (load.batch < 1) return 0;
  weigh(load, 0);
  if (load.inTime < quantile) return 0;
  let low: f64 = 0;
  let high = min((load.parallel * load.batch) / expectedMs(load.option, load.batch), limit);
  for (let i = 0; i < 9; i++) {
    const rate = 0.5 * (low + high);
    weigh(load, rate);
    if (load.inTime >= quantile) low = rate;
    else high = rate;
  }
  return low;
}
