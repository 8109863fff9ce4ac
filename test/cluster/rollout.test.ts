// The whole of Paceline walks canaries of a service under load: webhooks put the first step into the update, companions
// measure, the controller decides and writes.
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import { applyAsUser, get, ready, temporaryNamespace, until } from './support/cluster.ts';
import { figure, isFullRun } from './support/figures.ts';
import { type Ended, OpenLoad } from './support/open-load.ts';
import { installPaceline } from './support/paceline.ts';
import { hostOf, inferenceService, type ModelSettings } from './support/services.ts';

const name = 'canary';
const annotations = { 'paceline.dev/slo': '500ms', 'paceline.dev/rollout': 'auto' };
const model: ModelSettings = { BASE_MS: 50, SLOPE_MS: 5 };
const slowed: ModelSettings = { BASE_MS: 150, SLOPE_MS: 15 };

interface Service {
  spec: { predictor: { canaryTrafficPercent?: number } };
  status?: { components?: { predictor?: { latestReadyRevision?: string; latestRolledoutRevision?: string } } };
}

interface Policy {
  status?: { rollout?: { phase: string; reason?: string; message?: string } };
}

if (!isFullRun) {
  console.log(
    'skip test/cluster/rollout.test.ts: walks of minutes, judged by cost too, want a machine with nothing else to do',
  );
}
suite('rollouts on the cluster', (test) => {
  const long = isFullRun ? test : test.skip;
  const space = { name: '', remove: async () => {} };
  let load: OpenLoad | undefined;

  test.before(async () => {
    if (!isFullRun) return;
    await installPaceline();
    Object.assign(space, await temporaryNamespace('rollout'));
  });
  test.after(async () => {
    await load?.stop();
    if (isFullRun) await space.remove();
  });

  const deploy = (version: string, settings: ModelSettings): Promise<void> =>
    applyAsUser(
      inferenceService(space.name, name, {
        mode: 'Knative',
        annotations,
        model: { ...settings, VERSION: version },
        // What a machine that is busy with other tests makes of a plan must not drown it.
        predictor: { maxReplicas: 3 },
      }),
    );
  const predictor = async () => (await get<Service>('isvc', space.name, name)).status?.components?.predictor;
  const rollout = async () => (await get<Policy>('inferencepolicy', space.name, name)).status?.rollout;
  const since = (startMs: number): Ended[] => (load?.ended ?? []).filter(({ atMs }) => atMs >= startMs);

  long('the update that makes a revision carries the first step', async () => {
    await deploy('1', model);
    await ready('isvc', space.name, name);
    const host = hostOf.inferenceService(space.name, name, 'Knative');
    load = new OpenLoad(host, `/v1/models/${name}:predict`, { instances: [[1, 2]] }, 40);
    await deploy('2', model);
    const { spec } = await get<Service>('isvc', space.name, name);
    assert.is(spec.predictor.canaryTrafficPercent, 0);
  });

  long('a good revision is promoted', async () => {
    const began = performance.now();
    const first = (await predictor())?.latestRolledoutRevision;
    await until('its promotion', async () => (await predictor())?.latestRolledoutRevision !== first, 420_000);
    figure('a good revision is promoted after', (performance.now() - began) / 1000, 's');
  });

  long('one slowed by 3x is rolled back, and says why', async () => {
    const began = performance.now();
    const second = (await predictor())?.latestRolledoutRevision;
    await deploy('3', slowed);
    await until('its return', async () => (await rollout())?.phase === 'rolledBack', 420_000);
    figure('a slowed revision is rolled back after', (performance.now() - began) / 1000, 's');
    const said = await rollout();
    figure('because', `${said?.reason}: ${said?.message}`);
    assert.ok(['CostsMore', 'MissesMore'].includes(said?.reason ?? ''), said?.reason ?? 'no reason');
    await until(
      'KServe to follow',
      async () => (await get<Service>('isvc', space.name, name)).spec.predictor.canaryTrafficPercent === 0,
      30_000,
    );
    assert.is((await predictor())?.latestRolledoutRevision, second);
    const all = since(began);
    const exposed = all.filter(({ version }) => version === '3').length;
    figure('requests that the slowed revision got', (100 * exposed) / all.length, '%');
  });

  long('no request failed', async () => {
    const ended = (await load?.stop()) ?? [];
    const failed = ended.filter(({ status }) => status !== 200);
    figure('requests', ended.length);
    assert.is(failed.length, 0, JSON.stringify(failed.slice(0, 3)));
  });
});
