import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { suite } from '../../support/suite.ts';
import { daemons } from '../control-plane.ts';
import { runningPid } from '../daemons.ts';
import { down, traces } from '../down.ts';
import { enterNetwork, rolledOut } from '../kubectl.ts';
import { withLock } from '../lock.ts';
import { initProcess } from '../namespaces.ts';
import { directory } from '../settings.ts';
import { applyAsUser, until } from '../support/cluster.ts';
import { figure } from '../support/figures.ts';
import { modelContainer } from '../support/services.ts';
import { up } from '../up.ts';

/** Where node software leaves files by habit. */
const habitualFolders = [
  '/run',
  '/run/netns',
  '/var/lib',
  '/var/log',
  '/etc',
  '/opt',
  '/usr/libexec',
  '/sys/fs/cgroup',
];

suite('the end of the cluster', (test) => {
  let before: string[];

  test('a running cluster has what is looked for below', async () => {
    await withLock(() => down());
    before = machine();
    await withLock(() => up({ level: 'k8s', knative: '1.23' }));
    await applyAsUser({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'model', namespace: 'default' },
      spec: {
        replicas: 3,
        selector: { matchLabels: { app: 'model' } },
        template: { metadata: { labels: { app: 'model' } }, spec: { containers: [modelContainer('model')] } },
      },
    });
    await rolledOut('default', ['model'], 60);
    assert.ok(initProcess());
    assert.ok(traces().length >= 3, traces().join('\n'));
    assert.ok(daemons.every((daemon) => runningPid(daemon.name)));
    assert.ok(processesOfTheCluster().length >= daemons.length);
  });

  test('while somebody runs something in its network, it is refused and nothing is changed', async () => {
    const [program, ...prefix] = enterNetwork;
    const guest = spawn(program, [...prefix, 'sleep', '600'], { stdio: 'ignore' });
    const refusal = async () =>
      withLock(() => down()).then(
        () => '',
        (error: Error) => error.message,
      );
    await until('the guest', () => readFileSync(`/proc/${guest.pid}/comm`, 'utf8').trim() === 'sleep', 5_000);
    assert.match(await refusal(), new RegExp(`in use: ${guest.pid} \\(sleep 600\\)`));
    assert.ok(daemons.every((daemon) => runningPid(daemon.name)));
    guest.kill('SIGKILL');
    await until('its end', () => guest.signalCode !== null, 5_000);
  });

  test('nothing is left: no process, mount, namespace, control group or file, in whatever state it was', async () => {
    const started = Date.now();
    await withLock(() => down());
    figure('down takes', (Date.now() - started) / 1000, 's');
    assert.equal(traces(), []);
    assert.equal(processesOfTheCluster(), []);
    const after = machine();
    const differences = [
      ...after.filter((each) => !before.includes(each)),
      ...before.filter((each) => !after.includes(each)),
    ];
    assert.equal(differences, []);
  });

  test('a second end does nothing', async () => {
    await withLock(() => down());
    assert.equal(traces(), []);
  });
});

/** What a cluster could change on the machine. */
function machine(): string[] {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  const links = execFileSync('ip', ['-brief', 'link'], { encoding: 'utf8' }).split('\n');
  const all = [
    ...habitualFolders.filter(existsSync).flatMap((folder) => readdirSync(folder).map((name) => `${folder}/${name}`)),
    ...mounts.map((line) => `mount ${line}`),
    ...links.map((line) => `link ${line.split(' ')[0]}`),
  ];
  // `ip netns` makes this folder, and mounts it on itself, once for all. Networks of other clusters come and go.
  return all.filter((each) => each !== '/run/netns' && !/ \/run\/netns[ /]|^\/run\/netns\/paceline/.test(each));
}

/** Processes whose program or arguments name the cluster's folder. */
function processesOfTheCluster(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${directory}/`);
      } catch {
        // It has ended meanwhile.
        return false;
      }
    });
}
