import * as assert from 'uvu/assert';
import { RolloutReason } from '../../../src/kernels/rollout-evidence.ts';
import {
  bursts,
  type InstantWalk,
  steady,
  summary,
  type WalkEnd,
  type Weather,
  walkOnce,
} from '../../support/instant-walk.ts';
import { suite } from '../../support/suite.ts';

/** Enough for one in a hundred to be seen. */
const walksOfEach = 150;
const promised = steady(0.005);

/** The same bursts at both revisions: the load's, not the model's. */
function together(seed: number): Weather {
  const weather = bursts(0.005, 60, 15, seed);
  let at = -1;
  let late = 0;
  return {
    late: (second, random) => {
      if (second !== at) late = weather.late(second, random);
      at = second;
      return late;
    },
  };
}

const equal: Readonly<Record<string, (seed: number) => InstantWalk>> = {
  'both within the objective': () => ({ candidate: promised, stable: promised, rate: 40 }),
  'both far beyond it': () => ({ candidate: steady(0.3), stable: steady(0.3), rate: 40 }),
  'few requests': () => ({ candidate: promised, stable: promised, rate: 8 }),
  'bursts that hit both': (seed) => {
    const both = together(seed);
    return { candidate: both, stable: both, rate: 40 };
  },
  'bursts that hit one at a time': (seed) => ({
    candidate: bursts(0.005, 100, 5, seed),
    stable: bursts(0.005, 100, 5, seed + 1e6),
    rate: 40,
  }),
  'calls of very uneven times': () => ({
    ...{ candidate: promised, stable: promised, rate: 40 },
    ...{ noise: 0.3, callNoise: 0.8 },
  }),
  'a fifth dearer, with noise': () => ({
    ...{ candidate: promised, stable: promised, rate: 40 },
    ...{ slowed: 1.2, callNoise: 0.5 },
  }),
  'half a minute in which one of both is starved': (seed) => {
    const from = 20 + (seed % 200);
    return {
      ...{ candidate: promised, stable: promised, rate: 40 },
      hour: (of, second) => (of === 'candidate' && second >= from && second < from + 30 ? 4 : 1),
    };
  },
};

/** Three times the time of a batch: whether or not that misses the objective depends on the objective. */
const slowed: Readonly<Record<string, () => InstantWalk>> = {
  'misses the objective': () => ({ candidate: steady(0.6), stable: promised, rate: 40 }),
  'misses it now and then': () => ({ candidate: steady(0.12), stable: promised, rate: 40 }),
  'meets it, with uneven times': () => ({ candidate: promised, stable: promised, rate: 40, slowed: 3, noise: 0.2 }),
};

/** Within the objective all the same, which leaves its cost. */
const dear: Readonly<Record<string, () => InstantWalk>> = {
  'costs twice as much': () => ({ candidate: promised, stable: promised, rate: 40, slowed: 2 }),
  'costs twice as much, with noise': () => ({
    ...{ candidate: promised, stable: promised, rate: 40 },
    ...{ slowed: 2, noise: 0.1, callNoise: 0.5 },
  }),
  'costs twice as much, at ten times the load': () => ({
    ...{ candidate: promised, stable: promised, rate: 400 },
    ...{ slowed: 2, callNoise: 0.3 },
  }),
};

function walks(kind: (seed: number) => InstantWalk): WalkEnd[] {
  return Array.from({ length: walksOfEach }, (_, index) => walkOnce(kind(index + 1), index * 7919 + 13));
}

suite('the sequential test, over thousands of seeded walks', (test) => {
  for (const [name, kind] of Object.entries(equal)) {
    test(`rolls back at most 1 % of equal revisions: ${name}`, () => {
      const { shares, seconds } = summary(walks(kind));
      const { ProvenGood = 0, None = 0 } = shares;
      assert.ok(1 - ProvenGood - None <= 0.01, JSON.stringify(shares));
      assert.ok(ProvenGood >= 0.98, JSON.stringify(shares));
      assert.ok(seconds <= 600, `median ${seconds} s`);
    });
  }

  for (const [name, kind] of Object.entries(dear)) {
    test(`finds a revision that ${name}`, () => {
      const { shares, seconds, exposed } = summary(walks(kind));
      assert.ok((shares[RolloutReason[RolloutReason.CostsMore]] ?? 0) >= 0.98, JSON.stringify(shares));
      assert.ok((shares[RolloutReason[RolloutReason.ProvenGood]] ?? 0) <= 0.01, JSON.stringify(shares));
      assert.ok(seconds <= 600 && exposed <= 0.1, `median ${seconds} s, ${exposed} of all requests`);
    });
  }

  for (const [name, kind] of Object.entries(slowed)) {
    test(`promotes at most 1 % of revisions slowed by 3x: ${name}`, () => {
      const { shares, exposed } = summary(walks(kind));
      assert.ok((shares[RolloutReason[RolloutReason.ProvenGood]] ?? 0) <= 0.01, JSON.stringify(shares));
      assert.ok((shares[RolloutReason[RolloutReason.None]] ?? 0) <= 0.02, JSON.stringify(shares));
      assert.ok(exposed <= 0.1, `the median walk sent ${exposed} of all requests to it`);
    });
  }
});
