import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';

const script = fileURLToPath(new URL('../../scripts/train-digits.ts', import.meta.url));

function train(...args: string[]): { code: number | null; out: string } {
  const result = spawnSync(process.execPath, ['--import', 'tsx', script, ...args], { encoding: 'utf8' });
  return { code: result.status, out: result.stdout + result.stderr };
}

suite('digits: training', (test) => {
  test('a variant that is not there is refused', () => {
    const { code, out } = train('--check', 'huge');
    assert.is(code, 1);
    assert.match(out, /there is no variant huge/);
  });

  test('the same data give the committed bytes', () => {
    const { code, out } = train('--check', 'linear');
    assert.is(code, 0, out);
    assert.match(out, /linear: the same bytes/);
  });
});
