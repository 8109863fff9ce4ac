import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { suite } from './suite.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Runs a program below test/ to its end. What it begins by mistake ends with it. */
function run(program: string, args: readonly string[]) {
  const command = ['--import', 'tsx', `test/${program}/run.ts`, ...args];
  return spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8', timeout: 60_000 });
}

suite('long runs: options', (test) => {
  for (const [command, wrong] of [
    ['chaos --requests many', /--requests <n>.*many.*whole number from 1000/],
    ['chaos --requests 999', /--requests <n>.*999/],
    ['chaos --sed 7', /unknown option '--sed'/],
    ['fuzz --runs 0', /--runs <n>.*whole number from 1/],
    ['fuzz --runs 1e6x', /--runs <n>.*1e6x/],
    ['fuzz --seed five', /--seed <n>.*five/],
    ['fuzz --only wires', /There is no "wires"; there are wire, http, grpc/],
    ['soak --seconds 19', /--seconds <n>.*whole number from 20/],
    ['soak 60', /too many arguments/],
    ['peers --instal', /unknown option '--instal'/],
    ['peers no-such-file', /no test file matches no-such-file/],
  ] as const) {
    test(`${command}: refused at once, and the message says what is wrong`, () => {
      const [program = '', ...args] = command.split(' ');
      const { status, stdout, stderr } = run(program, args);
      assert.is(status, 2, stdout + stderr);
      assert.match(stderr, wrong);
      assert.not.match(stderr, /^\s+at /m);
    });
  }

  for (const program of ['chaos', 'fuzz', 'soak', 'peers']) {
    test(`${program} --help lists the options, and begins nothing`, () => {
      const { status, stdout } = run(program, ['--help']);
      assert.is(status, 0);
      assert.match(stdout, /^Usage: npm run [a-z:]+ -- /);
      assert.not.match(stdout, /passed/);
    });
  }
});
