// The words that the placement kernel and its hosts share. This file is compiled twice: by AssemblyScript into the
// kernel and by TypeScript into the hosts, so that a code cannot mean two things. Plain enums only.

/** Version of the boundary below. A host refuses a kernel whose `abi_version()` differs. */
export enum Abi {
  Version = 1,
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
