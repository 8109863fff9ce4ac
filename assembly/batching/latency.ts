import { BATCH_ITEMS_MAX, clamp } from './memory';

/**
 * What one lane knows of L(n), the model's time for a batch of n items, in ms.
 *
 * ```
 *   buckets   weight, mean n, mean ms    one for each n to 16, then half-octaves of eight     (64 x 24 B)
 *   ratios    decayed histogram of (measured / expected), 256 log steps from 1/4 to 4          (256 x f32)
 *   table     expected ms for n = 0..limit, isotonic                                           ((limit+1) x f32)
 * ```
 *
 * Three layers, each the prior of the next: a line through the bucket means (bucket weights are capped, so that a
 * saturated upstream which shows one n only cannot turn the fit), the bucket's own mean where it has been seen, and
 * the isotonic regression of both (pool adjacent violators). The quantile L_q(n) = L(n) x (q-quantile of the ratios).
 *
 * A bucket's weight is what its samples are worth now: each sample of the lane takes a hundredth from all others, down
 * to a quarter of one. A size that was last seen while the model warmed up follows the fresh ones instead of holding
 * the curve where it was.
 *
 * Invariant: table[n] > 0 and non-decreasing. A single outlier moves neither mean nor line: a sample beyond three
 * spreads is held back until two more agree with it, and then the whole curve moves, because that is a change.
 */
@unmanaged
export class Latency {
  buckets: usize;
  ratios: usize;
  table: usize;
  limit: u32;
  /** Samples learned, all told. */
  seen: u32;
  /** Largest n that was ever measured. */
  largest: u32;
  /** Samples in a row that disagree on the same side, and the sum of their log ratios. */
  streak: i32;
  streakSum: f64;
  /** Decayed variance of the log ratio. */
  variance: f64;
  /** Measured / expected of the last handful of batches: how far the curve lags behind a model that changes its pace. */
  pace: f64;
  ratioWeight: f64;
  stale: u32;
  knee: u32;
  prior: f64;
  lineBase: f64;
  lineSlope: f64;
  factorQ: f64;
  factorWait: f64;
  quantile: f64;
}

// @ts-ignore: decorator
@inline const BUCKET_COUNT: u32 = 64;
// @ts-ignore: decorator
@inline const BUCKET_BYTES: usize = 24;
// @ts-ignore: decorator
@inline const RATIO_COUNT: u32 = 256;
// @ts-ignore: decorator
@inline const RATIO_SPAN: f64 = 1.3862943611198906; // ln 4
// @ts-ignore: decorator
@inline const RATIO_KEEP: f64 = 0.995;
// @ts-ignore: decorator
@inline const WEIGHT_KEEP: f64 = 0.99;
// @ts-ignore: decorator
@inline const YOUNG: f64 = 8;
// @ts-ignore: decorator
@inline const PACE_GAIN: f64 = 0.25;
// @ts-ignore: decorator
@inline const WEIGHT_MIN: f64 = 0.25;

/** Blocks of the isotonic regression at hand: value f64, weight f64, last n u32, for each. One curve is rebuilt at a time. */
const blocks = memory.data((<i32>BATCH_ITEMS_MAX + 1) * 24, 8);

/**
 * The rare slow batch is seldom in the two hundred samples that are remembered. Of a lognormal time the 99.9 % quantile
 * is about the 99 % quantile to the power of 1.33, and the 99.99 % quantile of 1.6.
 */
// @ts-ignore: decorator
@inline const TAIL: f64 = 1.5;

export function latencyBytes(limit: u32): usize {
  return <usize>BUCKET_COUNT * BUCKET_BYTES + <usize>RATIO_COUNT * 4 + ((<usize>limit + 2) << 2);
}

export function latencyInit(model: Latency, memory: usize, limit: u32, priorMs: f64, quantile: f64): void {
  model.buckets = memory;
  model.ratios = memory + <usize>BUCKET_COUNT * BUCKET_BYTES;
  model.table = model.ratios + <usize>RATIO_COUNT * 4;
  model.limit = limit;
  latencyForget(model, priorMs, quantile);
}

/** Back to knowing nothing but a guess. */
export function latencyForget(model: Latency, priorMs: f64, quantile: f64): void {
  memory.fill(model.buckets, 0, <usize>BUCKET_COUNT * BUCKET_BYTES + <usize>RATIO_COUNT * 4);
  model.seen = 0;
  model.largest = 0;
  model.streak = 0;
  model.streakSum = 0;
  model.variance = 0.0025;
  model.pace = 1;
  model.ratioWeight = 0;
  model.prior = priorMs;
  model.quantile = quantile;
  model.stale = 1;
}

/** Takes over another lane's curve as a weak prior: its means count as two samples each. */
export function latencySeed(model: Latency, from: Latency): void {
  memory.copy(model.buckets, from.buckets, <usize>BUCKET_COUNT * BUCKET_BYTES + <usize>RATIO_COUNT * 4);
  // A measured curve is trusted from the start; one that is still being learned is not.
  model.seen = from.seen >= 4 ? 8 : from.seen;
  model.largest = from.largest;
  model.variance = from.variance;
  model.pace = 1;
  model.ratioWeight = from.ratioWeight;
  weaken(model, 2);
  model.stale = 1;
}

// @ts-ignore: decorator
@inline
function bucketOf(n: u32): u32 {
  if (n <= 16) return n - 1;
  const octave = 31 - clz(n - 1);
  return 16 + (octave - 4) * 8 + (((n - 1) >> (octave - 3)) & 7);
}

// @ts-ignore: decorator
@inline
function bucketAt(model: Latency, index: u32): usize {
  return model.buckets + <usize>index * BUCKET_BYTES;
}

/** A measured batch: `items` took `ms`. */
export function latencyLearn(model: Latency, items: u32, ms: f64): void {
  const n = min(items, model.limit);
  const expected = latencyMean(model, n);
  const ratio = clamp(ms / expected, 0.25, 4.0);
  const logRatio = Math.log(ratio);
  const known = load<f64>(bucketAt(model, bucketOf(n))) >= 2.0;
  model.seen++;
  model.stale = 1;
  model.pace += PACE_GAIN * (ratio - model.pace);

  if (known && model.seen > 4) {
    const spread = max(0.18, 3.5 * Math.sqrt(model.variance));
    if (Math.abs(logRatio) > spread) {
      const side = logRatio > 0 ? 1 : -1;
      if (model.streak * side > 0) {
        model.streak += side;
        model.streakSum += Math.log(clamp(ms / expected, 0.001, 1000.0));
      } else {
        model.streak = side;
        model.streakSum = Math.log(clamp(ms / expected, 0.001, 1000.0));
      }
      addRatio(model, ratio);
      if (model.streak * side >= 3) shift(model, Math.exp(model.streakSum / 3.0));
      return;
    }
    model.streak = 0;
    model.variance += 0.03 * (logRatio * logRatio - model.variance);
    addRatio(model, ratio);
  }
  // What is known of other sizes bounds what one sample may say of this one.
  addSample(model, n, model.seen > 4 ? ratio * expected : ms);
}

/** A batch that had not ended after `ms`: what is known of it is only that it takes longer. */
export function latencyLearnBound(model: Latency, items: u32, ms: f64): void {
  if (ms > latencyMean(model, min(items, model.limit))) latencyLearn(model, items, ms);
}

function addSample(model: Latency, n: u32, ms: f64): void {
  // A young curve forgets faster, because models warm up over several batches.
  const keep = min(WEIGHT_KEEP, 1.0 - 2.0 / (<f64>model.seen + YOUNG));
  for (let i: u32 = 0; i < BUCKET_COUNT; i++) {
    const at = bucketAt(model, i);
    const weight = load<f64>(at);
    if (weight > 0) store<f64>(at, max(weight * keep, min(weight, WEIGHT_MIN)));
  }
  const bucket = bucketAt(model, bucketOf(n));
  const count = load<f64>(bucket) + 1.0;
  const gain = max(1.0 / count, 0.06);
  store<f64>(bucket, min(count, 64.0));
  store<f64>(bucket, load<f64>(bucket, 8) + gain * (<f64>n - load<f64>(bucket, 8)), 8);
  store<f64>(bucket, load<f64>(bucket, 16) + gain * (ms - load<f64>(bucket, 16)), 16);
  model.largest = max(model.largest, n);
}

function addRatio(model: Latency, ratio: f64): void {
  const step = min(<u32>((Math.log(ratio) / RATIO_SPAN + 1.0) * 0.5 * <f64>RATIO_COUNT), RATIO_COUNT - 1);
  for (let i: u32 = 0; i < RATIO_COUNT; i++) {
    const at = model.ratios + (<usize>i << 2);
    store<f32>(at, load<f32>(at) * <f32>RATIO_KEEP);
  }
  const at = model.ratios + (<usize>step << 2);
  store<f32>(at, load<f32>(at) + 1.0);
  model.ratioWeight = model.ratioWeight * RATIO_KEEP + 1.0;
}

/** The upstream changed its pace: the whole curve moves, and what was believed before is believed weakly. */
function shift(model: Latency, factor: f64): void {
  for (let i: u32 = 0; i < BUCKET_COUNT; i++) {
    const bucket = bucketAt(model, i);
    store<f64>(bucket, load<f64>(bucket, 16) * factor, 16);
  }
  memory.fill(model.ratios, 0, <usize>RATIO_COUNT << 2);
  model.ratioWeight = 0;
  model.streak = 0;
  model.pace = 1;
  weaken(model, 2);
}

function weaken(model: Latency, most: f64): void {
  for (let i: u32 = 0; i < BUCKET_COUNT; i++) {
    const bucket = bucketAt(model, i);
    store<f64>(bucket, min(load<f64>(bucket), most));
  }
}

/** Expected ms of a batch of `items`. */
// @ts-ignore: decorator
@inline
export function latencyMean(model: Latency, items: u32): f64 {
  if (model.stale) rebuild(model);
  return <f64>load<f32>(model.table + (<usize>min(items, model.limit) << 2));
}

/** The same at the model's present pace. */
export function latencyNow(model: Latency, items: u32): f64 {
  return latencyMean(model, items) * model.pace;
}

/** The ms that the promised share of batches of `items` stays below. */
// @ts-ignore: decorator
@inline
export function latencyQ(model: Latency, items: u32): f64 {
  return latencyMean(model, items) * model.factorQ;
}

/** The same for work that waits on purpose: it may spend only a tenth of the share that may miss. */
// @ts-ignore: decorator
@inline
export function latencyWait(model: Latency, items: u32): f64 {
  return latencyMean(model, items) * model.factorWait;
}

function rebuild(model: Latency): void {
  model.stale = 0;
  fitLine(model);
  const limit = model.limit;
  // `end` lies behind the last block.
  let end = blocks;
  for (let n: u32 = 1; n <= limit; n++) {
    const bucket = bucketAt(model, bucketOf(n));
    const line = model.lineBase + model.lineSlope * <f64>n;
    const count = load<f64>(bucket);
    let ms = line;
    if (count > 0) {
      // The bucket's mean, moved along the line from the bucket's mean size to n.
      const own = load<f64>(bucket, 16) + model.lineSlope * (<f64>n - load<f64>(bucket, 8));
      const trust = count / (count + 1.0);
      ms = line + trust * (own - line);
    }
    let weight = count + 0.1;
    ms = max(ms, 0.01);
    // Pool with the blocks below that are not smaller.
    while (end > blocks && load<f64>(end - 24) >= ms) {
      end -= 24;
      const both = weight + load<f64>(end, 8);
      ms = (ms * weight + load<f64>(end) * load<f64>(end, 8)) / both;
      weight = both;
    }
    store<f64>(end, ms);
    store<f64>(end, weight, 8);
    store<u32>(end, n, 16);
    end += 24;
  }
  let n: u32 = 0;
  for (let block = blocks; block < end; block += 24) {
    for (; n <= load<u32>(block, 16); n++) store<f32>(model.table + (<usize>n << 2), <f32>load<f64>(block));
  }
  model.factorQ = ratioQuantile(model, model.quantile);
  const rare = max(ratioQuantile(model, 1.0 - (1.0 - model.quantile) * 0.1), Math.pow(model.factorQ, TAIL));
  model.factorWait = max(model.factorQ, min(rare, 4.0)) + 0.01;
  model.knee = findKnee(model);
}

/** Weighted least squares through the bucket means, the slope pulled towards half of proportional. */
function fitLine(model: Latency): void {
  let w: f64 = 0;
  let sx: f64 = 0;
  let sy: f64 = 0;
  for (let i: u32 = 0; i < BUCKET_COUNT; i++) {
    const bucket = bucketAt(model, i);
    const weight = min(load<f64>(bucket), 8.0);
    if (weight <= 0) continue;
    w += weight;
    sx += weight * load<f64>(bucket, 8);
    sy += weight * load<f64>(bucket, 16);
  }
  if (w == 0) {
    model.lineBase = model.prior;
    model.lineSlope = model.prior * 0.1;
    return;
  }
  const mx = sx / w;
  const my = sy / w;
  let sxx: f64 = 0;
  let sxy: f64 = 0;
  for (let i: u32 = 0; i < BUCKET_COUNT; i++) {
    const bucket = bucketAt(model, i);
    const weight = min(load<f64>(bucket), 8.0);
    if (weight <= 0) continue;
    const dx = load<f64>(bucket, 8) - mx;
    sxx += weight * dx * dx;
    sxy += weight * dx * (load<f64>(bucket, 16) - my);
  }
  const pull = 0.05 * mx * mx;
  const slope = clamp((sxy + pull * ((0.5 * my) / mx)) / (sxx + pull), 0.0, my / mx);
  model.lineSlope = slope;
  model.lineBase = max(my - slope * mx, 0.0);
}

/**
 * The q-quantile of measured over expected; 25 % of caution until enough has been measured. The histogram's own
 * quantile rests on a handful of samples, so it meets the one of a lognormal of the same variance half-way when that
 * is lower; a heavy tail still shows.
 */
function ratioQuantile(model: Latency, q: f64): f64 {
  const weight = model.ratioWeight;
  if (weight < 4.0) return 1.15;
  const above = weight * (1.0 - q);
  let sum: f64 = 0;
  for (let i: i32 = RATIO_COUNT - 1; i >= 0; i--) {
    sum += <f64>load<f32>(model.ratios + (<usize>i << 2));
    if (sum > above) {
      const upper = ((<f64>(i + 1) / <f64>RATIO_COUNT) * 2.0 - 1.0) * RATIO_SPAN;
      const normal = 2.4 * Math.sqrt(model.variance);
      return max(Math.exp(0.5 * (upper + min(upper, normal))), 1.0) + (weight < 20.0 ? 0.05 : 0.0);
    }
  }
  return 1.15;
}

/**
 * The largest size worth forming for the sake of throughput: doubling goes on while two halves served together take at
 * least 5 % less than one after the other. 1 means that batching does not help.
 */
function findKnee(model: Latency): u32 {
  let knee: u32 = 1;
  while (knee < model.limit) {
    const twice = min(knee * 2, model.limit);
    const apart = <f64>load<f32>(model.table + (<usize>knee << 2)) * (<f64>twice / <f64>knee);
    if (<f64>load<f32>(model.table + (<usize>twice << 2)) > 0.95 * apart) break;
    knee = twice;
  }
  return knee;
}
