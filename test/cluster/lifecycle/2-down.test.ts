import { existsSync, readdirSync, readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { suite } from '../../support/suite.ts';
import { daemons } from '../control-plane.ts';
import { runningPid } from '../daemons.ts';
import { down, traces } from '../down.ts';
import { withLock } from '../lock.ts';
import { initProcess } from '../namespaces.ts';
import { directory } from '../settings.ts';
import { figure } from '../support/figures.ts';
import { up } from '../up.ts';

suite('the end of the cluster', (test) => {
  test('a running cluster has what is looked for below', async () => {
    await withLock(() => up({ level: 'k8s', knative: '1.23' }));
    assert.ok(initProcess());
    assert.ok(traces().length >= 3, traces().join('\n'));
    assert.ok(daemons.every((daemon) => runningPid(daemon.name)));
    assert.ok(processesOfTheCluster().length >= daemons.length);
  });

  test('nothing is left: no process, no mount, no namespace, no control group, no file of its run', async () => {
    const started = Date.now();
    await withLock(down);
    figure('down takes', (Date.now() - started) / 1000, 's');
    assert.equal(traces(), []);
    assert.equal(processesOfTheCluster(), []);
    assert.equal(
      readdirSync('/run/netns', { encoding: 'utf8' }).filter((name) => name.startsWith('cni-')),
      [],
    );
  });

  test('a second end does nothing', async () => {
    await withLock(down);
    assert.equal(traces(), []);
  });
});

/** Processes whose program or arguments name the cluster's folder, but this one and its parents. */
function processesOfTheCluster(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      const file = `/proc/${pid}/cmdline`;
      try {
        return existsSync(file) && readFileSync(file, 'utf8').includes(`${directory}/`);
      } catch {
        return false;
      }
    });
}
