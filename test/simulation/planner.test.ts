import * as assert from 'uvu/assert';
import { WorkConserving } from '../../src/simulator/rivals/static-rules.ts';
import { queueCases, queueEstimate } from '../../src/simulator/scenarios/queue-estimate.ts';
import { slowModel } from '../../src/simulator/scenarios/slow-model.ts';
import { type StepFigures, stepComparison } from '../../src/simulator/scenarios/step.ts';
import { suite } from '../support/suite.ts';

suite('a step of five times under Knative', (test) => {
  for (const [seed, planEverySec] of [
    [1, 10],
    [7, 1],
  ] as const) {
    test(`the promise is kept at a quarter of the price, seed ${seed}, a plan each ${planEverySec} s`, () => {
      const [ours, ...rivals] = stepComparison({ seed, planEverySec }) as [StepFigures, ...StepFigures[]];
      assert.ok(ours.during >= 0.95, `${ours.during} of the 60 s from the step`);
      assert.ok(ours.after >= 0.99, `${ours.after} after them`);
      assert.ok(ours.ofPossible >= 0.97, `${ours.ofPossible} of what the ready replicas can serve`);
      const keeping = rivals.filter((each) => each.after >= 0.99);
      assert.ok(keeping.length > 0, 'some rival keeps the promise afterwards');
      for (const rival of keeping) {
        const most = rival.batching ? rival.replicaSeconds : rival.replicaSeconds / 4;
        assert.ok(ours.replicaSeconds <= most, `${rival.way}: ${rival.replicaSeconds} against ${ours.replicaSeconds}`);
      }
    });
  }

  test('a slow cold start costs what the ready replica cannot serve, and no more', () => {
    const [ours] = stepComparison({ seed: 3, coldStartMs: [10_000, 12_000], ways: 1 });
    assert.ok((ours?.ofPossible ?? 0) >= 0.92, `${ours?.ofPossible}`);
    assert.ok((ours?.after ?? 0) >= 0.99, `${ours?.after}`);
  });
});

suite('a model that gains nothing by batching, with all its load on one fresh replica', (test) => {
  for (const seed of [1, 2, 3]) {
    test(`what was assumed of it holds growth back for seconds only, seed ${seed}`, () => {
      const { ready, planned, most, inTime } = slowModel(seed);
      // Ten replicas are what serves all of it, whatever the objective.
      const enough = ready.findIndex((replicas) => replicas >= 10);
      assert.ok(enough > 0 && enough <= 15, `ten replicas after ${enough} s`);
      assert.ok(inTime(20, 120) >= 0.99, `${inTime(20, 120)} in time after 20 s`);
      // What waits meanwhile is work for those that are planned, and no reason for Knative to start several times as many.
      assert.ok(most <= 2 * planned, `${most} replicas where ${planned} are planned`);
    });
  }
});

suite('the queueing estimate, beside the simulator', (test) => {
  for (const each of queueCases) {
    const name = `${each.base} + ${each.item} ms an item, SLO ${each.sloMs}, batches of ${each.batch}, ${each.parallel} at once`;
    test(`${name}: the promise holds at the estimated capacity, and with room to spare at half of it`, () => {
      const { simulated, estimate, capacity } = queueEstimate(each, 1, 45);
      assert.ok(estimate >= 0.99 && estimate < 0.9999, `${estimate} at ${capacity} a second`);
      assert.ok(simulated >= 0.985, `${simulated}`);
      assert.ok(queueEstimate(each, 0.5, 25).simulated > 0.999);
    });

    // This rule sends one batch at a time.
    if (each.parallel > 1) continue;
    test(`${name}: work-conserving dispatch, which the formula is about, breaks it just beyond`, () => {
      const { simulated } = queueEstimate(each, 1.12, 60, new WorkConserving(each.batch));
      assert.ok(simulated < 0.985, `${simulated}`);
    });
  }
});
