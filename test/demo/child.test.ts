import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { startChild } from '../../src/demo/child.ts';
import { suite } from '../support/suite.ts';

// Children are commands of the program that runs; here that is the bundle.
process.argv[1] = fileURLToPath(new URL('../../dist/paceline.mjs', import.meta.url));

suite('demo: children', (test) => {
  test('a child that ends early fails with what it said', async () => {
    for (const [args, message] of [
      [['digits', '--port', '99999'], /paceline digits ended with 2\n.*--port.*from 0 to 65535/s],
      [['no-such-command'], /paceline no-such-command ended with 2\n.*unknown command/s],
      [['companion', '--slo', '200ms'], /paceline companion ended with 2\n.*--upstream.*is required/s],
    ] as const) {
      try {
        await startChild(...args);
        assert.unreachable();
      } catch (error) {
        assert.match((error as Error).message, message);
      }
    }
  });

  test('a child says its port, serves, and stops when it is told', async () => {
    const child = await startChild('digits', '--port', '0');
    const url = `http://127.0.0.1:${child.port}/v2/health/ready`;
    assert.is((await fetch(url)).status, 200);
    await child.stop();
    await child.stop();
    try {
      await fetch(url);
      assert.unreachable();
    } catch (error) {
      assert.match(String((error as Error).cause), /ECONNREFUSED/);
    }
  });

  test('the port of a companion is read from its log', async () => {
    const child = await startChild(
      'companion',
      '--slo',
      '200ms',
      '--upstream',
      'http://127.0.0.1:9',
      '--port',
      '0',
      '--admin-port',
      '0',
      '--host',
      '127.0.0.1',
    );
    assert.is((await fetch(`http://127.0.0.1:${child.port}/x`)).status, 503);
    await child.stop();
  });
});
