// Our own autoscaler class against the real Knative: its Revision reconciler waits for our status, its ServerlessService
// reconciler for our object, and its own autoscaler takes over what is handed to it.
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import {
  applyAsUser,
  get,
  isReady,
  type Live,
  list,
  livePods,
  patch,
  ready,
  temporaryNamespace,
  until,
} from './support/cluster.ts';
import { figure, isFullRun } from './support/figures.ts';
import { lost, OpenLoad } from './support/open-load.ts';
import { installPaceline } from './support/paceline.ts';
import { predict } from './support/requests.ts';
import { hostOf, inferenceService } from './support/services.ts';

const name = 'classy';
const ours = 'autoscaler.paceline.dev';
const knatives = 'kpa.autoscaling.knative.dev';
const classKey = 'autoscaling.knative.dev/class';
const selector = `serving.kserve.io/inferenceservice=${name}`;

interface Annotated {
  metadata: { annotations: Record<string, string> };
}

interface Autoscaler extends Annotated {
  status?: {
    desiredScale?: number;
    actualScale?: number;
    conditions?: { type: string; status: string }[];
  };
}

if (!isFullRun) console.log('skip test/cluster/class.test.ts: the opt-in autoscaler class is walked in the full run');
suite('our autoscaler class on the cluster', (test) => {
  const long = isFullRun ? test : test.skip;
  const space = { name: '', remove: async () => {} };
  let host = '';
  let revision = '';

  const autoscaler = () => get<Autoscaler>('podautoscaler', space.name, revision);
  const deployment = () =>
    get<{ spec: { replicas: number } }>('deployment', space.name, `${revision}-deployment`).then(({ spec }) => spec);
  const isOurs = async () => (await autoscaler()).metadata.annotations[classKey] === ours;

  test.before(async () => {
    if (!isFullRun) return;
    await installPaceline();
    Object.assign(space, await temporaryNamespace('class'));
    host = hostOf.inferenceService(space.name, name, 'Knative');
  });
  test.after(async () => {
    if (isFullRun) await space.remove();
  });

  long('one that may scale to zero is refused', async () => {
    const asked = inferenceService(space.name, 'none', {
      mode: 'Knative',
      annotations: { 'paceline.dev/slo': '1s', [classKey]: ours },
      predictor: { minReplicas: 0 },
    });
    await applyAsUser(asked).then(
      () => assert.unreachable(),
      (error: Error) => assert.match(error.message, /PL_CLASS_ZERO/),
    );
  });

  long('the service becomes Ready by our status, and answers through the ingress', async () => {
    await applyAsUser(
      inferenceService(space.name, name, {
        mode: 'Knative',
        annotations: { 'paceline.dev/slo': '1s', [classKey]: ours },
        model: { BASE_MS: 50, SLOPE_MS: 5 },
        predictor: { maxReplicas: 4 },
      }),
    );
    figure('Ready after', await ready('inferenceservice', space.name, name), 'ms');
    revision = ((await list('revision', space.name))[0] as Live<object>).metadata.name;
    const { status } = await autoscaler();
    assert.equal(
      status?.conditions?.map(({ type, status: is }) => `${type} ${is}`),
      ['Active True', 'Ready True', 'SKSReady True', 'ScaleTargetInitialized True'],
    );
    assert.equal(await predict(host, name, [[1, 2]]), [3]);
  });

  long('it is scaled by the plan and nobody fights: one revision, no failed request', async () => {
    const load = new OpenLoad(host, `/v1/models/${name}:predict`, { instances: [[1, 2]] }, 200);
    await until('more than one replica', async () => (await deployment()).replicas > 1, 60_000);
    await until(
      'all of them to be Ready',
      async () => {
        const { status } = await autoscaler();
        return status?.actualScale === status?.desiredScale && status?.actualScale === (await deployment()).replicas;
      },
      60_000,
    );
    const ended = await load.stop();
    figure('replicas at 200/s', (await deployment()).replicas);
    // On one replica 200/s is more than it can serve in time: who waits for the second one may be too late.
    const failed = lost(ended);
    figure('answered', (100 * ended.filter(({ status }) => status === 200).length) / ended.length, '%');
    assert.is(failed.length, 0, `${failed.length} of ${ended.length} failed: ${JSON.stringify(failed.slice(0, 3))}`);
    assert.is((await list('revision', space.name)).length, 1);
    // The plan goes on while the load ends.
    await until(
      'as many Ready pods as replicas',
      async () => (await livePods(space.name, selector)).filter(isReady).length === (await deployment()).replicas,
      60_000,
    );
  });

  long("off hands it to Knative's own autoscaler, and on takes it back", async () => {
    await patch('inferencepolicy', space.name, name, { spec: { mode: 'off' } });
    await until('Knative to answer for it', async () => !(await isOurs()), 15_000);
    await until(
      'Knative to say that it is Ready',
      async () => (await autoscaler()).status?.conditions?.every(({ status }) => status === 'True') === true,
      60_000,
    );
    assert.equal(await predict(host, name, [[1, 2]]), [3]);
    await patch('inferencepolicy', space.name, name, { spec: { mode: null } });
    await until('us to answer for it again', isOurs, 15_000);
    assert.equal(await predict(host, name, [[1, 2]]), [3]);
  });

  long('the annotation goes: the Revision is handed over for good', async () => {
    await patch('inferenceservice', space.name, name, { metadata: { annotations: { 'paceline.dev/slo': null } } });
    const { metadata } = await get<Annotated>('revision', space.name, revision);
    await until('the Revision to be handed over', async () => !(await isOurs()), 30_000);
    assert.is(metadata.annotations['autoscaling.knative.dev/paceline-handed-over'], undefined);
    assert.is((await get<Annotated>('revision', space.name, revision)).metadata.annotations[classKey], knatives);
    // The next one names our class still, without an objective: it is handed over too, or it would never become Ready.
    await ready('inferenceservice', space.name, name, 180_000);
    assert.equal(await predict(host, name, [[1, 2]]), [3]);
  });
});
