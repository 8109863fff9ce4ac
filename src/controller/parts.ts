import type { LeaderPart } from './part.ts';

/** Everything that the leader runs, in the order in which it is started. */
export function leaderParts(): LeaderPart[] {
  return [];
}
