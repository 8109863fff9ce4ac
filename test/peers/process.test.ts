// needs: nothing
import * as assert from 'uvu/assert';
import { until } from '../cluster/command.ts';
import { suite } from '../support/suite.ts';
import { descendantsOf, PeerProcess } from './support/process.ts';

suite('programs of others', (test) => {
  test('one that cannot start, or ends at once, is said with what it wrote', async () => {
    const said = (command: [string, ...string[]]) =>
      PeerProcess.start(command, { isUp: () => false }).then(
        () => 'up',
        (error: Error) => error.message,
      );
    assert.match(await said(['/no/such/program']), /ENOENT/);
    assert.match(await said(['sh', '-c', 'echo no license; exit 3']), /ended with 3[\s\S]*no license/);
  });

  test('what it has started in a session of its own ends with it', async () => {
    const program = await PeerProcess.start(['sh', '-c', 'setsid sleep 600 & echo up; wait'], {
      isUp: (output) => output.includes('up'),
    });
    await until('its child', () => descendantsOf(program.pid).length > 0, 10_000);
    const children = descendantsOf(program.pid);
    await program.stop();
    for (const child of children) await until('its child to end', () => !isAlive(child), 10_000);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
