import type { Outcomes } from '../../kernels/rollout-evidence.ts';

/** Counts of one pod since its companion started. */
export interface PodTotals {
  readonly uid: string;
  readonly revision: string;
  readonly uptimeMs: number;
  readonly totals: { readonly requests: number; readonly missed: number; readonly failed: number } | undefined;
}

interface Seen {
  readonly uptimeMs: number;
  readonly requests: number;
  readonly missed: number;
  readonly failed: number;
}

/**
 * Turns the counts of pods, which only grow, into what ended at each revision since the last look.
 *
 * A pod that is seen for the first time gives nothing, because what it counted may lie long before. Counts that shrank
 * are those of a companion that started anew: its counts are all new. A pod whose report is the same as before gives
 * nothing. A revision none of whose pods reports counts has no outcomes, which is not the same as none.
 */
export class OutcomeCounter {
  #seen = new Map<string, Seen>();

  take(pods: readonly PodTotals[]): Map<string, Outcomes> {
    const outcomes = new Map<string, Outcomes>();
    const seen = new Map<string, Seen>();
    for (const { uid, revision, uptimeMs, totals } of pods) {
      if (!totals) continue;
      const now: Seen = { uptimeMs, ...pick(totals) };
      const before = this.#seen.get(uid);
      seen.set(uid, now);
      const sum = outcomes.get(revision) ?? { requests: 0, late: 0, failed: 0 };
      const gained = before ? since(before, now) : { requests: 0, missed: 0, failed: 0 };
      const failed = Math.min(gained.failed, gained.requests);
      outcomes.set(revision, {
        requests: sum.requests + gained.requests,
        late: sum.late + Math.min(gained.missed + failed, gained.requests),
        failed: sum.failed + failed,
      });
    }
    // A pod that could not be read this time is remembered, or its next report would count for nothing.
    for (const { uid, totals } of pods) {
      const before = this.#seen.get(uid);
      if (!totals && before) seen.set(uid, before);
    }
    this.#seen = seen;
    return outcomes;
  }
}

function pick({
  requests,
  missed,
  failed,
}: {
  requests: number;
  missed: number;
  failed: number;
}): Omit<Seen, 'uptimeMs'> {
  return { requests, missed, failed };
}

function since(before: Seen, now: Seen): Omit<Seen, 'uptimeMs'> {
  const anew =
    now.uptimeMs < before.uptimeMs ||
    now.requests < before.requests ||
    now.missed < before.missed ||
    now.failed < before.failed;
  if (anew) return pick(now);
  return {
    requests: now.requests - before.requests,
    missed: now.missed - before.missed,
    failed: now.failed - before.failed,
  };
}
