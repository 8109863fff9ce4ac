import fc from 'fast-check';
import type { LatencyPoint, RevisionState, ServiceProblem } from '../../src/planner/service-problem.ts';

/** A model of `base` + `item` ms an item as the companions report it. */
export function curve(base: number, item: number, spread = 1.05): LatencyPoint[] {
  return [1, 4, 16, 32, 64].map((items) => {
    const expected = base + item * items;
    return { items, expected, quantile: expected * spread };
  });
}

export function revision(more: Partial<RevisionState> = {}): RevisionState {
  return {
    name: 'model',
    latencyMs: curve(50, 5),
    parallel: 1,
    capacityPerReplica: 0,
    arrivalRate: 0,
    attainment: Number.NaN,
    waiting: 0,
    readyReplicas: 1,
    pendingReplicas: 0,
    ...more,
  };
}

/** Steady arrivals of `rate` a second for a minute. */
export function steady(rate: number): number[] {
  return Array.from({ length: 60 }, () => rate);
}

/** A service that serves 40 requests a second with one revision of 50 ms + 5 ms an item and an SLO of 500 ms. */
export function problem(more: Partial<ServiceProblem> = {}): ServiceProblem {
  return {
    now: 1_000_000,
    policy: { sloMs: 500, sloQuantile: 0.99, patience: 'auto', maxBatchSize: 64 },
    revisions: [revision()],
    demand: { perSecond: steady(40) },
    prices: {},
    bounds: { minReplicas: 1, maxReplicas: 0, containerConcurrency: 0 },
    coldStart: { p50Ms: 2000, p95Ms: 3000, count: 5 },
    autoscaler: { kind: 'knative', stableWindowMs: 60_000, targetUtilization: 0.7, tbc: 211 },
    ...more,
  };
}

const anyRevision = (name: string) =>
  fc
    .record({
      base: fc.double({ min: 1, max: 300, noNaN: true }),
      item: fc.double({ min: 0, max: 30, noNaN: true }),
      spread: fc.double({ min: 1, max: 2, noNaN: true }),
      parallel: fc.integer({ min: 1, max: 4 }),
      price: fc.option(fc.double({ min: 0.01, max: 10, noNaN: true }), { nil: undefined }),
      accuracy: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
      arrivalRate: fc.double({ min: 0, max: 500, noNaN: true }),
      attainment: fc.oneof(fc.constant(Number.NaN), fc.double({ min: 0, max: 1, noNaN: true })),
      readyReplicas: fc.integer({ min: 0, max: 30 }),
      pendingReplicas: fc.integer({ min: 0, max: 5 }),
      learned: fc.boolean(),
    })
    .map(({ base, item, spread, learned, ...rest }) =>
      revision({ ...rest, name, latencyMs: learned ? curve(base, item, spread) : [] }),
    );

/** Services of every kind: up to four revisions, every limit, histories with steps. */
export const anyProblem: fc.Arbitrary<ServiceProblem> = fc
  .record({
    revisions: fc
      .integer({ min: 1, max: 4 })
      .chain((count) => fc.tuple(...Array.from({ length: count }, (_, i) => anyRevision(`revision-${i}`)))),
    sloMs: fc.double({ min: 5, max: 5000, noNaN: true }),
    sloQuantile: fc.constantFrom(0.5, 0.9, 0.95, 0.99, 0.999),
    maxBatchSize: fc.integer({ min: 1, max: 128 }),
    budget: fc.option(fc.double({ min: 0, max: 40, noNaN: true }), { nil: undefined }),
    minAccuracy: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
    minReplicas: fc.integer({ min: 0, max: 4 }),
    more: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }),
    containerConcurrency: fc.constantFrom(0, 0, 1, 10, 200),
    routing: fc.constantFrom('shares' as const, 'choose' as const),
    perSecond: fc.oneof(
      fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 60 }),
      fc
        .tuple(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 800 }), fc.integer({ min: 0, max: 60 }))
        .map(([low, high, at]) => Array.from({ length: 60 }, (_, i) => (i < at ? low : high))),
    ),
    coldMs: fc.integer({ min: 100, max: 120_000 }),
    ageMs: fc.constantFrom(0, 0, 0, 100_000),
  })
  .map((each) =>
    problem({
      revisions: each.revisions,
      routing: each.routing,
      policy: {
        sloMs: each.sloMs,
        sloQuantile: each.sloQuantile,
        patience: 'auto',
        maxBatchSize: each.maxBatchSize,
        budget: each.budget === undefined ? undefined : { perHour: each.budget },
        minAccuracy: each.minAccuracy,
      },
      bounds: {
        minReplicas: each.minReplicas,
        maxReplicas: each.more === undefined ? 0 : Math.max(1, each.minReplicas + each.more),
        containerConcurrency: each.containerConcurrency,
      },
      demand: { perSecond: each.perSecond, ageMs: each.ageMs },
      coldStart: { p50Ms: each.coldMs / 2, p95Ms: each.coldMs, count: 3 },
    }),
  );
