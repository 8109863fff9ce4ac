import * as assert from 'uvu/assert';
import {
  besideHandTunedTimer,
  besideWorkConserving,
  bursts,
  fourLanes,
  lowLoad,
  mixedDeadlines,
  parallelModels,
  referenceGoodput,
  shortLaneBesideLong,
} from '../../src/simulator/scenarios/rows.ts';
import { suite } from '../support/suite.ts';

function atLeast(value: number, bar: number, what: string): void {
  assert.ok(value >= bar, `${what}: ${value.toFixed(4)} is below ${bar.toFixed(4)}`);
}

function atMost(value: number, bar: number, what: string): void {
  assert.ok(value <= bar, `${what}: ${value.toFixed(4)} is above ${bar.toFixed(4)}`);
}

suite('figures that must hold in virtual time', (test) => {
  test('bursts 3:1 around 70 %: 98.5 % of what a clairvoyant reaches, in each of 20 seeds', () => {
    for (const phaseMs of [250, 500, 1000]) {
      for (let seed = 1; seed <= 20; seed++) {
        const { goodput, clairvoyant } = bursts(seed, phaseMs);
        atLeast(goodput / clairvoyant, 0.985, `phases of ${phaseMs} ms, seed ${seed}`);
      }
    }
  });

  test('beside a timer that was tuned for the model: no less goodput at any load, less model time from 75 %, less delay up to 50 %', () => {
    for (const load of [5, 25, 50, 75, 85, 95]) {
      for (const seed of [1, 2, 3]) {
        const { ours, timer } = besideHandTunedTimer(load, seed);
        const what = `${load} %, seed ${seed}`;
        atLeast(ours.goodput, timer.goodput - 0.0005, `goodput at ${what}`);
        if (load >= 75) atMost(ours.busyMsPerGoodRequest, timer.busyMsPerGoodRequest, `model time at ${what}`);
        if (load <= 50) atMost(ours.p50, timer.p50, `P50 at ${what}`);
        if (load <= 50) atMost(ours.p99, timer.p99, `P99 at ${what}`);
      }
    }
  });

  test('mixed deadlines: no class starves while another lives well', () => {
    for (const [load, bar] of [
      [70, 0.98],
      [95, 0.9],
      [110, 0.85],
    ] as const) {
      for (const seed of [1, 2, 3]) {
        const { goodput, classes } = mixedDeadlines(load, seed);
        atLeast(goodput, bar, `${load} %, seed ${seed}`);
        if (Math.max(...classes) > 0.95) atLeast(Math.min(...classes), 0.35, `least class at ${load} %, seed ${seed}`);
      }
    }
  });

  test('lanes on one serial model: four alike at 70 %, and a short objective beside three long ones at 50 %', () => {
    for (const seed of [1, 5, 9, 13]) {
      atLeast(fourLanes(seed), 0.98, `four lanes, seed ${seed}`);
      const { all, short } = shortLaneBesideLong(seed);
      atLeast(all, 0.97, `short beside long, seed ${seed}`);
      atLeast(short, 0.97, `the short lane, seed ${seed}`);
    }
  });

  for (const fourModels of [false, true]) {
    const name = fourModels ? 'four models with one batch each' : 'one model that runs four batches';
    test(`${name}: all in time at 25 and 50 %, and 2,200/s at 95 %, ten seconds after a cold start`, () => {
      for (const seed of [1, 2, 3, 4]) {
        for (const load of [25, 50]) atLeast(parallelModels(fourModels, load, seed).goodput, 0.9995, `${load} %`);
        atLeast(parallelModels(fourModels, 95, seed).goodPerSecond, 2200, `seed ${seed}`);
      }
    });
  }

  test('patience 0: P50 within 5 % of dispatching at once, up to 70 %', () => {
    for (const load of [5, 10, 20, 30, 40, 50, 60, 70]) {
      const { ours, greedy } = besideWorkConserving(load, 0, 3);
      atMost(ours.p50 / greedy.p50, 1.05, `${load} %`);
    }
  });

  test('patience 1: less busy time a good request than work-conserving dispatch, for the same goodput', () => {
    for (const load of [5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95]) {
      const { ours, greedy } = besideWorkConserving(load, 1, 3);
      atLeast(ours.goodput, greedy.goodput - 0.003, `goodput at ${load} %`);
      const bar = greedy.meanBatch < 16 ? 0.75 : 1;
      atMost(ours.busyMsPerGoodRequest / greedy.busyMsPerGoodRequest, bar, `busy time at ${load} %`);
    }
  });

  test('at 5 requests a second, P95 is that of the same arrivals sent straight at the model', () => {
    for (const servers of [1, 4]) {
      for (const seed of [1, 2]) {
        const { ours, straight } = lowLoad(servers, seed);
        atMost(ours / straight, 1.15, `${servers} slots, seed ${seed}`);
      }
    }
  });

  test('the same seed gives the same bytes', () => {
    const run = (seed: number) => JSON.stringify(referenceGoodput({ loadPercent: 110, seed, giveUp: true }));
    const first = run(1);
    assert.is(run(1), first);
    assert.is.not(run(2), first);
  });
});
