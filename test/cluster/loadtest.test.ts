// k6 drives a service of the cluster as `npm run loadtest` does for a user: each scenario, and each from its own beginning.
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
const bare = 'bare';
const model = { BASE_MS: 20, SLOPE_MS: 2 };
/** Its own status where a bar is missed. */
const missed = 99;

suite('a service that goes to zero, and k6 against it', (test) => {
  const withK6 = noK6 === undefined ? test : test.skip;
  const space = { name: '', remove: async () => {} };
  const scratch = mkdtempSync(join(tmpdir(), 'paceline-cluster-load-'));
  let host = '';

  test.before(async () => {
    await installPaceline();
    Object.assign(space, await temporaryNamespace('load'));
    host = hostOf.inferenceService(space.name, name, 'Knative');
    await deploy('1');
    await ready('isvc', space.name, name);
  });
  test.after(async () => {
    rmSync(scratch, { recursive: true, force: true });
    await space.remove();
  });

  const pods = () => livePods(space.name, `serving.kserve.io/inferenceservice=${name}`);
  const noPods = () => until('no pods', async () => (await pods()).length === 0, 600_000);

  /**
   * Runs beside this process and returns what the report says.
   *
   * @param bars whether k6's own must hold: how fast replicas start on two cores that others use says nothing of us.
   * @throws Error with the output when they are missed.
   */
  async function drive(scenario: string, duration: string, bars = true, more: object = {}): Promise<Report> {
    const out = join(scratch, scenario);
    const words = Object.entries({
      target: `http://${nodeAddress}:${gatewayPort}`,
      host,
      path: `/v1/models/${name}:predict`,
      rate: bars ? '20' : '6',
      duration,
      kubeconfig: paths.kubeconfig,
      namespace: space.name,
      service: name,
      out,
      ...more,
    }).flatMap(([option, value]) => [`--${option}`, value]);
    const child = spawn(process.execPath, ['--import', 'tsx', 'loadtests/run.ts', scenario, ...words], {
      cwd: projectRoot,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk));
    const status = await new Promise((resolve) => child.on('close', resolve));
    assert.ok(status === 0 || (status === missed && !bars), `${status}: ${output}`);
    assert.match(readFileSync(join(out, 'report.html'), 'utf8'), /<svg/);
    return JSON.parse(readFileSync(join(out, 'report.json'), 'utf8')) as Report;
  }

  function shown({ sides }: Report): string {
    return sides
      .map(({ name: side, whole }) => `${side}: ${whole.good} of ${whole.requests} in time, ${whole.failed} failed`)
      .join('; ');
  }

  const deploy = (version: string) =>
    applyAsUser(
      inferenceService(space.name, name, {
        mode: 'Knative',
        annotations: { 'paceline.dev/slo': '500ms', 'autoscaling.knative.dev/window': '10s' },
        model: { ...model, VERSION: version },
        predictor: { minReplicas: 0, maxReplicas: 2 },
      }),
    );

  test('without requests the pods go; callers who come together then are all answered, the first one too', async () => {
    const began = Date.now();
    await noPods();
    figure('with a companion scaled to zero after', (Date.now() - began) / 1000, 's');
    const asked = Date.now();
    let firstMs = 0;
    const call = async (number: number) => {
      const answer = await predict(host, name, [[number, 1]]);
      firstMs ||= Date.now() - asked;
      return answer;
    };
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => call(i)));
    figure('first of 40 answers, through the activator and a cold start', firstMs / 1000, 's');
    assert.equal(
      answers,
      Array.from({ length: 40 }, (_, i) => [i + 1]),
    );
    const [pod] = await pods();
    assert.ok(pod?.spec.containers.some(({ env }) => env?.some((each) => each.name === 'PACELINE_ISVC')));
  });

  withK6('at a steady rate what was promised is kept', async () => {
    figure('k6, steady', shown(await drive('steady', isFullRun ? '120s' : '20s')));
  });

  for (const scenario of ['step', 'spike'] as const) {
    withK6(`${scenario}: what is reported adds up, phase by phase`, async () => {
      const report = await drive(scenario, isFullRun ? '120s' : '24s', isFullRun);
      figure(`k6, ${scenario}`, shown(report));
      const [side] = report.sides;
      const phases = side?.phases.reduce((sum, { tally }) => sum + tally.requests, 0);
      assert.is(phases, side?.whole.requests);
      assert.ok((side?.whole.good ?? 0) > 0);
    });
  }

  withK6('canary: while a model is updated nothing fails', async () => {
    const driven = drive('canary', isFullRun ? '120s' : '30s', isFullRun);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    await deploy('2');
    const report = await driven;
    figure('k6, canary', shown(report));
    assert.is(report.sides[0]?.whole.failed, 0);
  });

  withK6('compare: the same model with and without Paceline in one run', async () => {
    const predictor = { minReplicas: 1, maxReplicas: 2 };
    await applyAsUser(inferenceService(space.name, bare, { mode: 'Knative', model, predictor }));
    await ready('isvc', space.name, bare);
    // One model server knows any name, so that both are asked with the same path.
    const report = await drive('compare', isFullRun ? '120s' : '24s', isFullRun, {
      'baseline-host': hostOf.inferenceService(space.name, bare, 'Knative'),
      'baseline-service': bare,
    });
    figure('k6, compare', shown(report));
    assert.equal(
      report.sides.map(({ name: side }) => side),
      ['paceline', 'baseline'],
    );
    for (const { whole } of report.sides) assert.ok(whole.good > 0);
  });

  // After requests a pod is kept warm for as long as a cold start would cost: minutes, which CI does not have.
  const long = isFullRun ? withK6 : test.skip;
  long(
    'it goes to zero again, from where nothing is lost, and what was promised is kept once there is a pod',
    async () => {
      const began = Date.now();
      await noPods();
      figure('zero again after', (Date.now() - began) / 1000, 's');
      figure('k6, from zero', shown(await drive('scale-from-zero', '120s')));
    },
  );
});
