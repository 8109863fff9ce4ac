// An ordinary update of a model that several replicas serve: the successor takes over with as many.
import { setTimeout as pause } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import { rolledOut } from './kubectl.ts';
import { applyAsUser, isReady, kubectl, list, livePods, ready, temporaryNamespace, until } from './support/cluster.ts';
import { figure, isFullRun } from './support/figures.ts';
import { type Ended, lost, OpenLoad } from './support/open-load.ts';
import { installPaceline, systemNamespace } from './support/paceline.ts';
import { hostOf, inferenceService } from './support/services.ts';

const name = 'updated';
const sloMs = 2_000;
const replicas = 8;
/**
 * A replica serves two and a half a second at most, whatever the batch, and one a second with 99 % of them in time: eight are
 * needed for the promise, and three for everybody to be answered at all.
 */
const model = { BASE_MS: 100, SLOPE_MS: 400 };
const ratePerSecond = 6;

suite('an update under load', (test) => {
  const space = { name: '', remove: async () => {} };
  let load: OpenLoad | undefined;

  test.before(async () => {
    await installPaceline();
    // Old and new pods stand beside each other, and what companions request by default is more than a node of two cores has.
    await companionRequests('5m');
    Object.assign(space, await temporaryNamespace('update'));
  });
  test.after(async () => {
    await load?.stop();
    await space.remove();
    await companionRequests('');
  });

  const deploy = (version: string): Promise<void> =>
    applyAsUser(
      inferenceService(space.name, name, {
        mode: 'Knative',
        annotations: { 'paceline.dev/slo': `${sloMs}ms` },
        model: { ...model, VERSION: version },
        // By KServe alone the successor would begin with one: that it has all of them is our doing.
        predictor: { minReplicas: 1, maxReplicas: replicas },
      }),
    );
  const since = (beganMs: number): Ended[] => (load?.ended ?? []).filter(({ atMs }) => atMs >= beganMs);
  const late = (ended: readonly Ended[]) => ended.filter(({ tookMs, status }) => status !== 200 || tookMs > sloMs);
  const podsOf = async (revision: string) =>
    (await livePods(space.name, `serving.knative.dev/revision=${revision}`)).filter(isReady).length;
  const newest = async () =>
    (await list('revision', space.name))
      .map(({ metadata }) => metadata.name)
      .sort()
      .at(-1) ?? '';

  test('no request fails, and what takes over has the replicas for it', async () => {
    await deploy('1');
    await ready('isvc', space.name, name);
    const first = await newest();
    const host = hostOf.inferenceService(space.name, name, 'Knative');
    load = new OpenLoad(host, `/v1/models/${name}:predict`, { instances: [[1, 2]] }, ratePerSecond);
    const grownFrom = performance.now();
    await until(`${replicas} pods`, async () => (await podsOf(first)) >= replicas, 240_000);
    figure(`from one replica to ${replicas} in`, (performance.now() - grownFrom) / 1000, 's');
    const calm = async () => {
      const recent = since(performance.now() - 10_000);
      const enough = recent.length >= 5 * ratePerSecond;
      return enough && (isFullRun ? late(recent) : lost(recent)).length === 0;
    };
    await until(`ten seconds without a ${isFullRun ? 'late' : 'failed'} request`, calm, 120_000);

    const beganMs = performance.now();
    await deploy('2');
    let taken = 0;
    const served = async () => {
      const recent = since(performance.now() - 2_000);
      const all = recent.length > 0 && recent.every(({ version }) => version === '2');
      // What stood ready when the first of its requests came is what took over.
      if (taken === 0 && recent.some(({ version }) => version === '2')) taken = await podsOf(await newest());
      return all;
    };
    await until('the second model to serve all', served, 180_000);
    figure(`an update of ${replicas} replicas takes over after`, (performance.now() - beganMs) / 1000, 's');
    figure('ready pods of the successor when it began to serve', taken);
    // Long enough for the old pods to have been sent away.
    await pause(20_000);
    const ended = since(beganMs);
    await load.stop();
    const failed = lost(ended);
    assert.is(failed.length, 0, `${failed.length} of ${ended.length} failed: ${JSON.stringify(failed.slice(0, 3))}`);
    figure('in time during the update', 100 * (1 - late(ended).length / ended.length), '%');
    assert.ok(taken >= replicas, `${taken} pods took over from ${replicas}`);
    // Sixteen pods start and end on two cores: what that does to latency says something of a machine with nothing else to do.
    const lateMax = (isFullRun ? 0.01 : 0.5) * ended.length;
    assert.ok(late(ended).length <= lateMax, `${late(ended).length} of ${ended.length} late`);
  });
});

/** Sets what companions request from the controller's own environment on; an empty quantity is the default again. */
async function companionRequests(cpu: string): Promise<void> {
  const variable = `PACELINE_COMPANION_CPU_REQUEST${cpu === '' ? '-' : `=${cpu}`}`;
  await kubectl(['-n', systemNamespace, 'set', 'env', 'deployment/paceline-controller', variable]);
  await rolledOut(systemNamespace, ['paceline-controller'], 120);
}
