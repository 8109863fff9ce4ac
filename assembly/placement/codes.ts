// The words that the placement kernel and its hosts share. This file is compiled twice: by AssemblyScript into the
// kernel and by TypeScript into the hosts, so that a code cannot mean two things. Plain enums only.

/** Version of the boundary below. A host refuses a kernel whose `abi_version()` differs. */
export enum Abi {
  Version = 3,
}

/**
 * Why a plan is what it is. One list for status, events, metrics, logs and documents. The number is the wire value and
 * never changes its meaning; the name in kebab case is the label.
 */
export enum PlanReason {
  None = 0,

  // Planned because:
  /** What runs is what the forecast needs. */
  Steady = 1,
  /** The demand that is forecast over a cold start needs more replicas. */
  Demand = 2,
  /** The promise is missed although the forecast says that it should hold: one replica more. */
  Attainment = 3,
  /** Fewer replicas do, and have done for as long as the stabilisation takes. */
  LowerDemand = 4,
  /** One replica stays warm, because a cold start is expected to cost more than keeping it. */
  KeepWarm = 5,
  /** Nothing is expected for so long that a cold start costs less than a warm replica. */
  ScaleToZero = 6,
  /** The smallest number of replicas that the service allows is enough. */
  Minimum = 7,
  /** Another variant keeps the promise for less. */
  CheaperVariant = 8,
  /** Another variant is more accurate and costs no more. */
  MoreAccurateVariant = 9,
  /** The variant in use cannot keep the promise, or no longer meets the floor: another one takes over. */
  VariantReplaced = 10,

  // Nothing was changed because:
  /** No latency has been learned yet: what runs stays, within its bounds. */
  Learning = 16,
  /** Fewer replicas would do, but not for long enough yet. */
  Stabilising = 17,
  /** Another variant would do better, but by less than the change would cost. */
  SwitchingCost = 18,
  /** The signals are too old to act on. */
  StaleSignals = 19,

  // A limit decided:
  /** Within the budget the promise holds only without spare capacity: patience goes up. */
  BudgetPatience = 32,
  /** The budget pays for a cheaper variant only. */
  BudgetVariant = 33,
  /** The budget pays for fewer replicas than the promise needs. */
  BudgetReplicas = 34,
  /** The budget does not even pay for the smallest number of replicas, which is kept all the same. */
  BudgetBelowMinimum = 35,
  /** The service allows fewer replicas than the promise needs. */
  Maximum = 36,
  /** No variant with a known accuracy meets the floor: the most accurate one serves. */
  AccuracyFloor = 37,
  /** The model alone takes longer than the objective: no number of replicas keeps the promise. */
  Unreachable = 38,
  /** The promise needs more replicas, but they come in steps: what is ready has to show first that more help. */
  Growth = 39,

  // The runner-up lost because:
  /** It costs more. */
  CostsMore = 64,
  /** It misses the promise. */
  MissesPromise = 65,
  /** It is less accurate at the same cost. */
  LessAccurate = 66,
  /** It is slower at the same cost and accuracy. */
  Slower = 67,
  /** It is over the budget. */
  OverBudget = 68,
  /** It is below the accuracy floor. */
  BelowFloor = 69,
  /** What it saves is less than the change would cost. */
  ChangeCosts = 70,
}

// What a host writes and reads: rows of f64 words in the kernel's memory. A missing number is NaN unless it says otherwise.

/** The row of the problem. */
export enum ProblemWord {
  /** Ms of a clock that all problems of the service share. */
  Now = 0,
  SloMs = 1,
  SloQuantile = 2,
  /** 0 to 1; below 0 means `auto`. */
  Patience = 3,
  MaxBatch = 4,
  /** Per hour; NaN: none. */
  Budget = 5,
  /** NaN: none. */
  MinAccuracy = 6,
  MinReplicas = 7,
  /** 0: no bound. */
  MaxReplicas = 8,
  /** 0: no bound. */
  ContainerConcurrency = 9,
  /** From the decision to a replica that serves, in ms. */
  ColdMs = 10,
  /** From one plan to the next, in ms. */
  PlanEveryMs = 11,
  /** 1: the options are variants, and one of them gets all traffic. 0: each keeps its share. */
  Choose = 12,
  Options = 13,
  /** Words in use of the histories. */
  Seconds = 14,
  Minutes = 15,
  /** Items a second, for when there is no history. */
  Rate = 16,
  /** 1: the signals are too old to act on. */
  Stale = 17,
  /** Share of the target that Knative aims at. */
  Utilization = 18,
  StableWindowMs = 19,
  /** The option that the last plan chose, or -1. */
  Chosen = 20,
  /** Since when another option has been better, and which: NaN and -1 if none. */
  BetterSince = 21,
  Better = 22,
  Words = 24,
}

/** The row of an option: a revision, or a variant. Later also a tier of a stage; both are 0 now. */
export enum OptionWord {
  Points = 0,
  Parallel = 1,
  /** Of a replica an hour. */
  Price = 2,
  Accuracy = 3,
  /** Of the service's traffic. */
  Share = 4,
  /** Of the recent requests in time. */
  Attainment = 5,
  Ready = 6,
  Pending = 7,
  /** Replicas of the last plan; NaN: none. */
  Planned = 8,
  LowerSince = 9,
  LowerNeeded = 10,
  Extra = 11,
  ChangedAt = 12,
  /** Target of the last plan; NaN: none. */
  Target = 13,
  Stage = 14,
  Tier = 15,
  /** How long fewer replicas must do, and when there were fewer last; NaN: as little as ever, and never. */
  HoldMs = 16,
  LoweredAt = 17,
  /** Items a second of one replica, the best that is believed of earlier plans; NaN: nothing is. */
  Best = 18,
  /** Requests that wait in its replicas now. */
  Waiting = 19,
  /** `Points` triples of items, expected ms and quantile ms, in the order of items. */
  Curve = 20,
  Words = 116,
}

/** The row of the answer. */
export enum PlanWord {
  Reason = 0,
  Chosen = 1,
  /** Items a second that the plan is made for. */
  Demand = 2,
  Attainment = 3,
  Cost = 4,
  Replicas = 5,
  Utilisation = 6,
  /** Per hour, against what runs. */
  Saved = 7,
  BetterSince = 8,
  Better = 9,
  /** The option that came second, or -1. */
  RunnerUp = 10,
  RunnerReplicas = 11,
  RunnerReason = 12,
  RunnerAttainment = 13,
  RunnerCost = 14,
  RunnerUtilisation = 15,
  Words = 16,
}

/** The row of the answer about one option. */
export enum ShareWord {
  Share = 0,
  Replicas = 1,
  MaxBatch = 2,
  Patience = 3,
  Target = 4,
  MinScale = 5,
  MaxScale = 6,
  BurstCapacity = 7,
  /** Seconds; NaN: as it is. */
  Window = 8,
  /** NaN: as it is. */
  Concurrency = 9,
  Attainment = 10,
  Cost = 11,
  Utilisation = 12,
  /** Items a second of one replica. */
  Capacity = 13,
  LowerSince = 14,
  LowerNeeded = 15,
  Extra = 16,
  ChangedAt = 17,
  HoldMs = 18,
  LoweredAt = 19,
  Best = 20,
  Words = 21,
}
