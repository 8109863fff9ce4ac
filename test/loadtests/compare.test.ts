import * as assert from 'uvu/assert';
import type { Report, SecondReport } from '../../loadtests/report/report.ts';
import { capacityOfPod, judge, type Outcome } from '../cluster/compare/bars.ts';
import { htmlPage, markdownPage } from '../cluster/compare/page.ts';
import { ways } from '../cluster/compare/ways.ts';
import { suite } from '../support/suite.ts';

interface Shown {
  step?: number;
  after?: number;
  replicaSeconds: number;
  goodEarly?: number;
}

/** A report with these figures, its second 30 being that of the step. */
function outcomeOf(at: number, { step = 1, after = 1, replicaSeconds, goodEarly = 160 }: Shown): Outcome {
  const tally = (seconds: number, attainment: number) => ({
    seconds,
    attainment,
    requests: 1,
    good: 1,
    late: 0,
    refused: 0,
    failed: 0,
    unsent: 0,
    goodput: 1,
    p50Ms: 1,
    p95Ms: 1,
    p99Ms: 1,
  });
  const phase = (name: string, rate: number, seconds: number, attainment: number) => ({
    name,
    rate,
    asked: null,
    tally: tally(seconds, attainment),
    replicaSeconds: null,
  });
  const seconds = Array.from(
    { length: 180 },
    (_, second): SecondReport => ({
      second,
      due: second < 30 ? 40 : 200,
      good: second < 30 ? 40 : goodEarly,
      failed: 0,
      p50Ms: 1,
      p95Ms: 1,
      p99Ms: 1,
      ready: 1,
      starting: 0,
    }),
  );
  const report: Report = {
    scenario: 'step',
    startedAt: '',
    sloMs: 500,
    quantile: 0.99,
    passed: true,
    thresholds: [],
    currency: null,
    sides: [
      {
        name: 'service',
        url: '',
        host: null,
        whole: tally(180, after),
        phases: [phase('before', 40, 30, 1), phase('step', 200, 60, step), phase('after', 200, 90, after)],
        replicas: { replicaSeconds, most: 3, coldStartsMs: [1500], cost: null },
        seconds,
      },
    ],
  };
  return { way: ways[at]!, report };
}

function heldOf(own: Shown, rivals: readonly Shown[]): boolean[] {
  return judge([outcomeOf(0, own), ...rivals.map((rival, at) => outcomeOf(at + 1, rival))]).map(({ held }) => held);
}

suite('comparison of five ways', (test) => {
  const good = { replicaSeconds: 300 };
  const dear = [{ replicaSeconds: 1400 }, { replicaSeconds: 1500 }, { replicaSeconds: 900 }, { replicaSeconds: 800 }];

  test('nothing measured is no result', () => {
    assert.throws(() => judge([]), /nothing was measured/);
  });

  test('each bar can fail by itself', () => {
    assert.equal(heldOf(good, dear), [true, true, true, true, true]);
    assert.equal(heldOf({ ...good, step: 0.949 }, dear), [false, true, true, true, true]);
    assert.equal(heldOf({ ...good, after: 0.9899 }, dear), [true, false, true, true, true]);
    assert.equal(heldOf({ ...good, goodEarly: 155 }, dear), [true, true, false, true, true]);
    assert.equal(heldOf({ replicaSeconds: 350 }, [...dear.slice(0, 3), { replicaSeconds: 349 }]), [
      true,
      true,
      true,
      false,
      true,
    ]);
    assert.equal(heldOf({ replicaSeconds: 351 }, dear), [true, true, true, true, false]);
  });

  test('a rival that does not keep the promise is not cheaper', () => {
    const cheapAndLate = { replicaSeconds: 1, after: 0.98 };
    assert.equal(heldOf(good, [cheapAndLate, ...dear.slice(1)]), [true, true, true, true, true]);
  });

  test('a pod can serve what two batches within the objective hold', () => {
    // 40 items take 250 ms, twice that is 500 ms.
    assert.is(capacityOfPod(), 160);
  });

  test('the pages show every way and every bar', () => {
    const outcomes = [outcomeOf(0, good), ...dear.map((rival, at) => outcomeOf(at + 1, rival))];
    const setting = { machine: 'm', commit: 'c', date: 'd', kept: false };
    const page = markdownPage(outcomes, judge(outcomes), setting);
    for (const { name } of ways)
      assert.ok(page.includes(`| ${name} |`) && htmlPage(outcomes, setting).includes(name.replace("'", '&#39;')), name);
    assert.is(page.match(/\| held \|/g)?.length, 5);
    assert.match(page, 'by one command');
    assert.match(markdownPage(outcomes, judge(outcomes), { ...setting, kept: true }), 'in several runs');
    assert.not.match(page + htmlPage(outcomes, setting), /NaN|undefined/);
  });
});
