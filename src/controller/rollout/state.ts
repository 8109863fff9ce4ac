import { z } from 'zod';
import type { EvidenceRecord } from '../../kernels/rollout-evidence.ts';

/**
 * Where a walk is.
 *
 * - `idle`: one revision has everything, or KServe rolls one out without us;
 * - `waiting`: a newer revision exists and is not Ready, so that the stable one has everything;
 * - `walking`: the candidate is Ready and has some share, 0 at first;
 * - `promoting`: it was given everything, and KServe has not noted that yet;
 * - `rolledBack`: it lost, and stays at 0 until there is a newer revision;
 * - `stopped`: somebody else writes the share; nothing is written until there is a newer revision.
 */
export type RolloutPhase = 'idle' | 'waiting' | 'walking' | 'promoting' | 'rolledBack' | 'stopped';

/**
 * Everything that a walk has to remember. It lies in the status of the InferencePolicy, as a text, and is there before
 * the share that it asks for is written: whoever takes over sees what was meant and does it again.
 */
export interface RolloutState {
  readonly phase: RolloutPhase;
  /** The revision that has, or had, everything. */
  readonly stable: string;
  /** The revision that is walked; empty while there is none. */
  readonly candidate: string;
  /** What `canaryTrafficPercent` should be; null: not ours to say. */
  readonly percent: number | null;
  /** Whether that value has been seen there, and the value before it: a lost write is not somebody else's. */
  readonly written: boolean;
  readonly before: number | null;
  /** What was there before our first write of this walk. */
  readonly original: number | null;
  /** When the share was first seen in the traffic; ms since 1970. */
  readonly settledMs: number | null;
  /** When the candidate and the stable revision last reported requests. */
  readonly candidateMs: number;
  readonly stableMs: number;
  /** When evidence was last gathered. */
  readonly gatheredMs: number;
  /** Since when something is odd that may explain itself (an edit whose revision is not there yet). */
  readonly oddMs: number | null;
  /** How often somebody else changed the share in this walk. */
  readonly reverts: number;
  /** RolloutReason of the last move, which stands until the next one. */
  readonly reason: number;
  readonly evidence: EvidenceRecord;
}

const time = z.number().min(0);

const schema = z.object({
  phase: z.enum(['idle', 'waiting', 'walking', 'promoting', 'rolledBack', 'stopped']),
  stable: z.string().max(253),
  candidate: z.string().max(253),
  percent: z.int().min(0).max(100).nullable(),
  written: z.boolean(),
  before: z.int().nullable(),
  original: z.int().nullable(),
  settledMs: time.nullable(),
  candidateMs: time,
  stableMs: time,
  gatheredMs: time,
  oddMs: time.nullable(),
  reverts: z.int().min(0),
  reason: z.int().min(0),
  evidence: z.array(z.number()).max(64),
});

/** The text for the status. The same state is the same text. */
export function rolloutStateText(state: RolloutState): string {
  return JSON.stringify(state);
}

/** Whether two states are the same walk at the same point; evidence and times may differ. */
export function sameWalk(one: RolloutState, other: RolloutState): boolean {
  const point = ({ phase, stable, candidate, percent, written, before, reverts, reason }: RolloutState): string =>
    JSON.stringify([phase, stable, candidate, percent, written, before, reverts, reason]);
  return point(one) === point(other);
}

/** Reads the text. Undefined where there is none or it is not ours: the walk is then taken up from what KServe says. */
export function readRolloutState(text: string | undefined): RolloutState | undefined {
  if (text === undefined || text.length > 4096) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
