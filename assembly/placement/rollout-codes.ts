// The words that the rollout's kernel and its hosts share. This file is compiled twice, by AssemblyScript and by
// TypeScript, so that a code cannot mean two things. Plain enums only.

/** What to do with the candidate's share. */
export enum RolloutAction {
  Hold = 0,
  /** Give the candidate the next share. */
  Raise = 1,
  /** Give it everything: the walk ends. */
  Promote = 2,
  /** Give everything to the baseline again: the walk ends. */
  RollBack = 3,
  /** Hold, because nothing is learned at present. */
  Pause = 4,
}

/**
 * Why. One list for status, events, metrics, logs and documents. The number is the wire value and never changes its
 * meaning; the name is the reason of the condition.
 */
export enum RolloutReason {
  None = 0,

  // Raised or promoted because:
  /** The candidate is Ready and has the replicas for its first share. */
  Started = 1,
  /** This share's evidence does not speak against the candidate. */
  StepPassed = 2,
  /** The test rejects that the candidate misses the objective more often, beyond the margin. */
  ProvenGood = 3,

  // Rolled back because:
  /** The test rejects that the candidate meets the objective as often as the baseline. */
  MissesMore = 16,
  /** The test rejects that the candidate fails no more often than the baseline. */
  FailsMore = 17,
  /** The test rejects that a request costs no more than the tolerance allows, and no higher accuracy is declared. */
  CostsMore = 18,
  /** Serving everything with it would cost more than the budget. */
  OverBudget = 19,
  /** Its declared accuracy is below the floor. */
  BelowFloor = 20,
  /** Its declared accuracy is lower, and it is not cheaper. */
  LessAccurate = 21,

  // Held because:
  /** The new revision is not Ready yet. */
  AwaitingRevision = 32,
  /** The candidate lacks ready replicas for its next share. */
  Warming = 33,
  /** The share is not in the traffic yet, or only just. */
  Settling = 34,
  /** Too few requests, blocks or seconds at this share. */
  Gathering = 35,
  /** The evidence leans against the candidate without being enough to roll back. */
  Doubtful = 36,
  /** No requests, or no signals, of the candidate or the baseline. */
  NoEvidence = 37,

  // The state of affairs:
  /** Nothing is being rolled out. */
  Idle = 48,
  /** The candidate lost and stays without traffic until there is a newer revision. */
  RolledBack = 49,
  /** Somebody else keeps writing the share: we stopped. */
  ForeignWriter = 50,
  /** KServe rolled the candidate out without us. */
  PromotedElsewhere = 51,
  /** The model before the last was made to serve again, without a newer revision. */
  RolledBackElsewhere = 52,
  /** The revision came without a first step, so that KServe gives it everything. */
  Unwalked = 53,
  /** KServe took another revision for the last one that was rolled out: the comparison begins again. */
  BaselineMoved = 54,
  /** KServe fell back to the model before the last: everything goes to the newest Ready one again. */
  BaselineLost = 55,
  /** KServe does not split this service's traffic. */
  NotSplit = 56,
  /** The rollout is not ours. */
  NoConsent = 57,

  // The runner-up lost because:
  /** What is known does not say that the candidate is worse. */
  NotProvenWorse = 64,
  /** What is known does not say that the candidate is good enough. */
  NotProvenGood = 65,
}

/** Fields of the evidence that a walk keeps, in this order, all f64. Hosts store them as they are. */
export enum EvidenceField {
  /** Of each bet: weight, mean and mean square of its gains so far, and the log of its wealth. In favour: */
  SafeWeight = 0,
  SafeMean = 1,
  SafeSquare = 2,
  SafeLog = 3,
  /** Against, for requests that miss their objective or fail: */
  LateWeight = 4,
  LateMean = 5,
  LateSquare = 6,
  LateLog = 7,
  /** Against, for requests that fail: */
  FailWeight = 8,
  FailMean = 9,
  FailSquare = 10,
  FailLog = 11,
  /** Against, for what a request costs: */
  CostWeight = 12,
  CostMean = 13,
  CostSquare = 14,
  CostLog = 15,
  /** Blocks of the walk, and blocks and requests of the candidate at the present share. */
  Blocks = 16,
  StepBlocks = 17,
  StepRequests = 18,
  /** Requests of the candidate in the walk. */
  Requests = 19,
  /** The short block that is being filled: requests, late and failed ones of the candidate and of the baseline. */
  Open = 20,
  /** The long block that is being filled, likewise, and the ms that it covers. */
  OpenLong = 26,
  OpenLongMs = 32,
  /**
   * The block of costs that is being filled, and the ms that it covers. Of the candidate and of the baseline: calls of the
   * model, the ms that they took, and the ms that the baseline's and the candidate's curve say for calls of their sizes.
   */
  OpenCost = 33,
  OpenCostMs = 41,
  Count = 42,
}

/** What a step is decided from, in this order, all f64. Not a number: unknown. */
export enum StepField {
  /** Shares of the candidate now and next, 0 to 1; a next of 1 is the promotion. */
  Share = 0,
  NextShare = 1,
  /** ms at this share, since it was in the traffic; below 0 before that. */
  OnStepMs = 2,
  LeastMs = 3,
  LeastRequests = 4,
  /** ms since both revisions last reported requests, and how long may pass before the walk pauses. */
  SilentMs = 5,
  SilentMsMax = 6,
  /** Ready replicas of the candidate, and items a second of the whole service and of one replica of the candidate. */
  Ready = 7,
  Load = 8,
  Capacity = 9,
  /** Replicas of the baseline: what the candidate is taken to need where its capacity is unknown. */
  BaselineReady = 10,
  /** Cost of a request at the candidate as a multiple of the baseline's, by their curves. */
  CostRatio = 11,
  /** Cost an hour if the candidate served everything, and the budget. */
  Cost = 12,
  Budget = 13,
  /** Declared accuracies and the floor. */
  Accuracy = 14,
  BaselineAccuracy = 15,
  AccuracyFloor = 16,
  /** Share of requests that is promised to meet the objective. */
  Quantile = 17,
  /** The most replicas that the candidate may have. */
  MaxReplicas = 18,
  Count = 19,
}

/** What a decision consists of, in this order, all f64. */
export enum StepVerdictField {
  Action = 0,
  Reason = 1,
  RunnerUp = 2,
  RunnerUpReason = 3,
  /** Replicas that the candidate needs for its next share. */
  Replicas = 4,
  /** Expected change of the share of requests that miss or fail, by the action. */
  Misses = 5,
  /** Expected change of the service's cost, as a share of it, by the action. */
  Cost = 6,
  Count = 7,
}
