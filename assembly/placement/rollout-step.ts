// What to do with the candidate's share, from the evidence and the facts of the step. In this order:
//
//   1. roll back what is proven worse or dearer, over the budget or below the floor;
//   2. hold while the share is not in the traffic, while nothing is learned, while this share has too little evidence,
//      while the evidence leans against the candidate, while replicas for the next share are missing;
//   3. raise, and promote only what the test proves to be good enough.
import { difference, get, harmless, input, margin, verdict } from './evidence-record';
import { EvidenceField, RolloutAction, RolloutReason, StepField, StepVerdictField } from './rollout-codes';

/** Wealth at which a bet is won: 1 / 0.0033 for each of the three against the candidate, 1 / 0.005 for the one in favour. */
const HARM_LOG: f64 = 5.71;
const SAFE_LOG: f64 = 5.3;
/** Odds of about 4 to 1 against the candidate: no larger share until they fall. */
const DOUBT_LOG: f64 = 1.4;
/** Blocks at each share, and requests and blocks before a comparison of what is planned, and not measured, counts. */
const STEP_BLOCKS: f64 = 5;
const COST_REQUESTS: f64 = 50;
const COST_BLOCKS: f64 = 10;

// @ts-ignore: decorator
@inline function fact(field: StepField): f64 {
  return load<f64>(input + (<usize>field << 3));
}

// @ts-ignore: decorator
@inline function say(field: StepVerdictField, value: f64): void {
  store<f64>(verdict + (<usize>field << 3), value);
}

/** Decides one step from the record and the facts; the verdict is at `step_verdict_at`. */
export function decide_step(): void {
  const share = fact(StepField.Share);
  const next = fact(StepField.NextShare);
  assert(share >= 0 && share < 1 && next > share && next <= 1);
  const replicas = needed(next);
  say(StepVerdictField.Replicas, replicas);
  const against = provenWorse();
  if (against != RolloutReason.None) return answer(RolloutAction.RollBack, against);
  const wait = waits(share, replicas);
  if (wait == RolloutReason.NoEvidence) return answer(RolloutAction.Pause, wait);
  if (wait != RolloutReason.None) return answer(RolloutAction.Hold, wait);
  if (next < 1) return answer(RolloutAction.Raise, share > 0 ? RolloutReason.StepPassed : RolloutReason.Started);
  if (get(EvidenceField.SafeLog) < SAFE_LOG) return answer(RolloutAction.Hold, RolloutReason.Gathering);
  answer(RolloutAction.Promote, RolloutReason.ProvenGood);
}

/**
 * Replicas for a share of the load; like the baseline's where one replica's capacity is unknown. Never more than twice
 * what the baseline has for that share: a capacity that was learned while the machine was drowned is no reason to ask
 * for hundreds, and a candidate that needs more is too dear anyway.
 */
function needed(share: f64): f64 {
  const capacity = fact(StepField.Capacity);
  const load = fact(StepField.Load);
  const alike = share * fact(StepField.BaselineReady);
  const wanted = capacity > 0 && load >= 0 ? min((share * load) / capacity, 2.0 * alike) : alike;
  const most = fact(StepField.MaxReplicas);
  const least = max(Math.ceil(wanted - 1e-9), 1.0);
  return most >= 1 ? min(least, most) : least;
}

function provenWorse(): RolloutReason {
  const accuracy = fact(StepField.Accuracy);
  if (accuracy < fact(StepField.AccuracyFloor)) return RolloutReason.BelowFloor;
  if (get(EvidenceField.FailLog) >= HARM_LOG) return RolloutReason.FailsMore;
  if (get(EvidenceField.LateLog) >= HARM_LOG) return RolloutReason.MissesMore;
  // A comparison with an unknown is false: what is not known counts against nobody.
  const better = accuracy > fact(StepField.BaselineAccuracy);
  if (get(EvidenceField.CostLog) >= HARM_LOG && !better) return RolloutReason.CostsMore;
  if (get(EvidenceField.Requests) < COST_REQUESTS || get(EvidenceField.Blocks) < COST_BLOCKS) return RolloutReason.None;
  if (fact(StepField.Cost) > fact(StepField.Budget)) return RolloutReason.OverBudget;
  if (accuracy < fact(StepField.BaselineAccuracy) && fact(StepField.CostRatio) >= 0.98) {
    return RolloutReason.LessAccurate;
  }
  return RolloutReason.None;
}

/** Why the share may not rise now. */
function waits(share: f64, replicas: f64): RolloutReason {
  if (fact(StepField.OnStepMs) < 0) return RolloutReason.Settling;
  if (share > 0) {
    if (fact(StepField.SilentMs) > fact(StepField.SilentMsMax)) return RolloutReason.NoEvidence;
    if (fact(StepField.OnStepMs) < fact(StepField.LeastMs)) return RolloutReason.Gathering;
    if (get(EvidenceField.StepRequests) < fact(StepField.LeastRequests)) return RolloutReason.Gathering;
    if (get(EvidenceField.StepBlocks) < STEP_BLOCKS) return RolloutReason.Gathering;
    const harm = max(get(EvidenceField.LateLog), get(EvidenceField.FailLog));
    if (harm > DOUBT_LOG || leansDearer() || difference(fact(StepField.Quantile)) > margin(fact(StepField.Quantile))) {
      return RolloutReason.Doubtful;
    }
  }
  if (!(fact(StepField.Ready) >= replicas)) return RolloutReason.Warming;
  return RolloutReason.None;
}

/** Whether it was dearer than is tolerated of late: larger shares wait until it is proven, or was a bad hour. */
function leansDearer(): bool {
  if (fact(StepField.Accuracy) > fact(StepField.BaselineAccuracy)) return false;
  return get(EvidenceField.CostMean) > 0 || get(EvidenceField.CostLog) > DOUBT_LOG;
}

function answer(action: RolloutAction, reason: RolloutReason): void {
  say(StepVerdictField.Action, <f64>action);
  say(StepVerdictField.Reason, <f64>reason);
  let other = RolloutAction.Hold;
  let because = reason;
  if (action == RolloutAction.RollBack) {
    other = fact(StepField.NextShare) < 1 ? RolloutAction.Raise : RolloutAction.Promote;
  } else if (action == RolloutAction.Promote || action == RolloutAction.Raise) {
    other = RolloutAction.RollBack;
    because = RolloutReason.NotProvenWorse;
  } else {
    // What lost is the step that would have come; where the evidence leans against it, the way back.
    const leans = difference(fact(StepField.Quantile)) > harmless(fact(StepField.Quantile));
    other = leans ? RolloutAction.RollBack : fact(StepField.NextShare) < 1 ? RolloutAction.Raise : RolloutAction.Promote;
    because = leans ? RolloutReason.NotProvenWorse : reason;
    if (!leans && reason == RolloutReason.Gathering && fact(StepField.NextShare) >= 1) {
      because = RolloutReason.NotProvenGood;
    }
  }
  say(StepVerdictField.RunnerUp, <f64>other);
  say(StepVerdictField.RunnerUpReason, <f64>because);
  const to = shareAfter(action);
  const moved = to - fact(StepField.Share);
  say(StepVerdictField.Misses, moved * difference(fact(StepField.Quantile)));
  const ratio = fact(StepField.CostRatio);
  const now = 1.0 + fact(StepField.Share) * (ratio - 1.0);
  say(StepVerdictField.Cost, (moved * (ratio - 1.0)) / now);
}

function shareAfter(action: RolloutAction): f64 {
  if (action == RolloutAction.RollBack) return 0;
  if (action == RolloutAction.Raise || action == RolloutAction.Promote) return fact(StepField.NextShare);
  return fact(StepField.Share);
}
