import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { readChoice } from '../cluster/settings.ts';
import { suite } from '../support/suite.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

suite("the runner of the cluster's tests", (test) => {
  test('levels and lines of Knative that do not exist are refused', () => {
    assert.throws(() => readChoice(['--level', 'mesh']), /k8s, knative, kserve/);
    assert.throws(() => readChoice(['--knative', '1.20']), /1\.23, 1\.21/);
    assert.throws(() => readChoice(['--unknown']), /unknown/i);
    assert.equal(readChoice([]), { level: 'kserve', knative: '1.23' });
  });

  test('a machine that cannot run a cluster has every file skipped with the reason, none passed', () => {
    // Without a PATH there is no Go; where the test is not root, that is the reason.
    const env = { ...process.env, PATH: '/nonexistent' };
    const said = execFileSync(process.execPath, ['--import', 'tsx', 'test/cluster/run.ts'], {
      ...{ cwd: root, env, encoding: 'utf8' },
    });
    const lines = said.trim().split('\n');
    const last = lines.pop() as string;
    assert.match(last, /^0 passed, 0 failed, \d+ skipped$/);
    assert.is(lines.length, Number(/, (\d+) skipped/.exec(last)?.[1]));
    for (const line of lines) assert.match(line, /^skip test\/cluster\/\S+\.test\.ts: (Go is missing|not root)/);
  });
});
