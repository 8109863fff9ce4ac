import {
  type EvidenceRecord,
  RolloutAction,
  type RolloutEvidence,
  RolloutReason,
  type StepVerdict,
} from '../../kernels/rollout-evidence.ts';
import { adopt, compareSpec, follow, revisionsOf } from './bookkeeping.ts';
import { comparedCosts, costTolerance } from './call-costs.ts';
import { factsOf, nextPercent, replicasToKeep, settleMs } from './facts.ts';
import { type RevisionFloor, successorFloors } from './floors.ts';
import type { RolloutState } from './state.ts';
import { type RolloutView, trafficPercent } from './view.ts';

/** What one look at a rollout comes to. */
export interface RolloutPlan {
  /** To be stored before anything is written; undefined where there is nothing to remember. */
  readonly state: RolloutState | undefined;
  /** Value to write into `canaryTrafficPercent` now; undefined: leave it alone. */
  readonly percent: number | undefined;
  readonly action: RolloutAction;
  readonly reason: RolloutReason;
  readonly runnerUp: StepVerdict['runnerUp'] | undefined;
  readonly expect: StepVerdict['expect'] | undefined;
  /** For the steering of revisions, beside the plan of the service. */
  readonly floors: readonly RevisionFloor[];
  /** How soon to look again; undefined: no sooner than otherwise. */
  readonly pollMs: number | undefined;
}

/** While a walk goes on, each look is one block of evidence at most. */
const walkPollMs = 1_000;

/**
 * One look at the rollout of one service. Pure: the same state and view give the same plan, and after a restart the
 * same walk goes on.
 *
 * A value below 100 is never asked for while KServe's latest Ready revision is the last that was rolled out: KServe
 * would take it for the wish to serve the model before that one.
 */
export function planRollout(
  previous: RolloutState | undefined,
  view: RolloutView,
  kernel: RolloutEvidence,
): RolloutPlan {
  const { created, ready, rolledOut } = revisionsOf(view);
  const splits = view.deploymentMode === 'knative' && rolledOut !== '' && ready !== '';
  if (!splits || !view.consent) {
    const share = view.percent === undefined || rolledOut === '' ? 1 : view.percent / 100;
    const reason = splits ? RolloutReason.NoConsent : RolloutReason.NotSplit;
    const serving = servingOf(view, share);
    const floors = successorFloors(created, serving, replicasToKeep(view, serving), share, roomOf(view, created));
    return { ...held(undefined, reason), floors };
  }
  const none = kernel.begin();
  let state = previous ? follow(previous, view, none) : adopt(view, none);
  state = compareSpec(state, view);
  if (state.phase === 'walking') return walk(settle(state, view), view, kernel);
  const floors = standingFloors(state, view);
  const going = state.phase === 'waiting' || state.phase === 'promoting';
  return {
    ...held(state, state.reason),
    percent: writable(state, view),
    floors,
    pollMs: going || state.oddMs !== null || !state.written ? walkPollMs : undefined,
  };
}

/** Notes when the share is in the traffic, and takes it back where it no longer is. */
function settle(state: RolloutState, view: RolloutView): RolloutState {
  const there = state.written && trafficPercent(view.predictor, state.candidate) === state.percent;
  if (!there) return state.settledMs === null ? state : { ...state, settledMs: null };
  const { nowMs } = view;
  const settledMs = state.settledMs === null || state.settledMs > nowMs ? nowMs : state.settledMs;
  if (settledMs === state.settledMs) return state;
  return { ...state, settledMs, candidateMs: nowMs, stableMs: nowMs };
}

function walk(walking: RolloutState, view: RolloutView, kernel: RolloutEvidence): RolloutPlan {
  const state = gather(walking, view, kernel);
  const verdict = kernel.decide(state.evidence, factsOf(state, view));
  const next = moved(state, verdict, view, kernel);
  const wayBack = Math.max(replicasToKeep(view, next.stable), 1);
  const floors: RevisionFloor[] =
    next.phase === 'rolledBack'
      ? []
      : [
          { revision: next.candidate, minReplicas: verdict.replicas, why: 'candidate' },
          { revision: next.stable, minReplicas: wayBack, why: 'wayBack' },
        ];
  return {
    state: next,
    percent: writable(next, view),
    action: verdict.action,
    reason: verdict.reason,
    runnerUp: verdict.runnerUp,
    expect: verdict.expect,
    floors,
    pollMs: walkPollMs,
  };
}

/** Adds what ended since the last look, if all of it ended under the present share. */
function gather(state: RolloutState, view: RolloutView, kernel: RolloutEvidence): RolloutState {
  const { nowMs } = view;
  const settled = state.settledMs !== null && state.percent !== 0 && nowMs - state.settledMs >= settleMs;
  const [own, baseline] = [view.revisions.get(state.candidate), view.revisions.get(state.stable)];
  const [candidate, stable] = [own?.outcomes, baseline?.outcomes];
  if (!settled || !candidate || !stable) return { ...state, gatheredMs: nowMs };
  const elapsedMs = Math.max(nowMs - state.gatheredMs, 0);
  let evidence = kernel.observe(state.evidence, elapsedMs, candidate, stable, view.quantile);
  const costs = own && baseline && comparedCosts(own, baseline);
  if (costs) {
    const terms = { prices: costs.prices, tolerance: costTolerance };
    evidence = kernel.observeCost(evidence, elapsedMs, costs.candidate, costs.stable, terms);
  }
  return {
    ...state,
    gatheredMs: nowMs,
    candidateMs: candidate.requests > 0 ? nowMs : state.candidateMs,
    stableMs: stable.requests > 0 ? nowMs : state.stableMs,
    evidence,
  };
}

/** The state after the verdict. */
function moved(state: RolloutState, verdict: StepVerdict, view: RolloutView, kernel: RolloutEvidence): RolloutState {
  const to = (percent: number, evidence: EvidenceRecord): RolloutState => ({
    ...state,
    percent,
    written: view.percent === percent,
    before: view.percent ?? null,
    settledMs: null,
    candidateMs: view.nowMs,
    stableMs: view.nowMs,
    reason: verdict.reason,
    evidence,
  });
  // An edit may be under way: whatever is decided now would be about a candidate that is no more.
  if (state.oddMs !== null) return state;
  switch (verdict.action) {
    case RolloutAction.Raise:
      return to(nextPercent(state.percent ?? 0), kernel.nextShare(state.evidence));
    case RolloutAction.Promote:
      return { ...to(100, state.evidence), phase: 'promoting' };
    case RolloutAction.RollBack:
      return { ...to(0, state.evidence), phase: 'rolledBack' };
    default:
      return state;
  }
}

/** The share to write now, if it is not there and may be. */
function writable(state: RolloutState, view: RolloutView): number | undefined {
  if (state.percent === null || state.percent === view.percent || state.oddMs !== null) return undefined;
  const { ready, rolledOut } = revisionsOf(view);
  if (state.percent < 100 && ready === rolledOut) return undefined;
  return state.percent;
}

/** Floors while nothing is decided. */
function standingFloors(state: RolloutState, view: RolloutView): readonly RevisionFloor[] {
  const planned = replicasToKeep(view, state.stable);
  switch (state.phase) {
    case 'waiting': {
      const first = Math.max(Math.ceil((planned * nextPercent(0)) / 100), 1);
      return [
        { revision: state.candidate, minReplicas: first, why: 'candidate' },
        { revision: state.stable, minReplicas: Math.max(planned, 1), why: 'wayBack' },
      ];
    }
    case 'promoting':
      return [
        { revision: state.candidate, minReplicas: Math.max(planned, 1), why: 'candidate' },
        { revision: state.stable, minReplicas: Math.max(planned, 1), why: 'wayBack' },
      ];
    default: {
      const { created } = revisionsOf(view);
      const share = (view.percent ?? 100) / 100;
      return successorFloors(created, servingOf(view, share), planned, share, roomOf(view, created));
    }
  }
}

/**
 * Who has the traffic that the newest revision is to get `share` of: the latest Ready one, and once that is the newest
 * itself, the one that its traffic still goes to. Where the newest has its own, or is to have none, as in a Knative Service
 * that pins its traffic to an older one, it is that one.
 */
function servingOf(view: RolloutView, share: number): string {
  const { created, ready } = revisionsOf(view);
  if (ready !== created || share === 0 || trafficPercent(view.predictor, created) > 0) return ready;
  const follows = view.predictor?.traffic?.find(({ latestRevision, percent }) => latestRevision && (percent ?? 0) > 0);
  return follows?.revisionName ?? ready;
}

function roomOf({ revisions }: RolloutView, revision: string): number | undefined {
  return revisions.get(revision)?.room;
}

function held(state: RolloutState | undefined, reason: RolloutReason): RolloutPlan {
  return {
    state,
    percent: undefined,
    action: RolloutAction.Hold,
    reason,
    runnerUp: undefined,
    expect: undefined,
    floors: [],
    pollMs: undefined,
  };
}
