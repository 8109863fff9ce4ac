import { type EvidenceRecord, RolloutReason } from '../../kernels/rollout-evidence.ts';
import { firstCanaryPercent } from './first-step.ts';
import type { RolloutState } from './state.ts';
import type { RolloutView } from './view.ts';

/** The fields of KServe's bookkeeping that a walk goes by; empty where KServe has none. */
export interface Revisions {
  readonly created: string;
  readonly ready: string;
  readonly rolledOut: string;
}

export function revisionsOf(view: RolloutView): Revisions {
  const { latestCreatedRevision, latestReadyRevision, latestRolledoutRevision } = view.predictor ?? {};
  return {
    created: latestCreatedRevision || latestReadyRevision || '',
    ready: latestReadyRevision ?? '',
    rolledOut: latestRolledoutRevision ?? '',
  };
}

/** How often somebody else may change the share before we stop. */
export const revertsMax = 3;
/** An edit shows in the spec before its revision shows in the status: so long that is no foreign write. */
const editGraceMs = 15_000;
/** A fall-back of KServe that stands so long without a newer revision was meant by somebody. */
const meantMs = 30_000;

/** A state with nothing going on. */
export function idle(stable: string, reason: RolloutReason, nowMs: number): RolloutState {
  return {
    phase: 'idle',
    stable,
    candidate: '',
    percent: null,
    written: true,
    before: null,
    original: null,
    settledMs: null,
    candidateMs: nowMs,
    stableMs: nowMs,
    gatheredMs: nowMs,
    oddMs: null,
    reverts: 0,
    reason,
    evidence: [],
  };
}

/** Takes up a service of which nothing is remembered: as it stands. */
export function adopt(view: RolloutView, none: EvidenceRecord): RolloutState {
  const { created, ready, rolledOut } = revisionsOf(view);
  const start = idle(rolledOut, RolloutReason.Idle, view.nowMs);
  const split = view.percent !== undefined && view.percent < 100;
  if (created !== rolledOut && created !== ready) return begin(start, view, none);
  if (!split || ready === rolledOut) return start;
  return {
    ...start,
    phase: 'walking',
    candidate: ready,
    percent: view.percent ?? null,
    original: view.percent ?? null,
    reason: RolloutReason.Started,
    evidence: none,
  };
}

/** A newer revision: its walk begins, if it came with a first step, whatever the one before was doing. */
function begin(before: RolloutState, view: RolloutView, none: EvidenceRecord): RolloutState {
  const { created, ready, rolledOut } = revisionsOf(view);
  const fresh: RolloutState = { ...idle(rolledOut, RolloutReason.Unwalked, view.nowMs), candidate: created };
  if (ready === before.stable && rolledOut !== before.stable) {
    // KServe saw the split before it saw the new revision, took it for a return and serves the model before the last.
    return {
      ...fresh,
      stable: ready,
      percent: 100,
      written: false,
      before: view.percent ?? null,
      reason: RolloutReason.BaselineLost,
    };
  }
  if (view.percent === undefined || view.percent >= 100) return fresh;
  return {
    ...fresh,
    phase: ready === created ? 'walking' : 'waiting',
    percent: firstCanaryPercent,
    written: view.percent === firstCanaryPercent,
    before: view.percent,
    original: before.candidate === '' ? null : before.original,
    reason: RolloutReason.AwaitingRevision,
    evidence: none,
  };
}

/** What KServe's bookkeeping says has happened since the last look. */
export function follow(state: RolloutState, view: RolloutView, none: EvidenceRecord): RolloutState {
  const { created, ready, rolledOut } = revisionsOf(view);
  if (created !== state.candidate && created !== state.stable) return begin(state, view, none);
  if (state.candidate !== '' && rolledOut === state.candidate) {
    const ours = state.phase === 'promoting' || (state.phase === 'idle' && state.reason !== RolloutReason.Idle);
    return idle(rolledOut, ours ? state.reason : RolloutReason.PromotedElsewhere, view.nowMs);
  }
  switch (state.phase) {
    case 'idle':
      return state.percent === null ? followIdle(state, view) : restored(state, rolledOut);
    case 'waiting':
      if (ready !== state.candidate) return state;
      return { ...state, phase: 'walking', settledMs: null, candidateMs: view.nowMs, stableMs: view.nowMs };
    case 'walking':
      if (rolledOut === state.stable || rolledOut === '') return state;
      return { ...state, stable: rolledOut, evidence: none, settledMs: null, reason: RolloutReason.BaselineMoved };
    default:
      return state;
  }
}

/** Idle, and KServe's last rolled-out revision is another one than ours. */
function followIdle(state: RolloutState, view: RolloutView): RolloutState {
  const { created, ready, rolledOut } = revisionsOf(view);
  if (rolledOut === '' || rolledOut === state.stable) return state.oddMs === null ? state : { ...state, oddMs: null };
  if (created !== ready || ready !== state.stable) return idle(rolledOut, RolloutReason.PromotedElsewhere, view.nowMs);
  // Either somebody's own return to the model before, or KServe's mistake, which a newer revision will explain.
  if (state.oddMs === null) return { ...state, oddMs: view.nowMs, reason: RolloutReason.RolledBackElsewhere };
  if (view.nowMs - state.oddMs < meantMs) return state;
  return {
    ...idle(rolledOut, RolloutReason.RolledBackElsewhere, view.nowMs),
    phase: 'rolledBack',
    candidate: ready,
  };
}

/** The newest Ready revision has everything again; the one that is coming will get it from KServe. */
function restored(state: RolloutState, rolledOut: string): RolloutState {
  return rolledOut === state.stable ? { ...state, percent: null, written: true } : state;
}

/** Compares the share in the spec with the one that is meant, and counts what others wrote. */
export function compareSpec(state: RolloutState, view: RolloutView): RolloutState {
  if (state.percent === null) return state;
  const found = view.percent ?? null;
  if (found === state.percent) {
    return state.written && state.oddMs === null ? state : { ...state, written: true, oddMs: null };
  }
  if (!state.written && found === state.before) return state;
  // The webhook's first step of an edit whose revision KServe does not report yet.
  if (found === firstCanaryPercent && state.written) {
    const oddMs = state.oddMs ?? view.nowMs;
    if (view.nowMs - oddMs < editGraceMs) return { ...state, oddMs };
  }
  const reverts = state.reverts + 1;
  if (reverts >= revertsMax) {
    return {
      ...state,
      phase: 'stopped',
      percent: null,
      written: true,
      oddMs: null,
      reverts,
      reason: RolloutReason.ForeignWriter,
    };
  }
  return { ...state, written: false, before: found, oddMs: null, settledMs: null, reverts };
}
