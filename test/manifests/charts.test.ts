import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import {
  charts,
  type KubernetesObject,
  keyOf,
  kustomized,
  objectsOf,
  overlays,
} from '../../scripts/manifests/charts.ts';
import { suite } from '../support/suite.ts';
import { needTools, tools } from './tools.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const chart = join(root, 'manifests/charts/paceline');

function rendered(...args: string[]): KubernetesObject[] {
  return objectsOf(needTools().helm('template', 'paceline', chart, '--namespace', 'paceline-system', ...args));
}

/** By kind and name, without what Helm adds of its own: hooks, and without what it leaves to `--create-namespace`. */
function comparable(objects: readonly KubernetesObject[]): Record<string, KubernetesObject> {
  const kept = objects.filter(({ kind, metadata }) => kind !== 'Namespace' && !metadata.annotations?.['helm.sh/hook']);
  return Object.fromEntries(
    kept.map((object) => [keyOf(object), object] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function complaintOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return (error as { stderr?: string }).stderr ?? String(error);
  }
  return '';
}

suite('Helm charts', (test) => {
  const check = tools ? test : test.skip;

  check('values that mean nothing are refused', () => {
    assert.match(
      complaintOf(() => rendered('--set', 'replica=3')),
      /replica.*not allowed/s,
    );
    assert.match(
      complaintOf(() => rendered('--set', 'image.digest=latest')),
      /digest/,
    );
    assert.match(
      complaintOf(() => rendered('--set', 'logLevel=loud')),
      /logLevel/,
    );
    assert.match(
      complaintOf(() => rendered('--kube-version', 'v1.29.0')),
      /incompatible/,
    );
  });

  check('the charts are what the kustomize manifests make', () => {
    const made = charts(needTools());
    for (const [path, text] of Object.entries(made)) {
      assert.is(
        existsSync(join(root, path)) && readFileSync(join(root, path), 'utf8'),
        text,
        `${path}: npm run manifests`,
      );
    }
    const there = readdirSync(join(root, 'manifests/charts'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name)));
    assert.equal(
      there.filter((path) => !(path in made)),
      [],
    );
  });

  check('a chart renders the same objects as kustomize', () => {
    assert.equal(comparable(rendered()), comparable(kustomized(needTools(), 'base')));
  });

  for (const [folder, value] of Object.entries(overlays)) {
    check(`${value}.enabled renders the same objects as the overlay ${folder}`, () => {
      const base = comparable(kustomized(needTools(), 'base'));
      const overlay = comparable(kustomized(needTools(), `overlays/${folder}`));
      assert.not.equal(overlay, base);
      assert.equal(comparable(rendered('--set', `${value}.enabled=true`)), overlay);
    });
  }

  check('all overlays go together', () => {
    const all = rendered(...Object.values(overlays).flatMap((value) => ['--set', `${value}.enabled=true`]));
    const keys = Object.keys(comparable(all));
    assert.is(keys.length, new Set(keys).size);
    for (const key of [
      'PrometheusRule/paceline',
      'Certificate/paceline-webhook-cert',
      'PeerAuthentication/paceline-controller',
    ]) {
      assert.ok(keys.includes(key), key);
    }
  });

  check('values reach the objects', () => {
    const digest = `sha256:${'0a'.repeat(32)}`;
    const objects = rendered(
      '--set',
      `image.repository=registry/x,image.digest=${digest},replicas=3,logLevel=debug,resources.limits.cpu=2`,
    );
    const text = JSON.stringify(objects);
    assert.is(text.split(`registry/x@${digest}`).length - 1, 2, 'the controller, and the job that gives back');
    const deployment = objects.find(({ kind }) => kind === 'Deployment') as unknown as {
      spec: { replicas: number; template: { spec: { containers: { resources: { limits: object } }[] } } };
    };
    assert.is(deployment.spec.replicas, 3);
    assert.equal(deployment.spec.template.spec.containers[0]?.resources.limits, { cpu: 2, memory: '384Mi' });
    assert.match(text, /"PACELINE_LOG_LEVEL":"debug"/);
  });

  check('another namespace is meant wherever ours is named', () => {
    const text = needTools().helm(
      'template',
      'p',
      chart,
      '--namespace',
      'elsewhere',
      '--set',
      'prometheus.enabled=true,certManager.enabled=true',
    );
    assert.not.match(text, /paceline-system/);
    assert.match(text, /paceline-webhook\.elsewhere\.svc/);
  });

  check('removing the chart gives everything back first', () => {
    const hooks = rendered().filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === 'pre-delete');
    assert.equal(hooks.map(keyOf), ['Job/paceline-uninstall']);
    assert.match(JSON.stringify(hooks[0]), /"args":\["uninstall"\]/);
  });

  check('definitions stay when their chart goes', () => {
    const crds = objectsOf(needTools().helm('template', 'crds', `${chart}-crds`));
    assert.is(crds.length, 2);
    for (const crd of crds) assert.is(crd.metadata.annotations?.['helm.sh/resource-policy'], 'keep', keyOf(crd));
    const bare = crds.map(({ metadata: { annotations, ...metadata }, ...crd }) => {
      const { 'helm.sh/resource-policy': _, ...others } = annotations ?? {};
      return { ...crd, metadata: { ...metadata, ...(Object.keys(others).length > 0 ? { annotations: others } : {}) } };
    });
    assert.equal(comparable(bare as KubernetesObject[]), comparable(kustomized(needTools(), 'crds')));
  });

  check('helm has nothing to complain of', () => {
    for (const name of [chart, `${chart}-crds`])
      assert.not.match(needTools().helm('lint', '--strict', name), /ERROR|WARNING/);
  });
});
