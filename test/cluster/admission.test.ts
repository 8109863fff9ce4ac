import * as assert from 'uvu/assert';
import { imageReference } from '../../scripts/image.ts';
import { suite } from '../support/suite.ts';
import { rolledOut } from './kubectl.ts';
import {
  applyAsUser,
  get,
  isReady,
  kubectl,
  type Live,
  livePods,
  type Pod,
  patch,
  ready,
  temporaryNamespace,
  until,
} from './support/cluster.ts';
import { figure } from './support/figures.ts';
import { installPaceline, systemNamespace } from './support/paceline.ts';
import { ask, predict } from './support/requests.ts';
import { hostOf, inferenceService, knativeService } from './support/services.ts';

interface InferenceService {
  metadata: { annotations?: Record<string, string> };
  spec: { predictor: { batcher?: { maxBatchSize?: number; maxLatency?: number }; canaryTrafficPercent?: number } };
}

const slo = { 'paceline.dev/slo': '500ms' };
const model = { BASE_MS: 5, SLOPE_MS: 1 };
const ours = { maxBatchSize: 64, maxLatency: 1 };

suite('admission on the cluster', (test) => {
  const space = { name: '', remove: async () => {} };

  test.before(async () => {
    await installPaceline();
    // Every container that is injected has to fit the strictest level.
    Object.assign(space, await temporaryNamespace('admission', { 'pod-security.kubernetes.io/enforce': 'restricted' }));
  });
  test.after(() => space.remove());

  test('what cannot work is refused, with what would be right; what will hurt is said', async () => {
    const wrong = inferenceService(space.name, 'wrong', {
      mode: 'Standard',
      annotations: { 'paceline.dev/slo': '500' },
    });
    const message = await applyAsUser(wrong).then(
      () => 'accepted',
      (error: Error) => error.message,
    );
    assert.match(message, /denied the request: PL_ANNOTATION_VALUE .*200ms/s);
    const policy = {
      apiVersion: 'paceline.dev/v1alpha1',
      kind: 'InferencePolicy',
      metadata: { name: 'wrong', namespace: space.name },
      spec: { targetRef: { name: 'nobody' }, slo: '1s', lateTimeout: '500ms' },
    };
    assert.match(await applyAsUser(policy).then(() => 'accepted', String), /lateTimeout is shorter/);
  });

  test('a dry run says what would be, and makes nothing', async () => {
    const wanted = inferenceService(space.name, 'dry', { mode: 'Standard', annotations: slo, model });
    const text = await kubectl(['create', '--dry-run=server', '-o', 'json', '-f', '-'], JSON.stringify(wanted));
    assert.equal((JSON.parse(text) as InferenceService).spec.predictor.batcher, ours);
    assert.match(await get('isvc', space.name, 'dry').then(() => 'there', String), /not found/i);
  });

  for (const mode of ['Standard', 'Knative'] as const) {
    const name = `digits-${mode.toLowerCase()}`;

    test(`${mode}: the companion stands in the path, and the pod is Ready only when it answers`, async () => {
      await applyAsUser(inferenceService(space.name, name, { mode, annotations: slo, model }));
      figure(`InferenceService with companion Ready, ${mode}`, (await ready('isvc', space.name, name)) / 1000, 's');
      const object = await get<InferenceService>('isvc', space.name, name);
      assert.equal(object.spec.predictor.batcher, ours);
      assert.is(object.metadata.annotations?.['paceline.dev/batcher'], '64/1');
      const host = hostOf.inferenceService(space.name, name, mode);
      await until('an answer', async () => (await ask({ host, path: '/v2/health/ready' })).status === 200, 20_000);
      await passesThrough(`serving.kserve.io/inferenceservice=${name}`, 'agent', host, name);
    });

    test(`${mode}: without the annotation the service is as it was, and the next pod as KServe makes it`, async () => {
      const selector = `serving.kserve.io/inferenceservice=${name}`;
      await kubectl(['-n', space.name, 'annotate', 'isvc', name, 'paceline.dev/slo-']);
      const object = await get<InferenceService>('isvc', space.name, name);
      assert.is(object.spec.predictor.batcher, undefined);
      assert.not.ok(Object.keys(object.metadata.annotations ?? {}).some((key) => key.startsWith('paceline.dev/')));
      const bare = (pod: Live<Pod>) => !pod.spec.containers.some(({ image }) => image === imageReference);
      await until(
        'a pod without companion',
        async () => (await livePods(space.name, selector)).some((pod) => bare(pod) && isReady(pod)),
        90_000,
      );
      const host = hostOf.inferenceService(space.name, name, mode);
      await until('an answer', async () => (await ask({ host, path: '/v2/health/ready' })).status === 200, 20_000);
      assert.equal(await predict(host, name, [[20, 1]]), [21]);
    });
  }

  test("a model that takes its time: Ready no later than behind KServe's own agent", async () => {
    const slow = { ...model, STARTUP_MS: 3_000 };
    const bare = { mode: 'Standard' as const, model: slow, predictor: { batcher: { maxBatchSize: 8, maxLatency: 1 } } };
    await applyAsUser(
      inferenceService(space.name, 'slow-kserve', bare),
      inferenceService(space.name, 'slow-paceline', { mode: 'Standard', model: slow, annotations: slo }),
    );
    const seconds: number[] = [];
    for (const name of ['slow-kserve', 'slow-paceline']) {
      await ready('isvc', space.name, name);
      const [pod] = await livePods(space.name, `serving.kserve.io/inferenceservice=${name}`);
      const at = (type: string) =>
        Date.parse(pod?.status.conditions?.find((each) => each.type === type)?.lastTransitionTime ?? '');
      seconds.push((at('Ready') - at('PodScheduled')) / 1000);
    }
    const [kserve, paceline] = seconds as [number, number];
    figure("pod Ready, model of 3 s, KServe's agent", kserve, 's');
    figure('pod Ready, model of 3 s, companion', paceline, 's');
    // The API server writes whole seconds.
    assert.ok(paceline <= kserve + 1, `${paceline} s against ${kserve} s`);
  });

  test('a plain Knative Service gets a companion before its container', async () => {
    const annotations = { ...slo, 'autoscaling.knative.dev/min-scale': '1' };
    await applyAsUser(knativeService(space.name, 'plain', { annotations, model }));
    figure('Knative Service with companion Ready', (await ready('ksvc', space.name, 'plain')) / 1000, 's');
    const host = hostOf.knativeService(space.name, 'plain');
    await passesThrough('serving.knative.dev/service=plain', 'paceline', host, 'any');
  });

  for (const mode of ['Standard', 'Knative'] as const) {
    test(`${mode}: behind KServe's logger, which then logs what callers sent`, async () => {
      const name = `logged-${mode.toLowerCase()}`;
      const predictor = { logger: { mode: 'all', url: `http://nobody.${space.name}.svc.cluster.local` } };
      await applyAsUser(inferenceService(space.name, name, { mode, annotations: slo, model, predictor }));
      figure(
        `InferenceService with logger and companion Ready, ${mode}`,
        (await ready('isvc', space.name, name)) / 1000,
        's',
      );
      const host = hostOf.inferenceService(space.name, name, mode);
      await until('an answer', async () => (await ask({ host, path: '/v2/health/ready' })).status === 200, 20_000);
      await passesThrough(`serving.kserve.io/inferenceservice=${name}`, 'paceline', host, name);
      const [pod] = await livePods(space.name, `serving.kserve.io/inferenceservice=${name}`);
      const agent = pod?.spec.containers.find((each) => each.name === 'agent') as { args?: string[] } | undefined;
      assert.ok(agent?.args?.includes('--log-url'));
      assert.not.ok(agent?.args?.includes('--enable-batcher'));
    });
  }

  test("called before KServe's webhook the pod comes out the same", async () => {
    const early = await temporaryNamespace('early', { 'paceline.dev/injection': 'disabled' });
    const name = `early-${early.name}`;
    const configuration = JSON.parse(
      await kubectl(['get', 'mutatingwebhookconfiguration', 'paceline.dev', '-o', 'json']),
    );
    const own = { matchLabels: { 'kubernetes.io/metadata.name': early.name } };
    const webhooks = configuration.webhooks.map((each: object) => ({ ...each, namespaceSelector: own }));
    const metadata = { name: `aaa-${name}` };
    try {
      await applyAsUser({ ...configuration, metadata, webhooks });
      for (const mode of ['Standard', 'Knative'] as const) {
        const service = `digits-${mode.toLowerCase()}`;
        await applyAsUser(inferenceService(early.name, service, { mode, annotations: slo, model }));
        await ready('isvc', early.name, service);
        const [pod] = await livePods(early.name, `serving.kserve.io/inferenceservice=${service}`);
        const agents = pod?.spec.containers.filter((each) => each.name === 'agent') ?? [];
        assert.equal(
          agents.map(({ image }) => image),
          [imageReference],
          mode,
        );
      }
    } finally {
      await kubectl(['delete', 'mutatingwebhookconfiguration', metadata.name, '--ignore-not-found']);
      await early.remove();
    }
  });

  test('while the webhooks are down pods come as KServe makes them and serve; afterwards they are injected again', async () => {
    const scale = (replicas: number) =>
      kubectl(['-n', systemNamespace, 'scale', 'deployment/paceline-controller', `--replicas=${replicas}`]);
    const selector = 'serving.kserve.io/inferenceservice=outage';
    await applyAsUser(inferenceService(space.name, 'outage', { mode: 'Standard', annotations: slo, model }));
    await ready('isvc', space.name, 'outage');
    await scale(0);
    await until(
      'no controller',
      async () => (await livePods(systemNamespace, 'app.kubernetes.io/component=controller')).length === 0,
      60_000,
    );
    await kubectl(['-n', space.name, 'delete', 'pod', '-l', selector, '--wait=false']);
    const host = hostOf.inferenceService(space.name, 'outage', 'Standard');
    await until('a pod of KServe alone', async () => (await livePods(space.name, selector)).some(isReady), 60_000);
    await until('an answer', async () => (await ask({ host, path: '/v2/health/ready' })).status === 200, 20_000);
    const started = Date.now();
    assert.equal(await predict(host, 'outage', [[1, 1]]), [2]);
    assert.ok(Date.now() - started < 1_000, "KServe's own batcher hardly waits");
    await scale(2);
    await rolledOut(systemNamespace, ['paceline-controller'], 120);
    await kubectl(['-n', space.name, 'delete', 'pod', '-l', selector, '--wait=false']);
    await until(
      'a pod with a companion',
      async () =>
        (await livePods(space.name, selector)).some(
          (pod) => isReady(pod) && pod.spec.containers.some(({ image }) => image === imageReference),
        ),
      60_000,
    );
  });

  test('an update of the model under rollout auto begins with the first step of a canary', async () => {
    const annotations = { ...slo, 'paceline.dev/rollout': 'auto' };
    await applyAsUser(inferenceService(space.name, 'walk', { mode: 'Knative', annotations, model }));
    await ready('isvc', space.name, 'walk');
    const next = { ...model, VERSION: '2' };
    await applyAsUser(inferenceService(space.name, 'walk', { mode: 'Knative', annotations, model: next }));
    const object = await get<InferenceService>('isvc', space.name, 'walk');
    assert.is(object.spec.predictor.canaryTrafficPercent, 0);
    await patch('isvc', space.name, 'walk', { metadata: { annotations: { 'paceline.dev/rollout': null } } });
  });

  /** Sends requests through the ingress and finds each of them in the metrics of the companion of the one pod. */
  async function passesThrough(selector: string, container: string, host: string, name: string): Promise<void> {
    const pods = (await livePods(space.name, selector)).filter(isReady);
    const pod = pods.find(({ spec }) =>
      spec.containers.some((each) => each.name === container && each.image === imageReference),
    );
    assert.ok(
      pod,
      `a Ready pod with a companion called ${container} among ${pods.map(({ metadata }) => metadata.name)}`,
    );
    const requests = async () => {
      const { text } = await ask({ address: pod!.status.podIP!, port: 9086, host: 'any', path: '/metrics' });
      return [...text.matchAll(/^paceline_requests_total\{.*outcome="answered".*\} (\d+)$/gm)].reduce(
        (sum, [, n]) => sum + Number(n),
        0,
      );
    };
    const before = await requests();
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => predict(host, name, [[i, 1]])));
    assert.equal(
      answers,
      Array.from({ length: 40 }, (_, i) => [i + 1]),
    );
    assert.is((await requests()) - before, 40, 'each request passed the companion');
  }
});
