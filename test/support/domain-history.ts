// Random histories of a scheduling domain: what a host may tell a kernel, in any order.
import fc from 'fast-check';
import type { DomainSettings } from '../../src/kernels/batching.ts';
import { Outcome, Setting } from '../../src/kernels/reasons.ts';

export interface HistoryArrival {
  lane: number;
  items: number;
  /** Ms from now; Infinity: the domain's own. */
  soft: number;
  hard: number;
  band: number;
  tenant: number;
}

export type HistoryNote =
  | { note: 'set'; setting: Setting; value: number }
  | { note: 'lateness' | 'reply path'; ms: number }
  | { note: 'limit lane'; lane: number; requests: number }
  | { note: 'upstream changed' }
  | { note: 'drain' };

export interface HistoryStep {
  /** Ms since the last step; the clock may also run backwards or jump. */
  afterMs: number;
  arrivals: HistoryArrival[];
  /** Tickets whose callers leave, counted back from the newest. */
  leave: number[];
  /** The oldest batch in flight ends so. */
  complete: Outcome | null;
  notes: HistoryNote[];
}

export interface History {
  /** Batches of these sizes that are served in peace first, so that the curve is known. */
  warm: number[];
  steps: HistoryStep[];
}

export const lanesMax = 3;

const never = Number.POSITIVE_INFINITY;

const arrivals = fc.record<HistoryArrival>({
  lane: fc.nat(lanesMax - 1),
  items: fc.oneof({ weight: 6, arbitrary: fc.constant(1) }, fc.integer({ min: 1, max: 10 })),
  soft: fc.oneof(
    fc.constant(never),
    fc.constant(200),
    fc.integer({ min: -20, max: 900 }),
    fc.double({ min: 1, max: 400, noNaN: true }),
  ),
  hard: fc.oneof({ weight: 3, arbitrary: fc.constant(never) }, fc.integer({ min: -5, max: 1500 })),
  band: fc.oneof(fc.constant(4), fc.nat(9)),
  tenant: fc.oneof(fc.constant(0), fc.nat(3), fc.integer({ min: 1020, max: 1030 })),
});

const setting = fc.oneof(
  fc.record({ setting: fc.constant(Setting.SloMs), value: fc.integer({ min: 20, max: 400 }) }),
  fc.record({ setting: fc.constant(Setting.MaxBatchItems), value: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ setting: fc.constant(Setting.DeferLate), value: fc.nat(1) }),
  fc.record({ setting: fc.constant(Setting.LateTimeoutMs), value: fc.integer({ min: 50, max: 2000 }) }),
);

const patience = fc
  .constantFrom(-1, 0, 0.3, 1)
  .map((value): HistoryNote => ({ note: 'set', setting: Setting.Patience, value }));

const note = fc.oneof<fc.Arbitrary<HistoryNote>[]>(
  setting.map((each): HistoryNote => ({ note: 'set', ...each })),
  fc.record({
    note: fc.constantFrom('lateness' as const, 'reply path' as const),
    ms: fc.double({ min: 0, max: 40, noNaN: true }),
  }),
  fc.record({ note: fc.constant('limit lane' as const), lane: fc.nat(lanesMax - 1), requests: fc.nat(4) }),
  fc.constant<HistoryNote>({ note: 'upstream changed' }),
);

const outcome = fc.oneof(
  { weight: 8, arbitrary: fc.constant(Outcome.Answered) },
  fc.constantFrom(Outcome.TimedOut, Outcome.Cancelled, Outcome.Failed, Outcome.TooLarge),
);

/** @param withPatience also histories in which the kernel waits on purpose. */
export function histories(withPatience: boolean): fc.Arbitrary<History> {
  const notes = withPatience ? fc.oneof({ weight: 2, arbitrary: note }, patience) : note;
  const drain = fc.constant<HistoryNote>({ note: 'drain' });
  const step = fc.record<HistoryStep>({
    afterMs: fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: 0, max: 30 }) },
      { weight: 2, arbitrary: fc.double({ min: 0, max: 300, noNaN: true }) },
      fc.integer({ min: -5, max: 3000 }),
      fc.constantFrom(4999, 5001, 61_000),
    ),
    arrivals: fc.array(arrivals, { maxLength: 6 }),
    leave: fc.oneof({ weight: 3, arbitrary: fc.constant<number[]>([]) }, fc.array(fc.nat(20), { maxLength: 3 })),
    complete: fc.option(outcome, { freq: 3 }),
    notes: fc.oneof(
      { weight: 7, arbitrary: fc.constant<HistoryNote[]>([]) },
      { weight: 3, arbitrary: fc.array(notes, { maxLength: 2 }) },
      { weight: 1, arbitrary: drain.map((each) => [each]) },
    ),
  });
  return fc.record<History>({
    warm: fc.oneof(
      fc.constant<number[]>([]),
      fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 9, maxLength: 14 }),
    ),
    steps: fc.array(step, { minLength: 1, maxLength: 50 }),
  });
}

export const historySettings: DomainSettings = {
  sloMs: 200,
  sloQuantile: 0.99,
  patience: 0,
  maxBatchItems: 8,
  deferLate: true,
  lateTimeoutMs: 1000,
  maxWaiting: 24,
  maxLanes: 4,
  maxInFlight: 1,
};

/** The steps of a history with its peaceful beginning written out: each batch is asked for, sent and answered. */
export function allSteps(history: History): HistoryStep[] {
  const quiet = { leave: [], notes: [] };
  const warm = history.warm.flatMap((size): HistoryStep[] => {
    const one = { lane: 0, items: 1, soft: never, hard: never, band: 4, tenant: 0 };
    return [
      { ...quiet, afterMs: 3, arrivals: Array.from({ length: size }, () => one), complete: null },
      ...Array.from({ length: 4 }, () => ({ ...quiet, afterMs: 20 + size, arrivals: [], complete: Outcome.Answered })),
    ];
  });
  return [...warm, ...history.steps];
}
