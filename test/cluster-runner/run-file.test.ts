import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { runTestFile } from '../support/run-file.ts';
import { suite } from '../support/suite.ts';

suite('running a test file', (test) => {
  const folder = mkdtempSync(join(tmpdir(), 'paceline-run-file-'));
  test.after(() => rmSync(folder, { recursive: true, force: true }));

  function run(text: string, timeoutMs = 10_000) {
    const file = join(folder, 'file.mjs');
    writeFileSync(file, text);
    return runTestFile([process.execPath, file], { cwd: folder, timeoutMs });
  }

  test('one that hangs ends in time as a failure, also when what it started lives on', async () => {
    const began = Date.now();
    const outcome = await run(
      `import { spawn } from 'node:child_process';
       import { writeFileSync } from 'node:fs';
       const child = spawn('sleep', ['30'], { stdio: 'inherit', detached: true });
       writeFileSync('pid', String(child.pid));
       setInterval(() => {}, 1000);`,
      2_000,
    );
    process.kill(Number(readFileSync(join(folder, 'pid'), 'utf8')), 'SIGKILL');
    assert.is(outcome.failed, 1);
    assert.match(outcome.output, /timed out after 2 s/);
    assert.ok(Date.now() - began < 20_000, `${Date.now() - began} ms`);
  });

  for (const [what, text] of [
    ['leaves without a summary', ''],
    ['registers no test', "console.log('  Total:     0\\n  Passed:    0\\n  Skipped:   0')"],
    ['leaves with a code', "console.log('  Total:     1\\n  Passed:    1\\n  Skipped:   0'); process.exitCode = 1"],
  ] as const) {
    test(`one that ${what} has failed`, async () => {
      assert.is((await run(text)).failed, 1);
    });
  }

  test('what passed and was skipped is counted', async () => {
    const { passed, failed, skipped } = await run("console.log('  Total:     3\\n  Passed:    3\\n  Skipped:   2')");
    assert.equal([passed, failed, skipped], [3, 0, 2]);
  });
});
