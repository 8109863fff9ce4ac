import * as assert from 'uvu/assert';
import { suite } from '../../support/suite.ts';
import { apiServer } from '../control-plane.ts';
import { kill, runningPid } from '../daemons.ts';
import { withLock } from '../lock.ts';
import { kubectl, until } from '../support/cluster.ts';
import { figure } from '../support/figures.ts';
import { up } from '../up.ts';

const choice = { level: 'kserve', knative: '1.23' } as const;

suite('a second start of the cluster', (test) => {
  test('another Knative is refused while one runs', async () => {
    await withLock(() => up(choice));
    const message = await up({ ...choice, knative: '1.21' }).then(
      () => '',
      (error: Error) => error.message,
    );
    assert.match(message, /cluster:down/);
  });

  test('two at a time are refused', async () => {
    const message = await withLock(() => withLock(async () => '').catch((error: Error) => error.message));
    assert.match(message, /is changing the cluster/);
  });

  test('it builds nothing and starts nothing', async () => {
    const started = Date.now();
    assert.equal(await withLock(() => up(choice)), { built: 0, started: 0 });
    figure('a second start takes', (Date.now() - started) / 1000, 's');
  });

  test('it restarts what has died, with everything that was in it', async () => {
    const before = await kubectl(['get', 'namespace', 'kserve', '-o', 'jsonpath={.metadata.uid}']);
    const pid = runningPid(apiServer.name);
    await kill(apiServer.name);
    await kill('gateway');
    assert.equal(await withLock(() => up(choice)), { built: 0, started: 2 });
    assert.is.not(runningPid(apiServer.name), pid);
    assert.is(await kubectl(['get', 'namespace', 'kserve', '-o', 'jsonpath={.metadata.uid}']), before);
    await until('the webhooks to be back', async () => (await kubectl(['get', '--raw', '/readyz'])) === 'ok', 30_000);
  });
});
