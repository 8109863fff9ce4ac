import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';

const bundle = fileURLToPath(new URL('../../dist/paceline.mjs', import.meta.url));

async function isUp(url: string): Promise<boolean> {
  return fetch(url).then(
    () => true,
    () => false,
  );
}

suite('paceline start', (test) => {
  test('prints a curl line that reads a real digit, says where metrics are, and stops both', async () => {
    const child = spawn(process.execPath, [bundle, 'start', '--port', '0', '--admin-port', '0'], {
      env: { PATH: process.env.PATH, PACELINE_SLO: '300ms' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = once(child, 'exit');
    try {
      let said = '';
      for await (const chunk of child.stdout) {
        said += chunk;
        if (said.includes('Ctrl-C')) break;
      }
      assert.match(said, /within 300 ms/);
      const curl = /^ +(curl .*)$/m.exec(said)?.[1] as string;
      const answer = spawnSync('sh', ['-c', curl], { encoding: 'utf8' });
      assert.is(answer.stdout, '{"predictions":[7]}');
      const metrics = /Metrics: (\S+)/.exec(said)?.[1] as string;
      const page = await (await fetch(metrics)).text();
      assert.match(page, /paceline_requests_total\{outcome="answered",reason="none"\} 1\n/);
      const model = `http://127.0.0.1:${/model on port (\d+)/.exec(said)?.[1]}/v2/health/ready`;
      assert.ok(await isUp(model));
      child.kill('SIGTERM');
      assert.equal(await exited, [0, null]);
      assert.is(await isUp(model), false);
      assert.is(await isUp(metrics), false);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
