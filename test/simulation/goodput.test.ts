import * as assert from 'uvu/assert';
import { defaultSettings, PacelinePolicy } from '../../src/simulator/paceline.ts';
import {
  type SimulatedModel,
  type SimulatedRequest,
  type SimulationResult,
  simulate,
} from '../../src/simulator/run.ts';
import { poisson, referenceCapacity, referenceModel } from '../../src/simulator/workload.ts';
import { suite } from '../support/suite.ts';

const start = 2 ** 31;
const oneClass = [{ weight: 1, sloMs: 200, lane: 0 }];

interface Case {
  load: number;
  noise?: number;
  seed?: number;
  seconds?: number;
  sloMs?: number;
  kinds?: { weight: number; sloMs: number; lane: number }[];
  model?: SimulatedModel;
  capacity?: number;
  patience?: number;
  giveUp?: boolean;
  deferLate?: boolean;
  warmupMs?: number;
  start?: number;
}

interface Played extends SimulationResult {
  policy: PacelinePolicy;
  workload: SimulatedRequest[];
}

function play(each: Case): Played {
  const from = each.start ?? start;
  const sloMs = each.sloMs ?? 200;
  const rate = ((each.capacity ?? referenceCapacity) * each.load) / 100;
  const workload = poisson(each.seed ?? 1, from, each.seconds ?? 20, rate, each.kinds ?? oneClass);
  const settings = { ...defaultSettings(sloMs), patience: each.patience ?? -1, deferLate: each.deferLate ?? true };
  const policy = new PacelinePolicy(settings, from);
  const result = simulate(policy, workload, each.model ?? referenceModel(each.noise ?? 0.02), {
    seed: (each.seed ?? 1) + 100,
    giveUp: each.giveUp ?? false,
    warmupMs: each.warmupMs ?? 0,
  });
  assert.is(result.lost, 0, 'requests without an end');
  return { ...result, policy, workload };
}

function share(result: Played, of: (request: SimulatedRequest) => boolean): number {
  let all = 0;
  let good = 0;
  result.workload.forEach((request, id) => {
    if (!of(request)) return;
    all++;
    good += result.onTime[id] as number;
  });
  return good / all;
}

function atLeast(value: number, bar: number, what: string): void {
  assert.ok(value >= bar, `${what}: ${(100 * value).toFixed(2)} % is below ${(100 * bar).toFixed(2)} %`);
}

suite('goodput in virtual time, an SLO and nothing else', (test) => {
  for (const load of [5, 30, 70, 95]) {
    test(`${load} % load keeps 99.5 %`, () => {
      for (const seed of [1, 2, 3]) atLeast(play({ load, seed }).goodput, 0.995, `${load} %, seed ${seed}`);
    });
  }

  test('95 % load with 10 % noise keeps 99 %', () => {
    for (const seed of [1, 2, 3]) atLeast(play({ load: 95, noise: 0.1, seed }).goodput, 0.99, `seed ${seed}`);
  });

  for (const load of [110, 150]) {
    test(`${load} % load keeps 97 % of what is possible and the model busy`, () => {
      for (const seed of [1, 2]) {
        const result = play({ load, seed });
        atLeast(result.goodput, (0.97 * 100) / load, `${load} %`);
        atLeast(result.busyShare, 0.985, 'busy share');
        assert.is(result.policy.domain.signals.laneCapacity(0), 32, 'learned the largest batch');
        atLeast(play({ load, seed, noise: 0.1 }).goodput, (0.96 * 100) / load, `${load} % with noise`);
        atLeast(play({ load, seed, giveUp: true }).goodput, (0.94 * 100) / load, `${load} % with callers that leave`);
      }
    });
  }

  test('deadlines of 80, 200 and 1000 ms mixed', () => {
    const kinds = [
      { weight: 3, sloMs: 80, lane: 0 },
      { weight: 4, sloMs: 200, lane: 0 },
      { weight: 3, sloMs: 1000, lane: 0 },
    ];
    for (const [load, bar] of [
      [70, 0.98],
      [95, 0.9],
      [110, 0.85],
    ] as const) {
      const result = play({ load, kinds, seconds: 30 });
      atLeast(result.goodput, bar, `${load} %`);
      if (load === 110)
        atLeast(
          share(result, (request) => request.sloMs === 80),
          0.35,
          'the 80 ms class',
        );
    }
  });

  test('four lanes on one serial model, and a 100 ms lane beside three of 1000 ms', () => {
    const four = [0, 1, 2, 3].map((lane) => ({ weight: 1, sloMs: 200, lane }));
    for (const seed of [1, 2]) atLeast(play({ load: 70, kinds: four, seconds: 30, seed }).goodput, 0.98, 'four lanes');
    const mixed = [{ weight: 1, sloMs: 100, lane: 0 }, ...[1, 2, 3].map((lane) => ({ weight: 1, sloMs: 1000, lane }))];
    const result = play({ load: 50, kinds: mixed, sloMs: 1000, seconds: 30 });
    atLeast(result.goodput, 0.97, 'all');
    atLeast(
      share(result, (request) => request.sloMs === 100),
      0.97,
      'the 100 ms lane',
    );
  });

  test('finds four parallel batches by itself, within ten seconds of a cold start', () => {
    const model = { servers: 4, perLane: false, maxItems: 32, noise: 0.02, meanMs: (items: number) => 20 + items };
    const lanes = [0, 1, 2, 3].map((lane) => ({ weight: 1, sloMs: 200, lane }));
    for (const [name, served, kinds] of [
      ['one model', model, oneClass],
      ['four models', { ...model, servers: 1, perLane: true }, lanes],
    ] as const) {
      for (const load of [25, 50]) {
        const result = play({ load, capacity: 2461, model: served, kinds: [...kinds], warmupMs: 10_000, seconds: 30 });
        atLeast(result.goodput, 0.985, `${name} at ${load} %`);
      }
      const result = play({
        load: 95,
        capacity: 2461,
        model: served,
        kinds: [...kinds],
        warmupMs: 10_000,
        seconds: 30,
      });
      atLeast((result.goodput * result.requests) / 20 / 2200, 1, `${name} at 95 %, of 2,200 requests/s`);
    }
  });
});

suite('what patience buys', (test) => {
  test('patience 1 saves model time and still keeps 99.9 %', () => {
    for (const [load, ms] of [
      [5, 5],
      [30, 1.9],
    ] as const) {
      const result = play({ load, patience: 1, seconds: 40 });
      atLeast(result.goodput, 0.999, `${load} %`);
      assert.ok(result.busyMsPerRequest <= ms, `${result.busyMsPerRequest.toFixed(2)} ms a request at ${load} %`);
    }
  });

  test('at 5 requests a second patience 0 adds next to nothing', () => {
    const model = { servers: 1, perLane: false, maxItems: 64, noise: 0.02, meanMs: () => 28 };
    const result = play({
      load: 100,
      capacity: 5,
      sloMs: 500,
      patience: 0,
      model,
      seconds: 120,
      kinds: [{ weight: 1, sloMs: 500, lane: 0 }],
    });
    assert.ok(result.p50 <= 29, `P50 ${result.p50.toFixed(1)} ms of a model that takes 28`);
    atLeast(result.goodput, 1, 'goodput');
  });
});

suite('learning that cannot be poisoned', (test) => {
  /** The reference model, disturbed; `batch` counts its batches. */
  function disturbed(ms: (items: number, batch: number, t: number) => number): SimulatedModel {
    let batch = 0;
    return {
      servers: 1,
      perLane: false,
      maxItems: 32,
      noise: 0.02,
      meanMs: (items, t) => ms(items, batch++, t - start),
    };
  }
  const disturbances = [
    {
      name: 'a first answer of 5 s',
      model: () => disturbed((n, batch) => (batch === 0 ? 5000 : 20 + n)),
      fromMs: 6500,
    },
    {
      name: 'one outlier of 30 times',
      model: () => disturbed((n, batch) => (batch === 60 ? 30 : 1) * (20 + n)),
      fromMs: 9000,
    },
    {
      name: 'three times slower for 5 s',
      model: () => disturbed((n, _, t) => (t > 5000 && t < 10_000 ? 3 : 1) * (20 + n)),
      fromMs: 12_500,
    },
  ];
  for (const { name, model, fromMs } of disturbances) {
    test(`recovers from ${name}`, () => {
      for (const load of [5, 70]) {
        for (const deferLate of [true, false]) {
          const result = play({ load, model: model(), deferLate, warmupMs: fromMs, seconds: 25 });
          atLeast(result.goodput, 0.99, `${load} %, ${deferLate ? 'defer' : 'shed'}`);
        }
      }
    });
  }

  test('stays slow with a model that became three times slower for good, and keeps its promise there', () => {
    const result = play({ load: 10, model: disturbed((n, _, t) => (t > 5000 ? 3 : 1) * (20 + n)), warmupMs: 8000 });
    atLeast(result.goodput, 0.99, '10 % of the former capacity');
  });

  test('10^5 batches of one size leave the curve where it was', () => {
    const result = play({ load: 100, capacity: 25, patience: 0, seconds: 4000, start: 1e9 });
    const { quantileMs, expectedMs } = result.policy.domain.signals;
    assert.ok(expectedMs(0, 1) > 20 && expectedMs(0, 1) < 22.5, `L(1) = ${expectedMs(0, 1)}`);
    assert.ok(quantileMs(0, 1) < 24, `L_q(1) = ${quantileMs(0, 1)}`);
    assert.ok(expectedMs(0, 2) < 26, `L(2) = ${expectedMs(0, 2)}`);
  });

  test('tries a refused size again: a limit that is gone is forgotten', () => {
    const model = referenceModel();
    const workload = poisson(3, start, 60, referenceCapacity * 0.5, oneClass);
    const limited = {
      ...model,
      meanMs: (items: number, t: number) => {
        limited.maxItems = t - start < 3000 ? 4 : 32;
        return model.meanMs(items, t);
      },
    };
    limited.maxItems = 4;
    const policy = new PacelinePolicy(defaultSettings(200), start);
    const result = simulate(policy, workload, limited, { seed: 4, warmupMs: 40_000 });
    assert.ok(policy.domain.signals.laneCapacity(0) >= 16, `capacity ${policy.domain.signals.laneCapacity(0)}`);
    atLeast(result.goodput, 0.995, 'once the limit is gone');
  });

  test('concludes that batching does not help, and that it is free', () => {
    const flat = play({
      load: 100,
      capacity: 30,
      model: { servers: 1, perLane: false, maxItems: 64, noise: 0.02, meanMs: (n) => 25 * n },
    });
    assert.is(flat.policy.domain.signals.laneKnee(0), 1);
    const free = play({
      load: 100,
      capacity: 300,
      model: { servers: 1, perLane: false, maxItems: 64, noise: 0.02, meanMs: () => 30 },
    });
    assert.ok(free.policy.domain.signals.laneKnee(0) >= 32, `knee ${free.policy.domain.signals.laneKnee(0)}`);
  });

  test('after a pulse of 150 % every deferred request is answered and on-time goodput returns', () => {
    const workload = poisson(5, start, 40, (s) => (referenceCapacity * (s >= 10 && s < 20 ? 150 : 30)) / 100, oneClass);
    const policy = new PacelinePolicy(defaultSettings(200), start);
    const result = simulate(policy, workload, referenceModel(), { seed: 9, warmupMs: 21_500 });
    atLeast(result.goodput, 0.995, 'after the pulse');
    assert.is(result.lost, 0);
  });
});
