// Whether a candidate is worse than its baseline: a sequential test that may be looked at after every block.
//
// A block holds the requests that both answered in the same interval, and its observation is the difference of two
// proportions, x = (late or failed share of the candidate) - (that of the baseline), in [-1, 1]. Both see the same
// load, so what slows both cancels out, and requests of one block may depend on each other as they like: only blocks
// count. Two bets are kept, each with a wealth that starts at 1 and is a supermartingale if its hypothesis holds:
//
//   harm   H0: E[x | past] <= d        wealth *= 1 + l (x - d),   0 <= l <= c / (1 + d)
//   safe   H0: E[x | past] >= m        wealth *= 1 + l (m - x),   0 <= l <= c / (1 - m)
//
// By Ville's inequality a wealth ever reaches 1 / alpha with probability alpha at most, whenever one looks and stops.
// The stake l is chosen from earlier blocks only, l = (mean - d) / (variance + (mean - d)^2): the approximate
// growth-rate optimum (aGRAPA) of Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting",
// JRSS B 86 (2024), section B.3. Mean and variance forget, so that a candidate that turns bad at a larger share, after
// many good blocks at a small one, is still bet against quickly. Logs of the wealths are kept; c = 0.9.
//
// The same is done for the failed share alone. Wealth, moments and the open block are one record of f64
// (EvidenceField): the host loads it before a call and stores it after, so that a walk survives any restart.
import { get, harmless, input, margin, put, record, verdict } from './evidence-record';
import { EvidenceField, StepField, StepVerdictField } from './rollout-codes';

/** Requests of each revision that close a block. Fewer make blocks that are mostly noise. */
const BLOCK_REQUESTS: f64 = 3;
/** Weight of the past at each block: about fifty blocks are remembered. */
const KEEP: f64 = 0.98;
const STAKE: f64 = 0.9;
/** Before the first block: no difference, and a variance that keeps the first stakes small. */
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

export function evidence_fields(): u32 {
  return (EvidenceField.Count << 16) | (StepField.Count << 8) | StepVerdictField.Count;
}

/** A walk begins: no evidence. */
export function evidence_begin(): void {
  memory.fill(record, 0, <usize>EvidenceField.Count << 3);
  begin(EvidenceField.LateWeight);
  begin(EvidenceField.FailWeight);
}

/** The share changed: what was gathered so far stays, but the new share has to earn its own blocks. */
export function evidence_next_share(): void {
  put(EvidenceField.StepBlocks, 0);
  put(EvidenceField.StepRequests, 0);
  for (let field = EvidenceField.OpenCandidate; field < EvidenceField.Count; field++) put(field, 0);
}

/**
 * Requests that ended since the last call: of each revision how many, how many of them late or failed, and how many of
 * them failed. Returns whether a block was closed.
 */
export function evidence_observe(
  candidate: f64,
  candidate_late: f64,
  candidate_failed: f64,
  baseline: f64,
  baseline_late: f64,
  baseline_failed: f64,
  quantile: f64,
): bool {
  assert(quantile > 0 && quantile < 1);
  fill(EvidenceField.OpenCandidate, candidate, candidate_late, candidate_failed);
  fill(EvidenceField.OpenBaseline, baseline, baseline_late, baseline_failed);
  const ours = get(EvidenceField.OpenCandidate);
  const theirs = get(EvidenceField.OpenBaseline);
  if (ours < BLOCK_REQUESTS || theirs < BLOCK_REQUESTS) return false;
  const late = get(EvidenceField.OpenCandidateLate) / ours - get(EvidenceField.OpenBaselineLate) / theirs;
  const failed = get(EvidenceField.OpenCandidateFailed) / ours - get(EvidenceField.OpenBaselineFailed) / theirs;
  bet(EvidenceField.LateWeight, late, harmless(quantile), margin(quantile));
  bet(EvidenceField.FailWeight, failed, 0.1 * harmless(quantile), margin(quantile));
  put(EvidenceField.Blocks, get(EvidenceField.Blocks) + 1);
  put(EvidenceField.StepBlocks, get(EvidenceField.StepBlocks) + 1);
  put(EvidenceField.StepRequests, get(EvidenceField.StepRequests) + ours);
  put(EvidenceField.Requests, get(EvidenceField.Requests) + ours);
  for (let field = EvidenceField.OpenCandidate; field < EvidenceField.Count; field++) put(field, 0);
  return true;
}

function begin(first: EvidenceField): void {
  put(first, 1);
  put(first + 2, PRIOR_SQUARE);
}

function fill(first: EvidenceField, requests: f64, late: f64, failed: f64): void {
  assert(requests >= 0 && requests <= 1e12);
  assert(failed >= 0 && failed <= late && late <= requests);
  put(first, get(first) + requests);
  put(first + 1, get(first + 1) + late);
  put(first + 2, get(first + 2) + failed);
}

/** Settles both bets of one stream with the block's difference, then learns from it: never the other way round. */
function bet(first: EvidenceField, x: f64, harm: f64, safe: f64): void {
  const mean = get(first + 1);
  const variance = max(get(first + 2) - mean * mean, 1e-6);
  const up = stake(mean - harm, variance, STAKE / (1.0 + harm));
  const down = stake(safe - mean, variance, STAKE / (1.0 - safe));
  put(first + 3, get(first + 3) + Math.log(1.0 + up * (x - harm)));
  put(first + 4, get(first + 4) + Math.log(1.0 + down * (safe - x)));
  const weight = KEEP * get(first) + 1.0;
  put(first, weight);
  put(first + 1, mean + (x - mean) / weight);
  put(first + 2, get(first + 2) + (x * x - get(first + 2)) / weight);
}

function stake(edge: f64, variance: f64, most: f64): f64 {
  return edge <= 0 ? 0 : min(edge / (variance + edge * edge), most);
}
