// The manifests as a user applies them, against the real API server: installed twice, sampled, given back.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { needTools, tools } from '../manifests/tools.ts';
import { suite } from '../support/suite.ts';
import { type Manifest, parseManifests } from './documents.ts';
import { operatorDefinitions } from './install/operators.ts';
import { paths, projectRoot } from './settings.ts';
import { get, kubectl, list, livePods, ready, temporaryNamespace, until } from './support/cluster.ts';
import { figure } from './support/figures.ts';
import { lost, OpenLoad } from './support/open-load.ts';
import { applyFolder, applyPaceline, installPaceline, systemNamespace, uninstallPaceline } from './support/paceline.ts';
import { ask } from './support/requests.ts';
import { hostOf } from './support/services.ts';

interface Sample {
  spec: { predictor: { batcher?: object } };
}

interface Annotated {
  metadata: { annotations?: Record<string, string> };
}

interface WebhookConfiguration {
  webhooks: { name: string; clientConfig: { caBundle?: string } }[];
}

/** Groups of operators that this cluster does not have: only their definitions. */
const foreign = /^(security\.istio\.io|cert-manager\.io|monitoring\.coreos\.com)\//;
const seven = JSON.parse(readFileSync(join(projectRoot, 'src/digits/weights/seven.json'), 'utf8')) as object;

const sampleSloMs = 200;

function sampleHosts(namespace: string): string[] {
  return [
    hostOf.inferenceService(namespace, 'digits', 'Knative'),
    hostOf.inferenceService(namespace, 'digits-standard', 'Standard'),
    hostOf.knativeService(namespace, 'digits-service'),
  ];
}

async function apply(items: Manifest[], ...more: string[]): Promise<void> {
  await kubectl(
    ['apply', '--server-side', '--force-conflicts', ...more, '-f', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  );
}

async function snapshot(): Promise<Record<string, unknown>> {
  const secret = async (name: string) => (await get<{ data?: object }>('secret', systemNamespace, name)).data;
  const authorities = async (kind: string) =>
    (await get<WebhookConfiguration>(kind, '', 'paceline.dev')).webhooks.map(
      ({ clientConfig }) => clientConfig.caBundle,
    );
  const { metadata } = await get('deployment', systemNamespace, 'paceline-controller');
  return {
    certificate: await secret('paceline-webhook-cert'),
    keys: await secret('paceline-policy-keys'),
    mutating: await authorities('mutatingwebhookconfiguration'),
    validating: await authorities('validatingwebhookconfiguration'),
    generation: metadata.generation,
  };
}

suite('manifests on the cluster', (test) => {
  const space = { name: '', remove: async () => {} };
  let definitions: string[] = [];

  test.before(async () => {
    const operators = await operatorDefinitions();
    await apply(operators);
    definitions = operators.map(({ metadata: { name } }) => `crd/${name}`);
    await kubectl(['wait', '--for=condition=Established', '--timeout=60s', ...definitions]);
    const started = Date.now();
    await installPaceline();
    figure('Paceline installed', (Date.now() - started) / 1000, 's');
    Object.assign(space, await temporaryNamespace('samples'));
  });
  test.after(async () => {
    await space.remove();
    if (definitions.length > 0) await kubectl(['delete', '--ignore-not-found', ...definitions]);
  });

  for (const [wrong, object] of [
    ['a policy without a target', { kind: 'InferencePolicy', spec: { slo: '200ms' } }],
    ['an objective without a unit', { kind: 'InferencePolicy', spec: { targetRef: { name: 'a' }, slo: '200' } }],
    [
      'a target of the wrong group',
      {
        kind: 'InferencePolicy',
        spec: { targetRef: { group: 'serving.knative.dev', kind: 'InferenceService', name: 'a' } },
      },
    ],
    [
      'a hard timeout before the objective',
      { kind: 'InferencePolicy', spec: { targetRef: { name: 'a' }, slo: '2s', lateTimeout: '1s' } },
    ],
    ['a price below zero', { kind: 'PriceList', spec: { currency: 'USD', prices: [{ price: -1 }] } }],
    ['a currency that is none', { kind: 'PriceList', spec: { currency: 'dollars', prices: [{ price: 1 }] } }],
  ] as const) {
    test(`the API server refuses ${wrong}`, async () => {
      const document = { apiVersion: 'paceline.dev/v1alpha1', ...object, metadata: { name: 'wrong' } };
      const said = await kubectl(
        ['-n', space.name, 'create', '--dry-run=server', '-f', '-'],
        JSON.stringify(document),
      ).then(
        () => 'accepted',
        (error: Error) => error.message,
      );
      assert.match(said, /Invalid value|Required value|is invalid|Unsupported value/);
    });
  }

  test('the namespace takes no pod that is not restricted', async () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'loose' },
      spec: { containers: [{ name: 'a', image: 'a' }] },
    };
    const said = await kubectl(
      ['-n', systemNamespace, 'create', '--dry-run=server', '-f', '-'],
      JSON.stringify(pod),
    ).catch((error: Error) => error.message);
    assert.match(String(said), /violates PodSecurity "restricted/);
  });

  test('applied again, nothing is lost and nothing restarts', async () => {
    const before = await snapshot();
    assert.ok(before.certificate && before.keys, 'the controller has filled both Secrets');
    await applyPaceline();
    assert.equal(await snapshot(), before);
  });

  for (const overlay of ['mesh', 'cert-manager', 'prometheus']) {
    test(`the overlay ${overlay} is accepted, with the kinds of its operator as that publishes them`, async () => {
      const text = await kubectl(['kustomize', join(projectRoot, 'manifests/overlays', overlay)]);
      const all = parseManifests(text);
      const [theirs, ours] = [true, false].map((is) => all.filter(({ apiVersion }) => foreign.test(apiVersion) === is));
      assert.ok(theirs?.length && ours && ours.length > 10);
      await apply(ours, '--dry-run=server');
      // Nobody acts on them here: they are stored for real, and go with their definitions.
      await apply(theirs);
    });
  }

  test('the samples become Ready with a companion, and read a real digit', async () => {
    await applyFolder('samples', '-n', space.name);
    const services = [
      {
        kind: 'isvc',
        name: 'digits',
        host: hostOf.inferenceService(space.name, 'digits', 'Knative'),
        pods: 'serving.kserve.io/inferenceservice=digits',
      },
      {
        kind: 'isvc',
        name: 'digits-standard',
        host: hostOf.inferenceService(space.name, 'digits-standard', 'Standard'),
        pods: 'serving.kserve.io/inferenceservice=digits-standard',
      },
      {
        kind: 'ksvc',
        name: 'digits-service',
        host: hostOf.knativeService(space.name, 'digits-service'),
        pods: 'serving.knative.dev/service=digits-service',
      },
    ];
    for (const { kind, name, host, pods } of services) {
      figure(`sample ${name} Ready`, (await ready(kind, space.name, name)) / 1000, 's');
      const call = { host, path: '/v1/models/digits:predict', body: seven };
      await until('an answer', async () => (await ask(call)).status === 200, 15_000);
      assert.equal(JSON.parse((await ask(call)).text), { predictions: [7] }, name);
      const [pod] = await livePods(space.name, pods);
      assert.is(pod?.metadata.labels?.['paceline.dev/companion'], 'true', `${name} has a companion`);
      const metrics = await ask({ address: pod?.status.podIP ?? '', port: 9086, host: 'companion', path: '/metrics' });
      const answered = /paceline_requests_total\{outcome="answered",reason="none"\} (\d+)/.exec(metrics.text)?.[1];
      assert.ok(Number(answered) >= 2, `requests to ${name} pass through its companion: ${answered}`);
    }
  });

  test('under load the job gives everything back before Paceline goes, and no request is lost', async () => {
    const before = await get<Sample>('isvc', space.name, 'digits');
    assert.ok(before.spec.predictor.batcher, 'while it is there, the batcher field is ours');
    const path = '/v1/models/digits:predict';
    const loads = new Map(sampleHosts(space.name).map((host) => [host, new OpenLoad(host, path, seven, 3)]));
    try {
      await until(
        'every sample to answer under load',
        () => [...loads.values()].every(({ ended }) => ended.filter(({ status }) => status === 200).length >= 10),
        30_000,
      );
      const started = Date.now();
      await uninstallPaceline();
      figure('Paceline gave everything back and is gone', (Date.now() - started) / 1000, 's');
      // What takes the place of pods that have companions comes by KServe's own hand.
      for (const name of ['digits', 'digits-standard']) await ready('isvc', space.name, name);
      await ready('ksvc', space.name, 'digits-service');
      const counts = new Map([...loads].map(([host, { ended }]) => [host, ended.length]));
      await until(
        'ten more answers each',
        () => [...loads].every(([host, { ended }]) => ended.length >= (counts.get(host) ?? 0) + 10),
        30_000,
      );
    } finally {
      await Promise.all([...loads.values()].map((load) => load.stop()));
    }
    for (const [host, { ended }] of loads) {
      const failed = lost(ended);
      const inTime = ended.filter(({ status, tookMs }) => status === 200 && tookMs <= sampleSloMs).length;
      figure(`requests to ${host} meanwhile, and in time`, `${ended.length}, ${inTime}`);
      assert.is(failed.length, 0, `${failed.length} to ${host} failed: ${JSON.stringify(failed.slice(0, 3))}`);
    }
    const after = await get<Sample>('isvc', space.name, 'digits');
    assert.is(after.spec.predictor.batcher, undefined);
    for (const { metadata } of await list<Annotated>('isvc,ksvc,revision,deployment', space.name)) {
      assert.is(metadata.annotations?.['paceline.dev/original'], undefined, metadata.name);
      assert.is(metadata.annotations?.['autoscaling.knative.dev/paceline-original'], undefined, metadata.name);
    }
    const left = await kubectl([
      'get',
      'mutatingwebhookconfigurations,validatingwebhookconfigurations,clusterroles',
      '-o',
      'name',
    ]);
    assert.not.match(left, /paceline/);
  });

  const helm = tools ? test : test.skip;
  helm('Helm installs the same, and its hook gives back', async () => {
    const chart = join(projectRoot, 'manifests/charts/paceline');
    const run = needTools().helm;
    const cluster = ['--kubeconfig', paths.kubeconfig, '--namespace', systemNamespace];
    run('install', 'paceline', chart, ...cluster, '--create-namespace', '--wait', '--timeout', '120s');
    await until(
      'the authority',
      async () => {
        const { webhooks } = await get<WebhookConfiguration>('mutatingwebhookconfiguration', '', 'paceline.dev');
        return webhooks.every(({ clientConfig }) => clientConfig.caBundle);
      },
      30_000,
    );
    const filled = await snapshot();
    run('upgrade', 'paceline', chart, ...cluster, '--wait', '--timeout', '120s');
    assert.equal(await snapshot(), filled, 'an upgrade loses no certificate and no key');
    run('uninstall', 'paceline', ...cluster, '--wait', '--timeout', '180s');
    const left = await kubectl(['get', 'mutatingwebhookconfigurations,clusterroles', '-o', 'name']);
    assert.not.match(left, /paceline/);
    assert.match(await kubectl(['get', 'crd', '-o', 'name']), /inferencepolicies\.paceline\.dev/);
    await kubectl(['delete', 'namespace', systemNamespace, '--timeout=90s']);
  });
});
