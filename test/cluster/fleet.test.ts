import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/kube/clock.ts';
import { Informer } from '../../src/kube/informer.ts';
import { type KubeObject, kinds } from '../../src/kube/objects.ts';
import { suite } from '../support/suite.ts';
import { until } from './command.ts';
import { type ApiServer, startApiServer } from './fleet/api-server.ts';
import { Companions, define, load, nameOfService, namespace } from './fleet/fleet.ts';
import { projectRoot } from './settings.ts';
import { figure, isFullRun } from './support/figures.ts';

const services = Number(process.env.FLEET_SERVICES ?? (isFullRun ? 5_000 : 200));
const adminPort = 29_090;

/** Watches that end are begun again: nothing to tell. */
const silent = { info: () => {}, warn: () => {}, error: () => {} };

/** What a process has used so far, from /proc. */
function usage(pid: number): { cpuMs: number; rssMb: number; peakMb: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kb = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * 10,
    rssMb: kb('VmRSS') / 1024,
    peakMb: kb('VmHWM') / 1024,
  };
}

/** Whether a policy has a plan. No Knative is there to carry annotations over, so that none is called enforced for long. */
function isPlanned({ status }: KubeObject): boolean {
  const { conditions = [] } = (status ?? {}) as { conditions?: { type: string; status: string }[] };
  return conditions.some(({ type, status: state }) => type === 'Planned' && state === 'True');
}

suite('a fleet of services', (test) => {
  let server: ApiServer;
  let controller: ChildProcess;
  const companions = new Companions();
  /** A watch: to list thousands of policies again and again would keep the API server from the controller's work. */
  let policies: Informer<boolean>;
  const planned = new Set<string>();

  test.before(async () => {
    server = await startApiServer();
    await companions.start();
    await define(server.api);
    policies = new Informer(
      { kind: kinds.inferencePolicy, selection: { namespace }, project: isPlanned },
      { api: server.api, clock: systemClock, chance: Math.random, log: silent },
    );
    policies.onChange((key, now) => (now ? planned.add(key) : planned.delete(key)));
    policies.start();
    const began = Date.now();
    await load(server.api, services, (done) =>
      console.log(`\n${done} services after ${Math.round((Date.now() - began) / 1000)} s`),
    );
    figure('services loaded in', (Date.now() - began) / 1000, 's');
  });

  test.after(async () => {
    const ended = controller && new Promise((resolve) => controller.once('exit', resolve));
    if (controller?.kill('SIGTERM')) await ended;
    companions.stop();
    await policies?.stop();
    await server?.stop();
  });

  function startController(): void {
    const options = {
      kubeconfig: server.kubeconfig,
      namespace: 'paceline-system',
      identity: 'controller-0',
      image: 'registry.example/paceline:1',
      'webhook-port': '0',
      'admin-port': String(adminPort),
      'log-level': 'warn',
    };
    const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    controller = spawn(process.execPath, [join(projectRoot, 'dist/paceline.mjs'), 'controller', ...words], {
      stdio: ['ignore', 'ignore', 'inherit'],
      // As the Deployment in manifests/base has it.
      env: { ...process.env, NODE_OPTIONS: '--max-old-space-size=160 --max-semi-space-size=4' },
    });
  }

  async function steady(what: string): Promise<void> {
    const began = Date.now();
    let last = 0;
    await until(
      `${what}: all services to be planned for`,
      () => {
        const now = planned.size;
        if (now !== last) console.log(`\n${now} of ${services} after ${Math.round((Date.now() - began) / 1000)} s`);
        last = now;
        return now >= services;
      },
      300_000,
    );
    figure(`${what}: all planned for after`, (Date.now() - began) / 1000, 's');
  }

  test('the first start: a policy and a plan for each', async () => {
    const used = () => server.pids.reduce((sum, pid) => sum + usage(pid).cpuMs, 0);
    const before = used();
    startController();
    await steady('first start');
    // On a machine that is busy with other things these say more than the time does.
    figure('first start: processor time of the controller', usage(controller.pid as number).cpuMs / 1000, 's');
    figure('first start: processor time of etcd and the API server', (used() - before) / 1000, 's');
  });

  test('at steady load: at most 256 MB and one core, and nobody writes', async () => {
    // Statuses settle within their period.
    await new Promise((resolve) => setTimeout(resolve, 60_000));
    const pid = controller.pid as number;
    const [before, asked, began] = [usage(pid), companions.asked, Date.now()];
    const version = (await server.api.list(kinds.inferencePolicy, { namespace }, 1)).resourceVersion;
    let most = 0;
    for (let i = 0; i < 60; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      most = Math.max(most, usage(pid).rssMb);
    }
    const after = usage(pid);
    const seconds = (Date.now() - began) / 1000;
    const cores = (after.cpuMs - before.cpuMs) / 1000 / seconds;
    figure('memory at steady load, most', most, 'MB');
    figure('memory, peak since start', after.peakMb, 'MB');
    figure('processor at steady load', cores, 'cores');
    figure('companions asked', (companions.asked - asked) / seconds, 'a second');
    const ended = (await server.api.list(kinds.inferencePolicy, { namespace }, 1)).resourceVersion;
    figure('versions used up in a minute by everybody', Number(ended) - Number(version));
    assert.ok(most <= 256, `${most} MB`);
    assert.ok(cores <= 1, `${cores} cores`);
  });

  test('a change is decided and told within two seconds', async () => {
    const times: number[] = [];
    for (let n = 0; n < 20; n++) {
      const i = Math.floor((services / 20) * n);
      const began = Date.now();
      await server.api.mergePatch(
        kinds.inferencePolicy,
        { namespace, name: nameOfService(i) },
        { spec: { mode: 'off' } },
      );
      await until(
        `${nameOfService(i)} to be told`,
        () => Promise.resolve(companions.told.get(i)?.mode === 'off'),
        10_000,
      );
      times.push((companions.told.get(i)?.atMs as number) - began);
    }
    times.sort((one, other) => one - other);
    figure('change to companion told, median', times[10] as number, 'ms');
    figure('change to companion told, most', times.at(-1) as number, 'ms');
    assert.ok((times.at(-1) as number) <= 2_000);
  });

  test('a controller that is killed is back in a minute, with everything planned again', async () => {
    const pid = controller.pid as number;
    controller.kill('SIGKILL');
    companions.load = 60;
    companions.told.clear();
    startController();
    const began = Date.now();
    await until(
      'every companion to be told by the new leader',
      () => Promise.resolve(companions.told.size >= services),
      120_000,
    );
    figure('restart (lease of the dead one included): all companions told after', (Date.now() - began) / 1000, 's');
    figure('memory, peak of the new process', usage(controller.pid as number).peakMb, 'MB');
    assert.is.not(controller.pid, pid);
  });
});
