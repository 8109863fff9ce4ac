import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import { applyAsUser, get, isReady, livePods, ready, temporaryNamespace, until } from './support/cluster.ts';
import { figure } from './support/figures.ts';
import { predict } from './support/requests.ts';
import { hostOf, knativeService } from './support/services.ts';

const selector = 'serving.knative.dev/service=scaled';

suite('scaling on the cluster', (test) => {
  const space = { name: '', remove: async () => {} };

  test.before(async () => {
    Object.assign(space, await temporaryNamespace('scale'));
  });
  test.after(() => space.remove());

  test('requests in flight beyond the target add pods, and every call is answered', async () => {
    await applyAsUser(
      knativeService(space.name, 'scaled', {
        annotations: { 'autoscaling.knative.dev/target': '2', 'autoscaling.knative.dev/window': '10s' },
        model: { BASE_MS: 100, SLOPE_MS: 0 },
      }),
    );
    await ready('ksvc', space.name, 'scaled');
    const host = hostOf.knativeService(space.name, 'scaled');
    let most = 0;
    let answered = 0;
    const until12s = Date.now() + 12_000;
    const caller = async (number: number) => {
      while (Date.now() < until12s) {
        assert.equal(await predict(host, 'any', [number]), [number]);
        answered++;
      }
    };
    const watcher = async () => {
      while (Date.now() < until12s) {
        most = Math.max(most, (await livePods(space.name, selector)).filter(isReady).length);
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    };
    await Promise.all([watcher(), ...Array.from({ length: 10 }, (_, i) => caller(i))]);
    figure('ready pods for 10 requests in flight at target 2', most);
    assert.ok(most >= 3, `${most} pods`);
    assert.ok(answered > 100, `${answered} answers`);
  });

  test('without requests the pods go, and the next request is answered by a new one', async () => {
    const started = Date.now();
    await until('no pods', async () => (await livePods(space.name, selector)).length === 0, 120_000);
    figure('scaled to zero after', (Date.now() - started) / 1000, 's');
    const asked = Date.now();
    assert.equal(await predict(hostOf.knativeService(space.name, 'scaled'), 'any', [[1, 2, 3]]), [6]);
    figure('cold start through the activator', (Date.now() - asked) / 1000, 's');
    const { spec } = await get<{ spec: { mode: string } }>('serverlessservice', space.name, 'scaled-00001');
    assert.ok(['Proxy', 'Serve'].includes(spec.mode));
  });
});
