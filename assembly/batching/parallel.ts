import { clamp } from './memory';

/**
 * How many batches one scope (a domain, or a lane) may have in flight: k, and at times one more to find out.
 *
 * A batch sent on top of k others either runs beside them, or waits until one of them ends. How long the first of them
 * went on is `blocked`, measured; what the batch took beyond L(n) is `extra`. Their sums over a probe give
 * f = extra / blocked: near 0 the upstream had room, near 1 there is a queue behind the kernel. One more is kept where
 * f < 0.5, that is, where at least half of the ideal gain came true. Then it is on trial: the next batches that run at
 * the full k are judged the same way and teach the curve nothing, so that a queue which a few lucky probes overlooked
 * is found before the curve takes it for model time.
 *
 * Invariant: 1 <= k <= most; the limit is k, or k + 1 while a probe runs. No probe during a trial.
 */
@unmanaged
export class Parallel {
  extra: f64;
  blocked: f64;
  nextProbe: f64;
  backoff: f64;
  /** Decayed time / L(n) of batches that ran at the full k. */
  stretch: f64;
  /** A probe batch may not follow the last one before this. */
  pausedUntil: f64;
  /** L(8) when the second batch was allowed. */
  level: f64;
  k: u32;
  most: u32;
  probing: u32;
  samples: u32;
  /** Whether the last one more is on trial. */
  trial: u32;
  unused: u32;
}

// @ts-ignore: decorator
@inline const BACKOFF_MS: f64 = 2500.0;
// @ts-ignore: decorator
@inline const BACKOFF_MS_MAX: f64 = 160000.0;
// @ts-ignore: decorator
@inline const PROBE_SAMPLES: u32 = 8;
// @ts-ignore: decorator
@inline const TRIAL_SAMPLES: u32 = 16;

/** A new scope starts with one and a probe for the second. */
export function parallelReset(parallel: Parallel, most: u32): void {
  parallel.k = 1;
  parallel.most = most;
  parallel.backoff = BACKOFF_MS;
  parallel.nextProbe = 0;
  parallel.stretch = 1;
  parallel.pausedUntil = 0;
  parallel.trial = 0;
  beginProbe(parallel);
}

function beginProbe(parallel: Parallel): void {
  parallel.probing = parallel.k < parallel.most ? 1 : 0;
  startCount(parallel);
}

function startCount(parallel: Parallel): void {
  parallel.extra = 0;
  parallel.blocked = 0;
  parallel.samples = 0;
}

/** Batches that may be in flight now. Begins a probe when its time has come. */
export function parallelLimit(parallel: Parallel, now: f64): u32 {
  if (!parallel.probing && !parallel.trial && now >= parallel.nextProbe) beginProbe(parallel);
  return parallel.k + parallel.probing;
}

/**
 * A probe batch was sent that takes `ms`. The first probe of a scope hurries; after a rejection probes come one in
 * five, because those that arrive behind one wait for two batches.
 */
export function parallelSent(parallel: Parallel, now: f64, ms: f64): void {
  if (parallel.backoff > BACKOFF_MS) parallel.pausedUntil = now + 5.0 * ms;
}

/**
 * A batch that was sent on top of k others took `extra` ms more than alone; the first of them ended after `blocked`.
 * `level` is the present L(8), kept to notice later that one more was too many.
 */
export function parallelLearn(
  parallel: Parallel,
  now: f64,
  extra: f64,
  blocked: f64,
  aloneMs: f64,
  level: f64,
): void {
  if (!parallel.probing || !counted(parallel, extra, blocked, aloneMs, PROBE_SAMPLES)) return;
  parallel.probing = 0;
  parallel.stretch = 1;
  if (parallel.extra < 0.5 * parallel.blocked) {
    parallel.k++;
    if (parallel.k == 2) parallel.level = level;
    parallel.trial = 1;
    startCount(parallel);
  } else reject(parallel, now);
}

/** The same for a batch that ran as the last of the k while that one is on trial. */
export function parallelTry(parallel: Parallel, now: f64, extra: f64, blocked: f64, aloneMs: f64): void {
  if (!counted(parallel, extra, blocked, aloneMs, TRIAL_SAMPLES)) return;
  parallel.trial = 0;
  parallel.stretch = 1;
  if (parallel.extra < 0.5 * parallel.blocked) {
    parallel.backoff = BACKOFF_MS;
    parallel.nextProbe = now;
  } else {
    parallel.k--;
    reject(parallel, now);
  }
}

/** Adds one sample. Whether there are enough to judge by. */
function counted(parallel: Parallel, extra: f64, blocked: f64, aloneMs: f64, enough: u32): bool {
  parallel.extra += clamp(extra, -blocked, 2.0 * blocked);
  parallel.blocked += blocked;
  parallel.samples++;
  return parallel.samples >= enough && parallel.blocked >= 2.0 * aloneMs;
}

function reject(parallel: Parallel, now: f64): void {
  parallel.nextProbe = now + parallel.backoff;
  parallel.backoff = min(parallel.backoff * 2.0, BACKOFF_MS_MAX);
}

/**
 * A batch that ran as one of the k took `ratio` times what the curve expects; L(8) is `level` now. When either doubles
 * against what it was with one in flight, k is halved: the curve alone would slowly take the queueing for model time.
 */
export function parallelWatch(parallel: Parallel, now: f64, ratio: f64, level: f64): void {
  if (parallel.k == 1) return;
  parallel.stretch += 0.15 * (clamp(ratio, 0.25, 4.0) - parallel.stretch);
  if (parallel.stretch < 1.8 && level < 1.8 * parallel.level) return;
  parallel.level = max(parallel.level, level * 0.6);
  parallel.k = max<u32>(parallel.k >> 1, 1);
  parallel.probing = 0;
  parallel.trial = 0;
  parallel.stretch = 1;
  parallel.nextProbe = now + 2000.0;
}
