import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import { applyAsUser, get, kubectl, livePods, patch, ready, temporaryNamespace, until } from './support/cluster.ts';
import { figure } from './support/figures.ts';
import { ask, predict } from './support/requests.ts';
import { hostOf, inferenceService, knativeService } from './support/services.ts';

interface KnativeIngress {
  spec: { rules: { http: { paths: { splits: { percent: number }[] }[] } }[] };
}

suite('serving on the cluster', (test) => {
  const space = { name: '', remove: async () => {} };

  test.before(async () => {
    Object.assign(space, await temporaryNamespace('serving'));
  });
  test.after(() => space.remove());

  test("KServe's webhook refuses an InferenceService without a predictor", async () => {
    const empty = { ...inferenceService(space.name, 'empty', { mode: 'Standard' }), spec: {} };
    await refused(() => applyAsUser(empty), /predictor/);
  });

  test('the ingress refuses hosts and paths that nobody asked for', async () => {
    const answer = await ask({ host: 'nobody.example.com', path: '/' });
    assert.is(answer.status, 404);
  });

  test('a Knative Service becomes Ready, and every caller gets its own answer', async () => {
    await applyAsUser(
      knativeService(space.name, 'plain', { annotations: { 'autoscaling.knative.dev/min-scale': '1' } }),
    );
    figure('Knative Service Ready', (await ready('ksvc', space.name, 'plain')) / 1000, 's');
    const host = hostOf.knativeService(space.name, 'plain');
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => predict(host, 'any', [[i, 1], 'abc'])));
    assert.equal(
      answers,
      Array.from({ length: 20 }, (_, i) => [i + 1, 3]),
    );
  });

  test('an InferenceService in Standard mode becomes Ready and answers through the ingress', async () => {
    await applyAsUser(inferenceService(space.name, 'standard', { mode: 'Standard' }));
    figure('InferenceService Ready, Standard', (await ready('isvc', space.name, 'standard')) / 1000, 's');
    const host = hostOf.inferenceService(space.name, 'standard', 'Standard');
    // Ready says that the Deployment is; the rules for its Service's address may come a moment later.
    await until('an answer', async () => (await ask({ host, path: '/v2/health/ready' })).status === 200, 10_000);
    assert.equal(await predict(host, 'standard', [[40, 2]]), [42]);
  });

  test("an InferenceService in Knative mode with KServe's batcher becomes Ready, and its batcher joins calls", async () => {
    const batcher = { maxBatchSize: 8, maxLatency: 200 };
    await applyAsUser(inferenceService(space.name, 'batched', { mode: 'Knative', predictor: { batcher } }));
    figure('InferenceService Ready, Knative with batcher', (await ready('isvc', space.name, 'batched')) / 1000, 's');
    const host = hostOf.inferenceService(space.name, 'batched', 'Knative');
    const answers = await Promise.all(Array.from({ length: 16 }, (_, i) => predict(host, 'batched', [i])));
    assert.equal(answers.flat(), [...Array(16).keys()]);
    const [pod] = await livePods(space.name, 'serving.kserve.io/inferenceservice=batched');
    const stats = await ask({ address: pod!.status.podIP!, port: 8080, host: 'model', path: '/stats' });
    const { calls, itemsMax } = JSON.parse(stats.text) as { calls: number; itemsMax: number };
    assert.ok(calls < 16 && itemsMax > 1, `joined: ${stats.text}`);
  });

  test('a canary gets its percent of the requests', async () => {
    const host = hostOf.inferenceService(space.name, 'batched', 'Knative');
    const model = { VERSION: '2' };
    const predictor = { canaryTrafficPercent: 30 };
    await applyAsUser(inferenceService(space.name, 'batched', { mode: 'Knative', model, predictor }));
    const started = Date.now();
    await until(
      'the split 30 to 70',
      async () => {
        const ingress = await get<KnativeIngress>('king', space.name, 'batched-predictor');
        const { splits } = ingress.spec.rules[0]!.http.paths[0]!;
        return (
          splits
            .map((split) => split.percent)
            .sort()
            .join() === '30,70'
        );
      },
      60_000,
    );
    figure('canary 30 / 70 programmed', (Date.now() - started) / 1000, 's');
    let canary = 0;
    const calls = 400;
    const path = '/v1/models/batched';
    for (let i = 0; i < calls; i += 20) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask({ host, path })));
      assert.ok(answers.every((answer) => answer.status === 200));
      canary += answers.filter((answer) => answer.headers['x-model-version'] === '2').length;
    }
    figure('share of the canary at 30 %', canary / calls);
    // Four standard deviations of a binomial with 400 draws.
    assert.ok(Math.abs(canary / calls - 0.3) < 0.092, `${canary} of ${calls}`);
  });

  test('a change of a Revision annotation reaches its PodAutoscaler without a new Revision', async () => {
    const { status } = await get<{ status: { latestReadyRevisionName: string } }>('ksvc', space.name, 'plain');
    const revision = status.latestReadyRevisionName;
    const annotations = { 'autoscaling.knative.dev/target': '20' };
    await patch('revision', space.name, revision, { metadata: { annotations } });
    await until(
      'the PodAutoscaler to follow',
      async () => {
        const scaler = await get('podautoscaler', space.name, revision);
        return scaler.metadata.annotations?.['autoscaling.knative.dev/target'] === '20';
      },
      20_000,
    );
    const revisions = await kubectl([
      ...['-n', space.name, 'get', 'revisions', '-o', 'name'],
      ...['-l', 'serving.knative.dev/service=plain'],
    ]);
    assert.is(revisions.trim().split('\n').length, 1);
  });
});

async function refused(work: () => Promise<void>, why: RegExp): Promise<void> {
  try {
    await work();
  } catch (error) {
    assert.match((error as Error).message, why);
    return;
  }
  assert.unreachable('it was accepted');
}
