import * as assert from 'uvu/assert';
import { suite } from '../../support/suite.ts';
import { run } from '../command.ts';
import { down } from '../down.ts';
import { enterNetwork } from '../kubectl.ts';
import { withLock } from '../lock.ts';
import { paths, projectRoot } from '../settings.ts';
import { isFullRun } from '../support/figures.ts';
import { up } from '../up.ts';

// Knative before the last: building it takes minutes, so only the long form does.
if (!isFullRun) console.log('skip the smoke run of Knative 1.21: only npm run test:cluster -- --full builds it');
suite('the cluster with Knative 1.21', (test) => {
  (isFullRun ? test : test.skip)('serves as with 1.23, and is steered', async () => {
    await withLock(async () => {
      await down();
      await up({ level: 'kserve', knative: '1.21' });
    });
    const [program, ...prefix] = enterNetwork;
    // Serving without Paceline, and steered by it: its short form, whatever this run is.
    const { PACELINE_FULL: _, ...env } = process.env;
    for (const file of ['serving', 'controller']) {
      const said = await run(
        program,
        [...prefix, process.execPath, '--import', 'tsx', `test/cluster/${file}.test.ts`],
        {
          cwd: projectRoot,
          env: { ...env, KUBECONFIG: paths.kubeconfig },
        },
      );
      assert.match(said, /Total: +(\d+)\s+Passed: +\1/);
    }
    await withLock(() => down());
  });
});
