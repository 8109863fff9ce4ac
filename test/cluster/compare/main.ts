// Serves one model five ways, one after the other, and drives each with the same step of load.
//
//   npm run cluster:compare                    about 17 minutes; the cluster must be up; writes docs/load-comparison.*
//   npm run cluster:compare -- --up            brings the cluster up where it is not, and down again
//   npm run cluster:compare -- --duration 60s  shorter, and then nothing is written
//   npm run cluster:compare -- --only with-paceline,target-one  by words of a way's name or of its service's
//   npm run cluster:compare -- --keep DIR      keeps what was measured there, and measures only what is missing: for a machine
//                                              that is one's own for a few minutes at a time
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findK6 } from '../../../loadtests/k6-binary.ts';
import { runK6 } from '../../../loadtests/k6-run.ts';
import { planOf } from '../../../loadtests/plan.ts';
import { ReplicaWatch } from '../../../loadtests/replicas.ts';
import { makeReport, type Report } from '../../../loadtests/report/report.ts';
import { textReport } from '../../../loadtests/report/text.ts';
import { KubeClient } from '../../../src/kube/kube-client.ts';
import { parseDuration } from '../../../src/policy/units.ts';
import { progress } from '../command.ts';
import { down } from '../down.ts';
import { enterNetwork } from '../kubectl.ts';
import { withLock } from '../lock.ts';
import { gatewayPort, nodeAddress, paths, projectRoot } from '../settings.ts';
import { applyAsUser, get, isReady, kubectl, livePods, ready, temporaryNamespace, until } from '../support/cluster.ts';
import { installPaceline } from '../support/paceline.ts';
import { predict } from '../support/requests.ts';
import { running, up } from '../up.ts';
import { judge, type Outcome } from './bars.ts';
import { htmlPage, markdownPage } from './page.ts';
import { sloMs, type Way, ways } from './ways.ts';

const { values } = parseArgs({
  options: {
    duration: { type: 'string', default: '180s' },
    only: { type: 'string' },
    keep: { type: 'string' },
    up: { type: 'boolean' },
    inside: { type: 'boolean' },
  },
});
const self = fileURLToPath(import.meta.url);

if (values.inside) {
  process.exitCode = await compare();
} else if (running() || values.up) {
  const ranBefore = running() !== undefined;
  if (!ranBefore) await withLock(() => up({ level: 'kserve', knative: '1.23' }));
  // k6 and this program talk to pods: both belong into the cluster's network.
  const [program, ...prefix] = enterNetwork;
  const command = [...prefix, process.execPath, '--import', 'tsx', self, '--inside', ...process.argv.slice(2)];
  process.exitCode = spawnSync(program, command, { stdio: 'inherit', cwd: projectRoot }).status ?? 1;
  if (!ranBefore) await withLock(() => down());
} else {
  console.error('the cluster is not up: npm run cluster:up starts it, and --up does so for this run');
  process.exitCode = 1;
}

async function compare(): Promise<number> {
  const words = values.only?.split(',');
  const chosen = ways.filter(
    ({ name, service }) =>
      !words || words.some((word) => `${name} ${service}`.toLowerCase().includes(word.toLowerCase())),
  );
  if (values.keep) mkdirSync(values.keep, { recursive: true });
  const k6 = await findK6();
  const outcomes: Outcome[] = [];
  let installed = false;
  let kept = false;
  for (const way of chosen) {
    const file = values.keep && join(values.keep, `${way.service}-${commit()}-${values.duration}.json`);
    if (file && existsSync(file)) {
      outcomes.push({ way, report: JSON.parse(readFileSync(file, 'utf8')) as Report });
      kept = true;
      continue;
    }
    if (!installed) await installPaceline();
    installed = true;
    const report = await measure(way, k6);
    if (file) writeFileSync(file, JSON.stringify(report));
    outcomes.push({ way, report });
  }
  if (chosen.length < ways.length) return 0;
  const bars = judge(outcomes);
  for (const { asked, measured, held } of bars) console.log(`${held ? 'held  ' : 'MISSED'} ${asked}: ${measured}`);
  if (values.duration === '180s') write(outcomes, bars, kept);
  const missed = bars.filter(({ held }) => !held).length;
  console.log(`${bars.length - missed} passed, ${missed} failed`);
  return missed === 0 ? 0 : 1;
}

/** Deploys one way, waits for its one pod, drives it and takes it away again. */
async function measure(way: Way, k6: string): Promise<Report> {
  const space = await temporaryNamespace('compare');
  try {
    await applyAsUser(way.manifest(space.name));
    progress(`${way.name}: Ready after ${((await ready(way.kind, space.name, way.service)) / 1000).toFixed(1)} s`);
    const host = way.host(space.name);
    const selector = `${way.kind === 'isvc' ? 'serving.kserve.io/inferenceservice' : 'serving.knative.dev/service'}=${way.service}`;
    await until(
      'an answer',
      () =>
        predict(host, way.service, [1]).then(
          () => true,
          () => false,
        ),
      30_000,
    );
    await until(
      'one ready pod',
      async () => {
        const pods = await livePods(space.name, selector);
        return pods.length === 1 && pods.every(isReady);
      },
      120_000,
    );
    const plan = planOf('step', {
      sides: [{ name: 'service', url: `http://${nodeAddress}:${gatewayPort}/v1/models/${way.service}:predict`, host }],
      durationSeconds: parseDuration(values.duration) / 1000,
      sloMs,
      quantile: 0.99,
      body: JSON.stringify({ instances: [[1, 2, 3, 4]] }),
    });
    const watched = { side: 'service', namespace: space.name, service: way.service };
    const watch = new ReplicaWatch(KubeClient.load(paths.kubeconfig), watched);
    await watch.start();
    const run = await runK6(k6, plan, () => {}).finally(() => watch.stop());
    const { failure } = watch.stop();
    if (failure) progress(`replicas could not always be counted: ${failure}`);
    const report = makeReport(
      { plan, out: '', quantile: 0.99, watched: [watched] },
      run,
      new Map([['service', watch]]),
    );
    console.log(textReport(report));
    if (way.kind === 'isvc') await reportPolicy(space.name);
    return report;
  } finally {
    // Pods go at once, so that the next way has the machine for itself.
    await kubectl(['-n', space.name, 'delete', way.kind, way.service, '--wait=false', '--ignore-not-found']);
    await kubectl(['-n', space.name, 'delete', 'pods', '--all', '--grace-period=0', '--force', '--wait=false']);
    await space.remove();
    // Forced: what Knative grants a pod to drain is five minutes.
    await until('its pods to be gone', async () => (await livePods(space.name, '')).length === 0, 120_000).catch(
      () => {},
    );
  }
}

/** What Paceline says that it decided. */
async function reportPolicy(namespace: string): Promise<void> {
  const text = await kubectl(['-n', namespace, 'get', 'inferencepolicies', '-o', 'json']);
  const { items } = JSON.parse(text) as { items: { metadata: { name: string }; status?: object }[] };
  for (const { metadata, status } of items) {
    const { metadata: own } = await get('inferencepolicy', namespace, metadata.name);
    console.log(`  policy ${own.name}: ${JSON.stringify(status ?? {})}`);
  }
}

function commit(): string {
  return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: projectRoot, encoding: 'utf8' }).trim();
}

function write(outcomes: readonly Outcome[], bars: ReturnType<typeof judge>, kept: boolean): void {
  const [cpu] = cpus();
  const setting = {
    machine: `${cpu?.model ?? 'an unknown processor'}, ${cpus().length} cores`,
    commit: commit(),
    date: new Date().toISOString().slice(0, 10),
    kept,
  };
  writeFileSync(join(projectRoot, 'docs/load-comparison.md'), markdownPage(outcomes, bars, setting));
  writeFileSync(join(projectRoot, 'docs/load-comparison.html'), htmlPage(outcomes, setting));
  progress('wrote docs/load-comparison.md and docs/load-comparison.html');
}
