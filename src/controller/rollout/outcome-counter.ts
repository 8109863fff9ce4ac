import type { Outcomes } from '../../kernels/rollout-evidence.ts';
import type { ModelCalls } from './view.ts';

/** Counts of one pod since its companion started. */
export interface PodTotals {
  readonly uid: string;
  readonly revision: string;
  readonly uptimeMs: number;
  readonly totals: Totals | undefined;
  /** Whether the companion itself was starved: what it took for its model's time is then its own. */
  readonly starved?: boolean;
}

interface Totals {
  readonly requests: number;
  readonly missed: number;
  readonly failed: number;
  /** Undefined: a companion of an older version. */
  readonly calls?: ModelCalls | undefined;
}

interface Seen {
  readonly uptimeMs: number;
  readonly totals: Totals;
}

/** What ended at one revision since the last look. */
export interface Ended extends Outcomes {
  /** Undefined where no pod tells its calls, or all that do were starved. */
  readonly calls: ModelCalls | undefined;
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

  take(pods: readonly PodTotals[]): Map<string, Ended> {
    const ended = new Map<string, Ended>();
    const seen = new Map<string, Seen>();
    for (const { uid, revision, uptimeMs, totals, starved } of pods) {
      if (!totals) continue;
      const now: Seen = { uptimeMs, totals };
      const before = this.#seen.get(uid);
      seen.set(uid, now);
      const sum = ended.get(revision) ?? nothing;
      const gained = before ? since(before, now) : none(totals);
      const failed = Math.min(gained.failed, gained.requests);
      ended.set(revision, {
        requests: sum.requests + gained.requests,
        late: sum.late + Math.min(gained.missed + failed, gained.requests),
        failed: sum.failed + failed,
        calls: added(sum.calls, starved ? undefined : gained.calls),
      });
    }
    // A pod that could not be read this time is remembered, or its next report would count for nothing.
    for (const { uid, totals } of pods) {
      const before = this.#seen.get(uid);
      if (!totals && before) seen.set(uid, before);
    }
    this.#seen = seen;
    return ended;
  }
}

const nothing: Ended = { requests: 0, late: 0, failed: 0, calls: undefined };

function none({ calls }: Totals): Totals {
  return { requests: 0, missed: 0, failed: 0, calls: calls && { calls: 0, items: 0, tookMs: 0 } };
}

function since(before: Seen, now: Seen): Totals {
  const less = difference(now.totals, before.totals);
  const { calls } = less;
  const shrank = [less.requests, less.missed, less.failed, ...(calls ? Object.values(calls) : [])].some((n) => n < 0);
  return now.uptimeMs < before.uptimeMs || shrank ? now.totals : less;
}

function difference(now: Totals, before: Totals): Totals {
  const then = before.calls ?? { calls: 0, items: 0, tookMs: 0 };
  return {
    requests: now.requests - before.requests,
    missed: now.missed - before.missed,
    failed: now.failed - before.failed,
    calls: now.calls && {
      calls: now.calls.calls - then.calls,
      items: now.calls.items - then.items,
      tookMs: now.calls.tookMs - then.tookMs,
    },
  };
}

function added(one: ModelCalls | undefined, other: ModelCalls | undefined): ModelCalls | undefined {
  if (!one || !other) return one ?? other;
  return { calls: one.calls + other.calls, items: one.items + other.items, tookMs: one.tookMs + other.tookMs };
}
