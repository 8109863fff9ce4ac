// An ordinary update, of a model that several replicas serve: the successor takes over with as many.
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import { applyAsUser, isReady, list, livePods, ready, temporaryNamespace, until } from './support/cluster.ts';
import { figure, isFullRun } from './support/figures.ts';
import { type Ended, OpenLoad } from './support/open-load.ts';
import { installPaceline } from './support/paceline.ts';
import { hostOf, inferenceService } from './support/services.ts';

const name = 'updated';
const sloMs = 1_000;
const replicas = isFullRun ? 8 : 4;
const ratePerSecond = 40;

suite('an update under load', (test) => {
  const space = { name: '', remove: async () => {} };
  let load: OpenLoad | undefined;

  test.before(async () => {
    await installPaceline();
    Object.assign(space, await temporaryNamespace('update'));
  });
  test.after(async () => {
    await load?.stop();
    await space.remove();
  });

  const deploy = (version: string): Promise<void> =>
    applyAsUser(
      inferenceService(space.name, name, {
        mode: 'Knative',
        annotations: { 'paceline.dev/slo': `${sloMs}ms` },
        model: { BASE_MS: 50, SLOPE_MS: 5, VERSION: version },
        predictor: { minReplicas: replicas, maxReplicas: replicas },
      }),
    );
  const since = (beganMs: number): Ended[] => (load?.ended ?? []).filter(({ atMs }) => atMs >= beganMs);
  const podsOf = async (revision: string) =>
    (await livePods(space.name, `serving.knative.dev/revision=${revision}`)).filter(isReady).length;

  test('no request fails, and no more of them are late than before', async () => {
    await deploy('1');
    await ready('isvc', space.name, name);
    const [first] = await list('revision', space.name);
    await until(`${replicas} pods`, async () => (await podsOf(first?.metadata.name ?? '')) >= replicas, 120_000);
    const host = hostOf.inferenceService(space.name, name, 'Knative');
    load = new OpenLoad(host, `/v1/models/${name}:predict`, { instances: [[1, 2]] }, ratePerSecond);
    await pause(10_000);
    const beganMs = performance.now();
    await deploy('2');
    const taken = () => since(performance.now() - 2_000).every(({ version }) => version === '2');
    await until('the second model to serve all', taken, 180_000);
    figure(`an update of ${replicas} replicas takes over after`, (performance.now() - beganMs) / 1000, 's');
    const revisions = (await list('revision', space.name)).map(({ metadata }) => metadata.name).sort();
    figure('ready pods of the successor when it has taken over', await podsOf(revisions.at(-1) ?? ''));
    // Long enough for the old pods to have been sent away.
    await pause(20_000);
    const ended = since(beganMs);
    await load.stop();
    const failed = ended.filter(({ status }) => status !== 200);
    assert.is(failed.length, 0, `${failed.length} of ${ended.length} failed: ${JSON.stringify(failed.slice(0, 3))}`);
    const late = ended.filter(({ tookMs }) => tookMs > sloMs).length;
    figure('in time during the update', 100 * (1 - late / ended.length), '%');
    assert.ok(late / ended.length <= 0.01, `${late} of ${ended.length} late`);
  });
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
