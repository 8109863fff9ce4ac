// Two services that answer the same question with other accuracy and price, behind one Route of Knative's own controller.
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import { kubectl } from './kubectl.ts';
import { applyAsUser, get, patch, ready, temporaryNamespace, until } from './support/cluster.ts';
import { figure } from './support/figures.ts';
import { type Ended, OpenLoad } from './support/open-load.ts';
import { installPaceline, systemNamespace } from './support/paceline.ts';
import { hostOf, inferenceService } from './support/services.ts';

const group = 'answers';
const variants = {
  small: { accuracy: '0.90', 'replica-cost': '0.20/h' },
  large: { accuracy: '0.99', 'replica-cost': '0.80/h' },
} as const;
type Name = keyof typeof variants;

interface Route {
  spec: { traffic: { revisionName: string; percent: number }[] };
  status?: { traffic?: { revisionName: string; percent: number }[] };
}

/** Callers who shared a call get none of the headers that are the model's own. */
const isOf = (name: Name, version: string) => version === name || version === '';

suite('variants behind one Route', (test) => {
  const space = { name: '', remove: async () => {} };
  let load: OpenLoad | undefined;

  test.before(async () => {
    await installPaceline();
    Object.assign(space, await temporaryNamespace('variants'));
    await applyAsUser(...(Object.keys(variants) as Name[]).map(serviceOf));
    for (const name of Object.keys(variants)) await ready('isvc', space.name, name);
  });
  test.after(async () => {
    await load?.stop();
    await space.remove();
  });

  function serviceOf(name: Name) {
    const own = Object.entries(variants[name]).map(([key, value]) => [`paceline.dev/${key}`, value]);
    return inferenceService(space.name, name, {
      mode: 'Knative',
      annotations: { 'paceline.dev/slo': '1s', 'paceline.dev/variant-of': group, ...Object.fromEntries(own) },
      // Each knows its own name alone: what it is asked by the group's has to be told to it by its own.
      model: { BASE_MS: 20, SLOPE_MS: 2, NAME: name, VERSION: name },
      predictor: { maxReplicas: 2 },
    });
  }

  /** Shares in percent by variant, as Knative's controller has them in force. */
  async function inForce(): Promise<Partial<Record<Name, number>>> {
    const { status } = await get<Route>('route.serving.knative.dev', space.name, group);
    const shares = (status?.traffic ?? []).map(({ revisionName, percent }) => [revisionName.split('-')[0], percent]);
    return Object.fromEntries(shares) as Partial<Record<Name, number>>;
  }

  /** Waits until one variant has everything, in force and as callers see it. */
  async function servedBy(name: Name, timeoutMs = 120_000): Promise<void> {
    const seen = () => since(performance.now() - 2_000);
    const all = async () =>
      (await inForce())[name] === 100 && seen().length > 0 && seen().every(({ version }) => isOf(name, version));
    await until(`${name} to serve all`, all, timeoutMs);
  }

  function since(beganMs: number): Ended[] {
    return (load?.ended ?? []).filter(({ atMs }) => atMs >= beganMs);
  }

  /** What the group is asked for is written into the policy of each, because either may be the one who decides. */
  async function askAccuracy(least: number | null): Promise<void> {
    for (const name of Object.keys(variants)) {
      await patch('inferencepolicy', space.name, name, { spec: { minAccuracy: least } });
    }
  }

  test('a Route of the group is made, is Ready, and the cheapest serves under the name of the group', async () => {
    const made = async () =>
      (await kubectl(['-n', space.name, 'get', 'route.serving.knative.dev', '-o', 'name'])) !== '';
    const began = Date.now();
    await until('the Route', async () => (await made()) && (await inForce()) !== undefined, 90_000);
    await ready('route.serving.knative.dev', space.name, group);
    figure('the Route of two variants is Ready after', (Date.now() - began) / 1000, 's');
    load = new OpenLoad(
      hostOf.knativeService(space.name, group),
      `/v1/models/${group}:predict`,
      { instances: [[1, 2]] },
      20,
    );
    await servedBy('small');
    figure('the cheapest serves all after', (Date.now() - began) / 1000, 's');
  });

  test('who asks for more accuracy gets it from the dearer one, and the way back is open', async () => {
    const began = Date.now();
    await askAccuracy(0.95);
    await servedBy('large', 180_000);
    figure('the more accurate one serves all after', (Date.now() - began) / 1000, 's');
    await askAccuracy(null);
    await servedBy('small', 240_000);
  });

  test('controllers that are killed leave the split as it is, and the next one changes nothing', async () => {
    const before = await get<Route>('route.serving.knative.dev', space.name, group);
    const controllers = 'app.kubernetes.io/component=controller';
    await kubectl(['-n', systemNamespace, 'delete', 'pods', '-l', controllers, '--grace-period=0', '--force']);
    const beganMs = performance.now();
    while (performance.now() - beganMs < 45_000) {
      const { spec } = await get<Route>('route.serving.knative.dev', space.name, group);
      assert.equal(spec.traffic, before.spec.traffic);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  });

  test('who opts out leaves in one write, and the other one serves', async () => {
    const began = Date.now();
    await patch('isvc', space.name, 'small', {
      metadata: { annotations: { 'paceline.dev/slo': null, 'paceline.dev/variant-of': null } },
    });
    await servedBy('large', 180_000);
    figure('the other one serves all after', (Date.now() - began) / 1000, 's');
  });

  test('no request failed, whoever answered it by the name of the group', async () => {
    const ended = (await load?.stop()) ?? [];
    const failed = ended.filter(({ status }) => status !== 200);
    figure('requests', ended.length);
    assert.ok(ended.length > 0);
    assert.is(failed.length, 0, `${failed.length} of ${ended.length}: ${JSON.stringify(failed.slice(0, 3))}`);
  });
});
