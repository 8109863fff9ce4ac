// k6 drives services of the cluster as `npm run loadtest` does for a user: at a steady rate, and from no pod at all.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { findK6 } from '../../loadtests/k6-binary.ts';
import type { Report } from '../../loadtests/report/report.ts';
import { suite } from '../support/suite.ts';
import { gatewayPort, nodeAddress, paths, projectRoot } from './settings.ts';
import { applyAsUser, livePods, ready, temporaryNamespace, until } from './support/cluster.ts';
import { figure, isFullRun } from './support/figures.ts';
import { installPaceline } from './support/paceline.ts';
import { predict } from './support/requests.ts';
import { hostOf, inferenceService } from './support/services.ts';

const noK6 = await findK6().then(
  () => undefined,
  (error: Error) => error.message,
);
if (noK6 !== undefined) console.log(`skip test/cluster/loadtest.test.ts: ${noK6}`);
const name = 'driven';
const model = { BASE_MS: 20, SLOPE_MS: 2 };

suite('k6 against the cluster', (test) => {
  const check = noK6 === undefined ? test : test.skip;
  const space = { name: '', remove: async () => {} };
  const scratch = mkdtempSync(join(tmpdir(), 'paceline-cluster-load-'));
  let host = '';

  test.before(async () => {
    if (noK6 !== undefined) return;
    await installPaceline();
    Object.assign(space, await temporaryNamespace('load'));
    host = hostOf.inferenceService(space.name, name, 'Knative');
    const annotations = { 'paceline.dev/slo': '500ms', 'autoscaling.knative.dev/window': '10s' };
    const predictor = { minReplicas: 0, maxReplicas: 2 };
    await applyAsUser(inferenceService(space.name, name, { mode: 'Knative', annotations, model, predictor }));
    await ready('isvc', space.name, name);
  });
  test.after(async () => {
    rmSync(scratch, { recursive: true, force: true });
    await space.remove();
  });

  /** Runs beside this process and returns what the report says. @throws Error with the output when k6's bars are missed. */
  async function drive(scenario: string, duration: string): Promise<Report> {
    const out = join(scratch, scenario);
    const words = Object.entries({
      target: `http://${nodeAddress}:${gatewayPort}`,
      host,
      path: `/v1/models/${name}:predict`,
      rate: '20',
      duration,
      kubeconfig: paths.kubeconfig,
      namespace: space.name,
      service: name,
      out,
    }).flatMap(([option, value]) => [`--${option}`, value]);
    const child = spawn(process.execPath, ['--import', 'tsx', 'loadtests/run.ts', scenario, ...words], {
      cwd: projectRoot,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk));
    const status = await new Promise((resolve) => child.on('close', resolve));
    assert.is(status, 0, output);
    return JSON.parse(readFileSync(join(out, 'report.json'), 'utf8')) as Report;
  }

  function shown({ sides: [side] }: Report): string {
    return side ? `${side.whole.good} of ${side.whole.requests} in time, ${side.whole.failed} failed` : 'nothing';
  }

  check('at a steady rate what was promised is kept', async () => {
    const report = await drive('steady', isFullRun ? '120s' : '20s');
    figure('k6, steady', shown(report));
  });

  check('without requests the pods go; the first answer after that is right, and none is lost', async () => {
    const pods = () => livePods(space.name, `serving.kserve.io/inferenceservice=${name}`);
    const began = Date.now();
    await until('no pods', async () => (await pods()).length === 0, 180_000);
    figure('with a companion scaled to zero after', (Date.now() - began) / 1000, 's');
    const asked = Date.now();
    assert.equal(await predict(host, name, [[1, 2, 3]]), [6]);
    figure('cold start with a companion, through the activator', (Date.now() - asked) / 1000, 's');
    await until('no pods again', async () => (await pods()).length === 0, 180_000);
    const report = await drive('scale-from-zero', isFullRun ? '120s' : '30s');
    figure('k6, from zero', shown(report));
  });
});
