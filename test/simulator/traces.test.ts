import { readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { traceWorkload } from '../../src/simulator/traces.ts';
import { suite } from '../support/suite.ts';

suite('traces', (test) => {
  test('refuses what is no trace', () => {
    assert.throws(() => traceWorkload('arrival_ms\n', 10, 200), /spans no time/);
    assert.throws(() => traceWorkload('arrival_ms\n0\nx\n', 10, 200), /line 3 .* no number/);
    assert.throws(() => traceWorkload('arrival_ms\n5\n3\n', 10, 200), /line 3 .* back/);
  });

  test('plays a recorded hour at the mean rate that was asked for', () => {
    const text = readFileSync(new URL('../traces/azure-llm-2023-conv.csv', import.meta.url), 'utf8');
    const workload = traceWorkload(text, 300, 200);
    assert.is(workload.length, 19_366);
    assert.is(workload[0]?.at, 0);
    assert.ok(Math.abs((workload.at(-1)?.at ?? 0) - 64_553) < 1);
  });
});
