import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { parseNames } from '../../bench/modules.ts';
import { suite } from '../support/suite.ts';

const program = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));

function run(...args: string[]): { code: number | null; err: string } {
  const result = spawnSync(process.execPath, ['--import', 'tsx', program, ...args], { encoding: 'utf8' });
  return { code: result.status, err: result.stderr };
}

suite('npm run bench', (test) => {
  test('refuses names that are of no benchmark, and says which are', () => {
    for (const text of ['nope', 'wire,nope', 'Wire', '../wire']) {
      assert.throws(() => parseNames(text), /There is no benchmark .* there are wire, kernel, companion, policy/);
    }
    for (const text of ['', ',', ' ']) assert.throws(() => parseNames(text), /Name one or more of wire/);
  });

  test('takes names once and in its own order', () => {
    assert.equal(parseNames('kernel, wire,kernel'), ['wire', 'kernel']);
  });

  test('refuses wrong arguments before anything is measured', () => {
    const nowhere = mkdtempSync(join(tmpdir(), 'bench-'));
    rmSync(nowhere, { recursive: true });
    for (const [args, hint] of [
      [['--only', 'nope'], /--only <names>.*There is no benchmark "nope"/],
      [['--json', join(nowhere, 'a.json')], /--json <file>.*There is no folder/],
      [['--onyl', 'wire'], /unknown option '--onyl'/],
      [['wire'], /too many arguments/],
    ] as const) {
      const { code, err } = run(...args);
      assert.is(code, 1, err);
      assert.match(err, hint);
      assert.not.match(err, /\n {4}at /, 'a message, not a stack');
    }
  });
});
