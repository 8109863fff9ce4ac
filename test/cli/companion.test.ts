import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';

const bundle = fileURLToPath(new URL('../../dist/paceline.mjs', import.meta.url));
const flags = ['--upstream', 'http://127.0.0.1:9', '--slo', '200ms', '--host', '127.0.0.1'];

interface Line {
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** Starts a companion and reads its log until it listens. */
async function start(variables: Record<string, string>): Promise<{ child: ChildProcess; lines: Line[] }> {
  const child = fork(bundle, ['companion', ...flags, '--port', '0', '--admin-port', '0'], {
    env: { PATH: process.env.PATH, ...variables },
    execArgv: [],
    silent: true,
  });
  let said = '';
  for await (const chunk of child.stderr ?? []) {
    said += chunk;
    if (/the companion listens.*\n/.test(said)) break;
  }
  const lines = said
    .slice(0, said.lastIndexOf('\n'))
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
  return { child, lines };
}

suite('paceline companion', (test) => {
  test('a mistyped variable is named in the log, and the companion starts all the same', async () => {
    const { child, lines } = await start({ PACELINE_MAXWAITING: '3', PACELINE_SERVICE_HOST: '10.0.0.1' });
    child.kill('SIGKILL');
    const warned = lines.filter(({ code }) => code === 'PL_CONFIG_UNKNOWN');
    assert.equal(
      warned.map(({ msg }) => msg),
      ['PACELINE_MAXWAITING is no option and is ignored: did you mean PACELINE_MAX_WAITING?'],
    );
    const ready = lines.find(({ msg }) => msg === 'the companion listens');
    assert.ok((ready?.port as number) > 0 && (ready?.adminPort as number) > 0);
    assert.is(ready?.sloMs, 200);
  });

  test('SIGTERM drains and ends with 0', async () => {
    const { child } = await start({});
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    assert.equal(await exited, [0, null]);
  });

  test('a companion whose parent is gone ends', async () => {
    const { child } = await start({});
    const exited = once(child, 'exit');
    child.disconnect();
    assert.equal(await exited, [0, null]);
  });
});
