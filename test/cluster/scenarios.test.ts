// Every other scenario of `npm run loadtest` against a service of the cluster. On two cores nothing is asked of attainment, but of
// what is reported, and of what may not fail.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { ScenarioName } from '../../loadtests/plan.ts';
import type { Report } from '../../loadtests/report/report.ts';
import { suite } from '../support/suite.ts';
import { applyAsUser, ready, temporaryNamespace } from './support/cluster.ts';
import { figure, isFullRun } from './support/figures.ts';
import { driveK6, shownReport, whyNoK6 } from './support/k6-drive.ts';
import { installPaceline } from './support/paceline.ts';
import { hostOf, inferenceService } from './support/services.ts';

const noK6 = await whyNoK6();
if (noK6 !== undefined) console.log(`skip test/cluster/scenarios.test.ts: ${noK6}`);
const name = 'driven';
const bare = 'bare';
const model = { BASE_MS: 20, SLOPE_MS: 2 };
const predictor = { minReplicas: 1, maxReplicas: 2 };

suite('k6 scenarios', (test) => {
  const withK6 = noK6 === undefined ? test : test.skip;
  const space = { name: '', remove: async () => {} };
  const out = mkdtempSync(join(tmpdir(), 'paceline-cluster-scenarios-'));
  const host = () => hostOf.inferenceService(space.name, name, 'Knative');

  test.before(async () => {
    if (noK6 !== undefined) return;
    await installPaceline();
    Object.assign(space, await temporaryNamespace('scenarios'));
    await deploy('1');
    await ready('isvc', space.name, name);
  });
  test.after(async () => {
    rmSync(out, { recursive: true, force: true });
    await space.remove();
  });

  function deploy(version: string): Promise<void> {
    const annotations = { 'paceline.dev/slo': '500ms' };
    const settings = { ...model, VERSION: version };
    return applyAsUser(
      inferenceService(space.name, name, { mode: 'Knative', annotations, model: settings, predictor }),
    );
  }

  async function drive(scenario: ScenarioName, duration: string, more: Record<string, string> = {}): Promise<Report> {
    const [seconds, rate, bars] = isFullRun ? ['120s', 20, true] : [duration, 6, false];
    const what = {
      scenario,
      duration: seconds,
      rate,
      bars,
      host: host(),
      namespace: space.name,
      service: name,
      out,
      more,
    };
    const report = await driveK6(what);
    figure(`k6, ${scenario}`, shownReport(report));
    assert.match(readFileSync(join(out, scenario, 'report.html'), 'utf8'), /<svg/);
    return report;
  }

  for (const scenario of ['step', 'spike'] as const) {
    withK6(`${scenario}: what is reported adds up, phase by phase`, async () => {
      const [side] = (await drive(scenario, '24s')).sides;
      const inPhases = side?.phases.reduce((sum, { tally }) => sum + tally.requests, 0);
      assert.is(inPhases, side?.whole.requests);
      assert.ok((side?.whole.good ?? 0) > 0);
    });
  }

  withK6('canary: while a model is updated nothing fails', async () => {
    const driven = drive('canary', '30s');
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    await deploy('2');
    assert.is((await driven).sides[0]?.whole.failed, 0);
  });

  withK6('compare: the same model with and without Paceline in one run', async () => {
    await applyAsUser(inferenceService(space.name, bare, { mode: 'Knative', model, predictor }));
    await ready('isvc', space.name, bare);
    // The model knows itself by any name, so that both are asked by the same path.
    const baseline = hostOf.inferenceService(space.name, bare, 'Knative');
    const { sides } = await drive('compare', '24s', { 'baseline-host': baseline, 'baseline-service': bare });
    assert.equal(
      sides.map(({ name: side }) => side),
      ['paceline', 'baseline'],
    );
    for (const { whole } of sides) assert.ok(whole.good > 0);
  });
});
