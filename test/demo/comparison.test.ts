import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { type ComparisonRow, compare, ways } from '../../src/demo/comparison.ts';
import { suite } from '../support/suite.ts';

// Children are commands of the program that runs; here that is the bundle.
process.argv[1] = fileURLToPath(new URL('../../dist/paceline.mjs', import.meta.url));

suite('demo: comparison', (test) => {
  test('a model that is not there ends the comparison instead of comparing errors', async () => {
    const plan = { model: 'digits-huge', sloMs: 1000, loads: [0.02], secondsPerLoad: 1, seed: 1 };
    try {
      await compare(
        plan,
        () => assert.unreachable(),
        () => {},
      );
      assert.unreachable();
    } catch (error) {
      assert.match((error as Error).message, /digits-huge does not exist/);
    }
  });

  test('runs every way at every load with the same arrivals, and all answers are right', async () => {
    const rows: ComparisonRow[] = [];
    const steps: string[] = [];
    const plan = { model: 'digits-conv', sloMs: 1000, loads: [0.01, 0.02], secondsPerLoad: 1, seed: 3 };
    const { capacity, singleMs, fullMs } = await compare(
      plan,
      (row) => rows.push(row),
      (text) => steps.push(text),
    );
    assert.ok(capacity > 0 && singleMs > 0 && fullMs > singleMs);
    assert.equal(
      rows.map(({ way, load }) => `${way} ${load}`),
      ways.flatMap((way) => plan.loads.map((load) => `${way} ${load}`)),
    );
    for (const row of rows) {
      const first = rows.find(({ load }) => load === row.load) as ComparisonRow;
      assert.is(row.ratePerSecond, capacity * row.load);
      // The arrival that falls together with the end of the second may be in or out.
      assert.ok(row.sent > 5 && Math.abs(row.sent - first.sent) <= 1, `${row.sent}, ${first.sent}`);
      assert.is(row.wrong, 0);
      assert.equal([...row.statuses], [[200, row.sent]]);
      assert.ok(row.goodput > 0 && row.busyShare > 0 && row.busyMsPerGood > 0 && row.p99 >= row.p50);
      if (row.way === 'no batching') assert.is(row.meanBatch, 1);
      else assert.ok(row.meanBatch >= 1);
    }
    assert.ok(steps.some((step) => step.startsWith('Paceline at 2 %')));
  });
});
