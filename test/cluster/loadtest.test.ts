// k6 drives a service of the cluster as `npm run loadtest` does for a user: at a steady rate, and from no pod at all.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import { applyAsUser, livePods, ready, temporaryNamespace, until } from './support/cluster.ts';
import { figure, isFullRun } from './support/figures.ts';
import { driveK6, shownReport, whyNoK6 } from './support/k6-drive.ts';
import { installPaceline } from './support/paceline.ts';
import { predict } from './support/requests.ts';
import { hostOf, inferenceService } from './support/services.ts';

const noK6 = await whyNoK6();
if (noK6 !== undefined) console.log(`skip test/cluster/loadtest.test.ts: ${noK6}`);
const name = 'driven';
const model = { BASE_MS: 20, SLOPE_MS: 2 };

suite('a service that goes to zero, and k6 against it', (test) => {
  const withK6 = noK6 === undefined ? test : test.skip;
  const space = { name: '', remove: async () => {} };
  const scratch = mkdtempSync(join(tmpdir(), 'paceline-cluster-load-'));
  let host = '';

  test.before(async () => {
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

  const pods = () => livePods(space.name, `serving.kserve.io/inferenceservice=${name}`);
  const noPods = () => until('no pods', async () => (await pods()).length === 0, 600_000);

  async function drive(scenario: 'steady' | 'scale-from-zero', duration: string): Promise<string> {
    const what = { scenario, duration, rate: 20, host, namespace: space.name, service: name, out: scratch, bars: true };
    return shownReport(await driveK6(what));
  }

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
    figure('k6, steady', await drive('steady', isFullRun ? '120s' : '20s'));
  });

  // After requests a pod is kept warm for as long as a cold start would cost: minutes, which CI does not have.
  const long = isFullRun ? withK6 : test.skip;
  long(
    'it goes to zero again, from where nothing is lost, and what was promised is kept once there is a pod',
    async () => {
      const began = Date.now();
      await noPods();
      figure('zero again after', (Date.now() - began) / 1000, 's');
      figure('k6, from zero', await drive('scale-from-zero', '120s'));
    },
  );
});
