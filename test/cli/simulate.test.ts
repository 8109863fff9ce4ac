import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';

const program = fileURLToPath(new URL('../../dist/paceline.mjs', import.meta.url));

function run(...args: string[]): { code: number | null; out: string; err: string } {
  const result = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

suite('paceline simulate', (test) => {
  test('refuses values out of range and says what is right', () => {
    for (const [option, value, hint] of [
      ['--slo', '200', 'write it as 200ms'],
      ['--slo', '2h', 'write it as 200ms'],
      ['--load', '0', 'such as 30,70,110'],
      ['--load', 'all', 'such as 30,70,110'],
      ['--seconds', '-1', 'whole number'],
      ['--noise', '101', 'percentage'],
      ['--scenario', 'ramp', 'load, step'],
      ['--cold-start', '3s,1s', 'such as 1.5s,3s'],
      ['--plan-every', '1ms', 'write it as 200ms'],
    ] as const) {
      const { code, err } = run('simulate', option, value);
      assert.is(code, 2);
      assert.match(err, new RegExp(`${option}.*${hint}`));
    }
  });

  test('prints a row a load, and the same rows for the same seed', () => {
    const first = run('simulate', '--load', '30,110', '--seconds', '5', '--seed', '4');
    assert.is(first.code, 0, first.err);
    const rows = first.out.trim().split('\n');
    assert.is(rows.length, 4);
    assert.match(rows[2] as string, /^30%\s+100\.00%/);
    assert.is(run('simulate', '--load', '30,110', '--seconds', '5', '--seed', '4').out, first.out);
  });

  test('the step prints a row for each way of serving it', () => {
    const { code, out, err } = run('simulate', '--scenario', 'step', '--plan-every', '10s');
    assert.is(code, 0, err);
    for (const way of ['Paceline', 'Knative at its defaults', 'Knative, target 1', "KServe's batcher"]) {
      assert.match(out, new RegExp(`^${way}.*%.*replica-s`, 'm'));
    }
    assert.match(out, /cold starts of Paceline/);
  });

  test('shows the map of the product', () => {
    assert.match(run('--help').out, /simulate/);
  });
});
