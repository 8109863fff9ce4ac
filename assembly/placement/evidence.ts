// Whether a candidate is worse than its baseline: a sequential test that may be looked at after every block.
//
// A block holds the requests that both answered in the same interval, and its observation is the difference of two
// proportions, x = (late or failed share of the candidate) - (that of the baseline), in [-1, 1]. Both see the same
// load, so what slows both cancels out, and requests of one block may depend on each other as they like: only blocks
// count. Bets are kept, each with a wealth that starts at 1 and is a supermartingale if its hypothesis holds:
//
//   harm   H0: E[x | past] <= d        wealth *= 1 + l (x - d),   0 <= l <= c / (1 + d)
//   safe   H0: E[x | past] >= m        wealth *= 1 + l (m - x),   0 <= l <= c / (1 - m)
//
// By Ville's inequality a wealth ever reaches 1 / alpha with probability alpha at most, whenever one looks and stops.
// With g the gain (x - d or m - x), the stake comes from earlier blocks only, l = mean(g) / (var(g) + mean(g)^2): the
// approximate growth-rate optimum (aGRAPA) of Waudby-Smith and Ramdas, "Estimating means of bounded random variables by
// betting", JRSS B 86 (2024). Mean and variance forget, so that a candidate that turns bad at a larger share, after many
// good blocks at a small one, is still bet against quickly. Logs of the wealths are kept; c = 0.9.
//
// Harm is bet on twice, on late or failed requests and on failed ones, with long blocks (4 s): a hiccup of a few seconds
// that hits only one of two equal revisions is one loss then, not several that foretell each other. Safe is bet on with
// short blocks, because the proof that nothing is wrong needs many of them.
//
//   cost   H0: E[r | past] <= t        wealth *= 1 + l (r' - t) / t,   0 <= l <= c
//
// bets, with long blocks too, on what a request costs, as a multiple r of what it costs at the baseline; t is the tolerance.
// A call costs the time that it takes, as a multiple of what a curve says for its size, because a small share makes small
// batches, which are dear: r is the candidate's multiple over the baseline's, times the ratio of prices, once by the
// baseline's curve and once by the candidate's. The smaller of the two counts, so that a curve that was learned in a bad hour,
// or is a guess at sizes that its revision never ran, speaks against nobody. r' is r, at most 1.5 t: no single block,
// however slow, is worth more than log(1.45).
//
// Moments, wealths and open blocks are one record of f64 (EvidenceField): the host loads it before a call and stores it
// after, so that a walk survives any restart.
import { get, harmless, input, margin, put, record, verdict } from './evidence-record';
import { EvidenceField, StepField, StepVerdictField } from './rollout-codes';

/** Requests of each revision that close a block. Fewer make blocks that are mostly noise. */
const BLOCK_REQUESTS: f64 = 3;
const LONG_BLOCK_MS: f64 = 4000;
/** Calls of the model of each revision that close a block of costs. */
const BLOCK_CALLS: f64 = 3;
/** Weight of the past at each block: about fifty blocks are remembered. */
const KEEP: f64 = 0.98;
const STAKE: f64 = 0.9;
/** Before the first block: a gain of nothing, and a variance that keeps the first stakes small. */
const PRIOR_SQUARE: f64 = 0.05;

/** Addresses of the walk's evidence, of a step's facts and of the verdict: f64 in the order of their enums. */
export function evidence_at(): usize {
  return record;
}

export function step_at(): usize {
  return input;
}

export function step_verdict_at(): usize {
  return verdict;
}

/** The sizes of the three, so that a host of another version is found out. */
export function evidence_fields(): u32 {
  return (EvidenceField.Count << 16) | (StepField.Count << 8) | StepVerdictField.Count;
}

/** A walk begins: no evidence. */
export function evidence_begin(): void {
  memory.fill(record, 0, <usize>EvidenceField.Count << 3);
  begin(EvidenceField.SafeWeight);
  begin(EvidenceField.LateWeight);
  begin(EvidenceField.FailWeight);
  begin(EvidenceField.CostWeight);
}

/** The share changed: what was gathered so far stays, but the new share has to earn its own blocks. */
export function evidence_next_share(): void {
  put(EvidenceField.StepBlocks, 0);
  put(EvidenceField.StepRequests, 0);
  empty(EvidenceField.Open);
  empty(EvidenceField.OpenLong);
  put(EvidenceField.OpenLongMs, 0);
  emptyCosts();
}

/**
 * Requests that ended in the `elapsed_ms` since the last call: of each revision how many, how many of them late or
 * failed, and how many of them failed. Returns whether a block was closed.
 */
export function evidence_observe(
  elapsed_ms: f64,
  candidate: f64,
  candidate_late: f64,
  candidate_failed: f64,
  baseline: f64,
  baseline_late: f64,
  baseline_failed: f64,
  quantile: f64,
): bool {
  assert(quantile > 0 && quantile < 1);
  assert(elapsed_ms >= 0 && elapsed_ms <= 1e12);
  for (let block = EvidenceField.Open; block <= EvidenceField.OpenLong; block += 6) {
    fill(block, candidate, candidate_late, candidate_failed);
    fill(block + 3, baseline, baseline_late, baseline_failed);
  }
  put(EvidenceField.OpenLongMs, get(EvidenceField.OpenLongMs) + elapsed_ms);
  if (get(EvidenceField.OpenLongMs) >= LONG_BLOCK_MS && isFull(EvidenceField.OpenLong)) {
    const least = harmless(quantile);
    bet(EvidenceField.LateWeight, shareGap(EvidenceField.OpenLong, 1) - least, 1.0 + least);
    bet(EvidenceField.FailWeight, shareGap(EvidenceField.OpenLong, 2) - 0.1 * least, 1.0 + 0.1 * least);
    empty(EvidenceField.OpenLong);
    put(EvidenceField.OpenLongMs, 0);
  }
  if (!isFull(EvidenceField.Open)) return false;
  const most = margin(quantile);
  bet(EvidenceField.SafeWeight, most - shareGap(EvidenceField.Open, 1), 1.0 - most);
  const requests = get(EvidenceField.Open);
  put(EvidenceField.Blocks, get(EvidenceField.Blocks) + 1);
  put(EvidenceField.StepBlocks, get(EvidenceField.StepBlocks) + 1);
  put(EvidenceField.StepRequests, get(EvidenceField.StepRequests) + requests);
  put(EvidenceField.Requests, get(EvidenceField.Requests) + requests);
  empty(EvidenceField.Open);
  return true;
}

/**
 * Calls of the model that ended in the `elapsed_ms` since the last call: of each revision how many, the ms that they took,
 * and the ms that the baseline's and the candidate's curve say for their sizes. `prices` is the candidate's price as a
 * multiple of the baseline's. Returns whether a block was closed.
 */
export function evidence_observe_cost(
  elapsed_ms: f64,
  candidate: f64,
  candidate_ms: f64,
  candidate_by_baseline: f64,
  candidate_by_own: f64,
  baseline: f64,
  baseline_ms: f64,
  baseline_by_own: f64,
  baseline_by_candidate: f64,
  prices: f64,
  tolerance: f64,
): bool {
  assert(elapsed_ms >= 0 && elapsed_ms <= 1e12);
  assert(prices > 0 && prices <= 1e9 && tolerance >= 1 && tolerance <= 1e3);
  fillCosts(EvidenceField.OpenCost, candidate, candidate_ms, candidate_by_baseline, candidate_by_own);
  fillCosts(EvidenceField.OpenCost + 4, baseline, baseline_ms, baseline_by_own, baseline_by_candidate);
  put(EvidenceField.OpenCostMs, get(EvidenceField.OpenCostMs) + elapsed_ms);
  if (get(EvidenceField.OpenCostMs) < LONG_BLOCK_MS) return false;
  if (get(EvidenceField.OpenCost) < BLOCK_CALLS || get(EvidenceField.OpenCost + 4) < BLOCK_CALLS) return false;
  const ratio = prices * min(costGap(0), costGap(1));
  bet(EvidenceField.CostWeight, min(ratio / tolerance - 1.0, 0.5), 1.0);
  emptyCosts();
  return true;
}

function emptyCosts(): void {
  for (let field = EvidenceField.OpenCost; field <= EvidenceField.OpenCostMs; field++) put(field, 0);
}

function fillCosts(first: EvidenceField, calls: f64, took: f64, byBaseline: f64, byCandidate: f64): void {
  assert(calls >= 0 && calls <= 1e12 && took >= 0 && took <= 1e15);
  assert(calls == 0 || (byBaseline > 0 && byBaseline <= 1e15 && byCandidate > 0 && byCandidate <= 1e15));
  put(first, get(first) + calls);
  put(first + 1, get(first + 1) + took);
  put(first + 2, get(first + 2) + byBaseline);
  put(first + 3, get(first + 3) + byCandidate);
}

/** Cost of a call at the candidate over that at the baseline, each as a multiple of what one curve says (0 the baseline's, 1 the candidate's). */
function costGap(curve: u32): f64 {
  const candidate = get(EvidenceField.OpenCost + 1) / get(EvidenceField.OpenCost + 2 + curve);
  const baseline = get(EvidenceField.OpenCost + 5) / get(EvidenceField.OpenCost + 6 + curve);
  return candidate / max(baseline, 1e-9);
}

function begin(bet: EvidenceField): void {
  put(bet, 1);
  put(bet + 2, PRIOR_SQUARE);
}

function empty(block: EvidenceField): void {
  for (let field = 0; field < 6; field++) put(block + field, 0);
}

function fill(first: EvidenceField, requests: f64, late: f64, failed: f64): void {
  assert(requests >= 0 && requests <= 1e12);
  assert(failed >= 0 && failed <= late && late <= requests);
  put(first, get(first) + requests);
  put(first + 1, get(first + 1) + late);
  put(first + 2, get(first + 2) + failed);
}

function isFull(block: EvidenceField): bool {
  return get(block) >= BLOCK_REQUESTS && get(block + 3) >= BLOCK_REQUESTS;
}

/** Share of the block's requests of this kind (1 late or failed, 2 failed): candidate less baseline. */
function shareGap(block: EvidenceField, kind: u32): f64 {
  return get(block + kind) / get(block) - get(block + 3 + kind) / get(block + 3);
}

/** Settles a bet with the block's gain, at least -`loss`, and only then learns from it: stakes are laid beforehand. */
function bet(first: EvidenceField, gain: f64, loss: f64): void {
  const mean = get(first + 1);
  const variance = max(get(first + 2) - mean * mean, 1e-6);
  const stake = mean <= 0 ? 0 : min(mean / (variance + mean * mean), STAKE / loss);
  put(first + 3, get(first + 3) + Math.log(1.0 + stake * gain));
  const weight = KEEP * get(first) + 1.0;
  put(first, weight);
  put(first + 1, mean + (gain - mean) / weight);
  put(first + 2, get(first + 2) + (gain * gain - get(first + 2)) / weight);
}
