import { request as httpsRequest } from 'node:https';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import * as assert from 'uvu/assert';
import { bundleOf, renewed } from '../../../src/controller/admission/certificates.ts';
import { AdmissionMetrics } from '../../../src/controller/admission/metrics.ts';
import type { Pod } from '../../../src/controller/admission/pod.ts';
import { AdmissionServer, admissionApp, type Webhook } from '../../../src/controller/admission/server.ts';
import { admissionWebhooks } from '../../../src/controller/admission/webhooks.ts';
import { resolveControllerOptions } from '../../../src/controller/controller-options.ts';
import { PolicyKeys } from '../../../src/controller/policy-keys.ts';
import { systemClock } from '../../../src/kube/clock.ts';
import { kinds } from '../../../src/kube/objects.ts';
import { annotationSpecs } from '../../../src/policy/annotations.ts';
import { resolveCompanionOptions, unknownVariables } from '../../../src/policy/companion-options.ts';
import { applyPatch, container, image, podOf, recorded, reviewOf, withAnnotations } from '../../support/admission.ts';
import { suite } from '../../support/suite.ts';
import { MemoryApi } from './memory-api.ts';

interface Answer {
  readonly status: number;
  readonly body: {
    readonly code?: string;
    readonly response?: {
      readonly uid: string;
      readonly allowed: boolean;
      readonly status?: { readonly code: number; readonly message: string };
      readonly patchType?: string;
      readonly patch?: string;
      readonly warnings?: readonly string[];
    };
  };
}

const name = 'paceline-webhook.paceline-system.svc';
const options = resolveControllerOptions({ image: image.image }, {});
const lines: object[] = [];
const log = { info: () => {}, warn: () => {}, error: (fields: object) => void lines.push(fields) };

/** The webhooks over TLS, as the API server meets them. */
async function serve(
  memory: MemoryApi,
  use: (ask: (path: string, body: string) => Promise<Answer>) => Promise<void>,
  more: Webhook[] = [],
) {
  const keys = new PolicyKeys(memory.api, 'paceline-system', systemClock);
  await keys.refresh();
  const webhooks = [...admissionWebhooks(options, image.image, memory.api, keys, systemClock), ...more];
  const certificates = await renewed({ authorities: [] }, [name], Date.now());
  const server = new AdmissionServer(admissionApp(webhooks, new AdmissionMetrics(new Registry()), log));
  const serving = certificates.serving as { certificate: string; key: string };
  const port = await server.listen(0, '127.0.0.1', serving);
  try {
    await use((path, body) => post(port, bundleOf(certificates), path, body));
  } finally {
    await server.close();
  }
}

function post(port: number, ca: string, path: string, body: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const to = {
      host: '127.0.0.1',
      servername: name,
      port,
      ca,
      path: `${path}?timeout=3s`,
      method: 'POST',
      headers,
      agent: false,
    };
    const asked = httpsRequest(to, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: JSON.parse(text) }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

function patched(before: unknown, { body }: Answer): Pod {
  const { patch, patchType, allowed } = body.response as NonNullable<Answer['body']['response']>;
  assert.is(allowed, true);
  if (patch === undefined) return before as Pod;
  assert.is(patchType, 'JSONPatch');
  return applyPatch(before, JSON.parse(Buffer.from(patch, 'base64').toString())) as Pod;
}

const podReview = (pod: Pod, more: object = {}) => {
  const review = reviewOf('standard-batcher');
  return JSON.stringify({ ...review, request: { ...review.request, object: pod, ...more } });
};

const serviceReview = (object: object, oldObject?: object, more: object = {}) =>
  JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'u-1',
      kind: { group: 'serving.kserve.io', version: 'v1beta1', kind: 'InferenceService' },
      operation: oldObject ? 'UPDATE' : 'CREATE',
      namespace: 'serving',
      object,
      oldObject: oldObject ?? null,
      ...more,
    },
  });

const inferenceService = (annotations: Record<string, string>, predictor: object = {}) => ({
  apiVersion: 'serving.kserve.io/v1beta1',
  kind: 'InferenceService',
  metadata: { name: 'digits', namespace: 'serving', annotations },
  spec: { predictor: { containers: [{ name: 'kserve-container', image: 'm' }], ...predictor } },
});

suite('webhooks over TLS', (test) => {
  test('what is no review, too large or elsewhere is refused with a code', async () => {
    await serve(new MemoryApi(), async (ask) => {
      for (const [path, body, status, code] of [
        ['/mutate-pods', '{', 400, 'PL_ADMISSION_BODY'],
        ['/mutate-pods', '{}', 400, 'PL_ADMISSION_BODY'],
        [
          '/mutate-pods',
          JSON.stringify({ ...reviewOf('standard-plain'), apiVersion: 'admission.k8s.io/v1beta1' }),
          400,
          'PL_ADMISSION_BODY',
        ],
        ['/mutate-pods', JSON.stringify({ junk: 'x'.repeat(9_000_000) }), 413, 'PL_ADMISSION_BODY'],
        ['/elsewhere', '{}', 404, 'PL_ADMISSION_PATH'],
      ] as const) {
        const answer = await ask(path, body);
        assert.is(answer.status, status, `${path} ${body.slice(0, 20)}`);
        assert.is(answer.body.code, code);
      }
    });
  });

  test('a webhook that fails, or takes too long, lets the object through with a warning and a line in the log', async () => {
    const failing = { name: 'failing', path: '/failing', review: () => Promise.reject(new Error('broken')) };
    const hanging = { name: 'hanging', path: '/hanging', review: () => new Promise<never>(() => {}) };
    await serve(
      new MemoryApi(),
      async (ask) => {
        for (const path of ['/failing', '/hanging']) {
          const started = performance.now();
          const { status, body } = await ask(path, JSON.stringify(reviewOf('standard-batcher')));
          assert.ok(performance.now() - started < 2_900, 'before the API server gives up');
          assert.is(status, 200);
          assert.is(body.response?.allowed, true);
          assert.is(body.response?.patch, undefined);
          assert.match(body.response?.warnings?.[0] ?? '', /PL_ADMISSION_FAILED/);
        }
      },
      [failing, hanging],
    );
    assert.is(lines.length, 2);
  });

  test('an API server that does not answer us costs a pod its identity, not its companion', async () => {
    const memory = new MemoryApi();
    await serve(memory, async (ask) => {
      memory.down = true;
      const pod = patched(podOf('standard-batcher'), await ask('/mutate-pods', podReview(podOf('standard-batcher'))));
      const companion = container(pod, 'agent');
      assert.equal(companion.args, ['companion']);
      assert.not.ok(companion.env?.some((each) => each.name === 'PACELINE_ISVC_UID'));
    });
  });

  test('pods without the annotation, with mode off, of another component, in system namespaces: untouched', async () => {
    const pod = podOf('standard-batcher');
    await serve(new MemoryApi(), async (ask) => {
      for (const body of [
        podReview(withAnnotations(pod, { 'paceline.dev/slo': undefined })),
        podReview(withAnnotations(pod, { 'paceline.dev/mode': 'off' })),
        podReview({
          ...pod,
          metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, component: 'transformer' } },
        }),
        podReview({ ...pod, metadata: { ...pod.metadata, labels: {} } }),
        podReview(pod, { namespace: 'kube-system' }),
        podReview(pod, { namespace: 'paceline-system' }),
        podReview(pod, { namespace: 'knative-serving' }),
        podReview(pod, { operation: 'UPDATE' }),
      ]) {
        const { body: answer } = await ask('/mutate-pods', body);
        assert.equal(answer.response, { uid: reviewOf('standard-batcher').request.uid, allowed: true });
      }
    });
  });

  test('an annotation that cannot be read leaves the pod as it is and says what would be right', async () => {
    const pod = withAnnotations(podOf('standard-batcher'), { 'paceline.dev/slo': '500' });
    await serve(new MemoryApi(), async (ask) => {
      const { body } = await ask('/mutate-pods', podReview(pod));
      assert.is(body.response?.patch, undefined);
      assert.match(body.response?.warnings?.[0] ?? '', /PL_ANNOTATION_VALUE .*paceline.dev\/slo.*200ms/);
    });
  });

  test('every recorded pod: the companion can read its options, and the answer is the same each time', async () => {
    const memory = new MemoryApi();
    memory.put(kinds.inferenceService, { metadata: { namespace: 'serving', name: 'standard-batcher', uid: 'uid-1' } });
    await serve(memory, async (ask) => {
      for (const each of recorded) {
        const body = JSON.stringify(reviewOf(each));
        const answer = await ask('/mutate-pods', body);
        assert.equal((await ask('/mutate-pods', body)).body, answer.body, each);
        const pod = patched(podOf(each), answer);
        const again = await ask('/mutate-pods', podReview(pod));
        assert.is(again.body.response?.patch, undefined, `${each}: called again`);
        const companion = pod.spec.containers.find(({ args }) => args?.[0] === 'companion');
        if (!companion) {
          assert.ok(['standard-plain', 'knative-batcher-logger.before-kserve'].includes(each), each);
          continue;
        }
        const environment = Object.fromEntries(
          (companion.env ?? []).map((variable) => [variable.name, variable.value]),
        );
        assert.is(resolveCompanionOptions({}, environment).sloMs, 500, each);
        assert.equal(unknownVariables(environment), [], each);
        assert.is(environment.PACELINE_POLICY_KEYS?.split(',').length, 2);
        const revision = each.startsWith('standard')
          ? pod.metadata.ownerReferences?.[0]?.name
          : pod.metadata.labels?.['serving.knative.dev/revision'];
        assert.is(environment.PACELINE_REVISION, revision, each);
        if (each === 'standard-batcher') assert.is(environment.PACELINE_ISVC_UID, 'uid-1');
        if (each === 'ksvc-plain') {
          assert.is(environment.PACELINE_ISVC_UID, pod.metadata.labels?.['serving.knative.dev/serviceUID']);
        }
      }
    });
  });

  test("what a user's InferencePolicy says holds over the annotations; the controller's own says nothing new", async () => {
    const memory = new MemoryApi();
    const spec = {
      targetRef: { group: 'serving.kserve.io', kind: 'InferenceService', name: 'standard-batcher' },
      slo: '80ms',
      mode: 'off',
    };
    memory.put(kinds.inferencePolicy, { metadata: { namespace: 'serving', name: 'mine' }, spec });
    await serve(memory, async (ask) => {
      const pod = patched(podOf('standard-batcher'), await ask('/mutate-pods', podReview(podOf('standard-batcher'))));
      const of = (variable: string) => container(pod, 'agent').env?.find((each) => each.name === variable)?.value;
      assert.is(of('PACELINE_SLO'), '80ms');
      assert.is(of('PACELINE_MODE'), 'off');
      assert.is(of('PACELINE_LATE_TIMEOUT'), '400ms');
    });
  });

  test('whatever annotations say: image, command, ports, upstream and resources are the same', async () => {
    const fixed = (pod: Pod) => {
      const { env, ...companion } = container(pod, 'agent');
      const set = /UPSTREAM|PORT$|HOST|ISVC|REVISION|KEYS|READINESS|DRAIN|LOG/;
      return [companion, env?.filter((variable) => set.test(variable.name))];
    };
    const texts = fc.oneof(
      fc.string(),
      fc.constantFrom(
        'http://10.0.0.1:80',
        '$(POD_IP)',
        '$(HOSTNAME)',
        'evil/image:1',
        '--upstream=http://x',
        '0.5',
        'auto',
        '64',
        '1s',
      ),
    );
    const keys = fc.oneof(
      fc.constantFrom(...annotationSpecs.map((spec) => spec.name)),
      fc.constantFrom(
        'image',
        'command',
        'upstream',
        'sink',
        'host',
        'port',
        'admin-port',
        'batcher',
        'readiness-path',
        'log-level',
      ),
    );
    await serve(new MemoryApi(), async (ask) => {
      const plain = patched(podOf('standard-batcher'), await ask('/mutate-pods', podReview(podOf('standard-batcher'))));
      await fc.assert(
        fc.asyncProperty(fc.dictionary(keys, texts, { maxKeys: 8 }), async (said) => {
          const annotations = Object.fromEntries(
            Object.entries(said).map(([key, text]) => [`paceline.dev/${key}`, text]),
          );
          const pod = withAnnotations(podOf('standard-batcher'), { 'paceline.dev/slo': '500ms', ...annotations });
          const after = patched(pod, await ask('/mutate-pods', podReview(pod)));
          if (container(after, 'agent').args?.[0] === 'companion') {
            assert.equal(fixed(after), fixed(plain));
            const values =
              container(after, 'agent')
                .env?.map(({ value }) => value ?? '')
                .join(' ') ?? '';
            assert.not.match(values, /\$\(/, 'Kubernetes expands this');
          }
        }),
        { numRuns: 60 },
      );
    });
  });

  test('an InferenceService gets a batcher at creation and a refusal for what cannot work', async () => {
    await serve(new MemoryApi(), async (ask) => {
      const wanted = inferenceService({ 'paceline.dev/slo': '500ms' });
      const after = patched(
        wanted,
        await ask('/mutate-inferenceservices', serviceReview(wanted)),
      ) as unknown as typeof wanted;
      assert.equal((after.spec.predictor as { batcher?: object }).batcher, { maxBatchSize: 64, maxLatency: 1 });
      const fine = await ask('/validate-inferenceservices', serviceReview(after));
      assert.is(fine.body.response?.allowed, true);
      const wrong = inferenceService({ 'paceline.dev/slo': '500' });
      const { body } = await ask('/validate-inferenceservices', serviceReview(wrong));
      assert.is(body.response?.allowed, false);
      assert.is(body.response?.status?.code, 422);
      assert.match(body.response?.status?.message ?? '', /PL_ANNOTATION_VALUE/);
      const hurts = inferenceService(
        { 'paceline.dev/slo': '500ms' },
        { containerConcurrency: 1, batcher: { maxLatency: 900 } },
      );
      const { response } = (await ask('/validate-inferenceservices', serviceReview(hurts))).body;
      assert.is(response?.allowed, true);
      assert.match(response?.warnings?.join('\n') ?? '', /PL_CONCURRENCY/);
      assert.match(response?.warnings?.join('\n') ?? '', /PL_BATCHER/);
    });
  });

  test('a canary begins only where KServe makes a revision, by its own configuration', async () => {
    const memory = new MemoryApi();
    const data = { inferenceService: '{"serviceAnnotationDisallowedList":["team.example.com/owner"]}' };
    memory.put(kinds.configMap, { metadata: { namespace: 'kserve', name: 'inferenceservice-config' }, data });
    const annotations = { 'paceline.dev/slo': '500ms', 'paceline.dev/rollout': 'auto', 'paceline.dev/batcher': '64/1' };
    const predictor = { batcher: { maxBatchSize: 64, maxLatency: 1 } };
    const status = {
      deploymentMode: 'Knative',
      components: { predictor: { latestReadyRevision: 'a-1', latestRolledoutRevision: 'a-1' } },
    };
    const before = { ...inferenceService(annotations, predictor), status };
    await serve(memory, async (ask) => {
      const percentAfter = async (more: Record<string, string>, of: object = {}) => {
        const after = { ...inferenceService({ ...annotations, ...more }, { ...predictor, ...of }), status };
        const answer = await ask('/mutate-inferenceservices', serviceReview(after, before));
        const { predictor: made } = (patched(after, answer) as unknown as typeof before).spec;
        return (made as { canaryTrafficPercent?: number }).canaryTrafficPercent;
      };
      assert.is(await percentAfter({ 'team.example.com/owner': 'b' }), undefined);
      assert.is(await percentAfter({ 'team.example.com/model': 'b' }), 0);
      assert.is(await percentAfter({}, { containerConcurrency: 4 }), 0);
    });
  });

  test('what is wrong already is not refused again in an update that does not touch it: a deletion would hang', async () => {
    await serve(new MemoryApi(), async (ask) => {
      const wrong = inferenceService({ 'paceline.dev/slo': '500' });
      const finalized = { ...wrong, metadata: { ...wrong.metadata, finalizers: ['inferenceservice.finalizers'] } };
      const leaving = { ...wrong, metadata: { ...wrong.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
      for (const [object, old] of [
        [wrong, finalized],
        [leaving, inferenceService({ 'paceline.dev/slo': '1s' })],
      ]) {
        const { body } = await ask('/validate-inferenceservices', serviceReview(object as object, old));
        assert.equal(body.response, { uid: 'u-1', allowed: true });
      }
    });
  });

  test('policies and price lists: what no schema can see, because it is in another object', async () => {
    const memory = new MemoryApi();
    const targetRef = { group: 'serving.kserve.io', kind: 'InferenceService', name: 'digits' };
    const policy = (title: string, spec: object, created?: string) => ({
      apiVersion: 'paceline.dev/v1alpha1',
      kind: 'InferencePolicy',
      metadata: { name: title, namespace: 'serving', ...(created && { creationTimestamp: created }) },
      spec: { targetRef, ...spec },
    });
    const of = (kind: string) => ({ kind: { group: 'paceline.dev', version: 'v1alpha1', kind } });
    await serve(memory, async (ask) => {
      const verdict = async (object: object, kind = 'InferencePolicy') =>
        (await ask('/validate-inferencepolicies', serviceReview(object, undefined, of(kind)))).body.response;
      // The target may come later.
      assert.is((await verdict(policy('one', {})))?.warnings, undefined);
      memory.put(kinds.inferenceService, inferenceService({}));
      assert.match((await verdict(policy('one', {})))?.warnings?.join() ?? '', /PL_NOT_OPTED_IN/);
      memory.put(
        kinds.inferenceService,
        inferenceService({ 'paceline.dev/slo': '100ms', 'paceline.dev/late-timeout': '200ms' }),
      );
      const late = await verdict(policy('one', { slo: '300ms' }));
      assert.is(late?.allowed, false);
      assert.match(late?.status?.message ?? '', /PL_LATE_TIMEOUT/);
      memory.put(kinds.inferencePolicy, policy('older', {}, '2026-01-01T00:00:00Z'));
      assert.match((await verdict(policy('one', {})))?.warnings?.join() ?? '', /PL_POLICY_CONFLICT/);
      assert.is((await verdict(policy('one', { slo: 5 })))?.allowed, false);
      const list = (title: string, created?: string) => ({
        apiVersion: 'paceline.dev/v1alpha1',
        kind: 'PriceList',
        metadata: { name: title, ...(created && { creationTimestamp: created }) },
        spec: { currency: 'USD', prices: [{ price: 1 }] },
      });
      assert.is((await verdict(list('a'), 'PriceList'))?.warnings, undefined);
      memory.put(kinds.priceList, list('first', '2026-01-01T00:00:00Z'));
      assert.match((await verdict(list('a'), 'PriceList'))?.warnings?.join() ?? '', /PL_PRICE_LIST_CONFLICT.*first/);
    });
  });
});
