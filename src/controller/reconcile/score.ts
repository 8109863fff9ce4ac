import type { Expectation } from '../../planner/service-plan.ts';

/** What happened since a plan was made, in the plan's own terms. */
export interface Outcome {
  readonly attainment: number | undefined;
  readonly replicas: number;
  readonly costPerHour: number;
}

/** How far a plan's expectation was from what happened. Positive: better than expected. */
export interface Score {
  readonly attainment: number | undefined;
  /** Replicas that ran, less those expected. */
  readonly replicas: number;
  /** Cost as a share of the expected one; undefined where nothing was expected to be spent. */
  readonly cost: number | undefined;
}

/** Compares the expectation of the last plan with what the next pass sees. */
export function scoreOf(expected: Expectation, { attainment, replicas, costPerHour }: Outcome): Score {
  return {
    attainment: attainment === undefined ? undefined : attainment - expected.attainment,
    replicas: replicas - expected.replicas,
    cost: expected.costPerHour > 0 ? costPerHour / expected.costPerHour : undefined,
  };
}
