import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { type KubernetesObject, keyOf, kustomized, objectsOf, overlays } from '../../scripts/manifests/charts.ts';
import { admissionWebhooks } from '../../src/controller/admission/webhooks.ts';
import { controllerOptionSpecs, resolveControllerOptions } from '../../src/controller/controller-options.ts';
import type { PolicyKeys } from '../../src/controller/policy-keys.ts';
import { systemClock } from '../../src/kube/clock.ts';
import type { KubeApi } from '../../src/kube/kube-api.ts';
import { readAnnotations } from '../../src/policy/annotations.ts';
import { environmentName } from '../../src/policy/companion-options.ts';
import { readInferencePolicy } from '../../src/policy/inference-policy.ts';
import { readPriceList } from '../../src/policy/price-list.ts';
import { suite } from '../support/suite.ts';
import { needTools, tools } from './tools.ts';

interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
  resourceNames?: string[];
}
interface Webhook {
  name: string;
  failurePolicy: string;
  timeoutSeconds: number;
  sideEffects: string;
  reinvocationPolicy?: string;
  clientConfig: { service: { namespace: string; name: string; path: string; port: number } };
  namespaceSelector?: { matchExpressions: Expression[] };
  objectSelector?: { matchExpressions: Expression[] };
}
interface Expression {
  key: string;
  operator: string;
  values?: string[];
}
interface PodSpec {
  serviceAccountName: string;
  securityContext: Record<string, unknown>;
  containers: {
    name: string;
    image: string;
    securityContext: Record<string, unknown>;
    resources: Record<string, unknown>;
  }[];
}

const repository = fileURLToPath(new URL('../..', import.meta.url));
const samples = fileURLToPath(new URL('../../manifests/samples', import.meta.url));

function get<T>(objects: readonly KubernetesObject[], key: string): KubernetesObject & T {
  const found = objects.find((object) => keyOf(object) === key);
  if (!found) throw new Error(`no ${key}`);
  return found as KubernetesObject & T;
}

function matches(labels: Record<string, string>, { matchExpressions }: { matchExpressions: Expression[] }): boolean {
  return matchExpressions.every(({ key, operator, values = [] }) => {
    const value = labels[key];
    if (operator === 'Exists') return value !== undefined;
    if (operator === 'DoesNotExist') return value === undefined;
    if (operator === 'In') return value !== undefined && values.includes(value);
    if (operator === 'NotIn') return value === undefined || !values.includes(value);
    throw new Error(operator);
  });
}

suite('kustomize manifests', (test) => {
  const check = tools ? test : test.skip;
  const base = tools ? kustomized(tools, 'base') : [];
  const rules = base
    .filter(({ kind, metadata }) => /^(Cluster)?Role$/.test(kind) && metadata.name === 'paceline-controller')
    .flatMap((role) => (role as KubernetesObject & { rules: Rule[] }).rules);
  const webhooks = (kind: string) => get<{ webhooks: Webhook[] }>(base, `${kind}/paceline.dev`).webhooks;

  check('the controller has no right by wildcard, and none over pods but to read them', () => {
    assert.ok(rules.length > 10);
    for (const rule of rules) {
      assert.not.match(JSON.stringify(rule), /\*/);
      const writes = rule.verbs.filter((verb) => !['get', 'list', 'watch'].includes(verb));
      for (const resource of ['pods', 'deployments', 'services', 'configurations', 'configmaps', 'nodes']) {
        if (rule.resources.includes(resource)) assert.equal(writes, [], resource);
      }
      assert.ok(!rule.verbs.some((verb) => ['escalate', 'bind', 'impersonate', 'deletecollection'].includes(verb)));
    }
  });

  check('Secrets and webhook configurations are bound to names that exist, and nothing may create them', () => {
    const named = {
      secrets: 'Secret',
      mutatingwebhookconfigurations: 'MutatingWebhookConfiguration',
      validatingwebhookconfigurations: 'ValidatingWebhookConfiguration',
    };
    for (const [resource, kind] of Object.entries(named)) {
      const about = rules.filter(({ resources }) => resources.includes(resource));
      assert.is(about.length, 1, resource);
      assert.not.ok(about[0]?.verbs.includes('create'), resource);
      assert.ok((about[0]?.resourceNames ?? []).length > 0, resource);
      for (const name of about[0]?.resourceNames ?? []) get(base, `${kind}/${name}`);
    }
  });

  check('pods fulfil the restricted standard that their namespace enforces', () => {
    const namespace = get(base, 'Namespace/paceline-system');
    const { labels } = namespace.metadata as unknown as { labels: Record<string, string> };
    assert.is(labels['pod-security.kubernetes.io/enforce'], 'restricted');
    const all = [...base, ...kustomized(needTools(), 'uninstall')].filter(({ kind }) =>
      /^(Deployment|Job)$/.test(kind),
    );
    assert.is(all.length, 2);
    for (const object of all) {
      const { spec } = (object as unknown as { spec: { template: { spec: PodSpec } } }).spec.template;
      assert.is(spec.securityContext.runAsNonRoot, true);
      assert.equal(spec.securityContext.seccompProfile, { type: 'RuntimeDefault' });
      for (const container of spec.containers) {
        const { allowPrivilegeEscalation, capabilities, readOnlyRootFilesystem } = container.securityContext;
        assert.equal([allowPrivilegeEscalation, readOnlyRootFilesystem], [false, true]);
        assert.equal(capabilities, { drop: ['ALL'] });
        assert.ok(container.resources.requests && container.resources.limits);
      }
    }
  });

  check("README's step puts the image where a cluster can pull it, everywhere", () => {
    const readme = readFileSync(`${repository}README.md`, 'utf8');
    const section = readme.slice(readme.indexOf('## On a cluster'));
    const step = /^perl -pi .*$/m.exec(section);
    assert.ok(step && step.index < section.indexOf('kubectl apply'), 'before anything is installed');
    const folder = mkdtempSync(join(tmpdir(), 'paceline-'));
    cpSync(`${repository}manifests`, join(folder, 'manifests'), { recursive: true });
    execFileSync('sh', ['-c', (step?.[0] ?? '').replace('REGISTRY', 'registry.example/team')], { cwd: folder });
    for (const [part, count] of [
      ['base', 1],
      ['overlays/mesh', 1],
      ['uninstall', 1],
      ['samples', 3],
    ] as const) {
      const text = needTools().kubectl('kustomize', join(folder, 'manifests', part));
      const images = [...text.matchAll(/\bimage: (\S+)$/gm)].map(([, image]) => image);
      assert.equal(images, new Array(count).fill('registry.example/team/paceline:0.1.0'), part);
    }
    rmSync(folder, { recursive: true });
  });

  check('an overlay names another image as the comment beside it says', () => {
    const said = readFileSync(`${repository}manifests/image/kustomization.yaml`, 'utf8');
    const [, name] = /kustomize edit set image (\S+?)=/.exec(said) ?? [];
    const folder = mkdtempSync(join(tmpdir(), 'paceline-'));
    cpSync(`${repository}manifests`, join(folder, 'manifests'), { recursive: true });
    for (const part of ['base', 'uninstall']) {
      mkdirSync(join(folder, `over-${part}`));
      writeFileSync(
        join(folder, `over-${part}`, 'kustomization.yaml'),
        `resources: [../manifests/${part}]\nimages: [{ name: ${name}, newName: registry.example/p, newTag: '7' }]\n`,
      );
      const text = needTools().kubectl('kustomize', join(folder, `over-${part}`));
      assert.match(text, /image: registry\.example\/p:7$/m, part);
    }
    rmSync(folder, { recursive: true });
  });

  check('a webhook that does not answer is ignored, within three seconds', () => {
    for (const kind of ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration']) {
      for (const each of webhooks(kind)) {
        assert.equal([each.failurePolicy, each.timeoutSeconds, each.sideEffects], ['Ignore', 3, 'None'], each.name);
        if (kind.startsWith('Mutating')) assert.is(each.reinvocationPolicy, 'IfNeeded');
        const { namespace, name, port } = each.clientConfig.service;
        assert.is(namespace, 'paceline-system');
        const service = get<{ spec: { ports: { port: number }[] } }>(base, `Service/${name}`);
        assert.ok(service.spec.ports.some((one) => one.port === port));
      }
    }
  });

  check("the mutating configuration's name sorts behind KServe's", () => {
    assert.ok('paceline.dev' > 'inferenceservice.serving.kserve.io');
    get(base, 'MutatingWebhookConfiguration/paceline.dev');
  });

  check('own and system namespaces are left alone, and those that say so', () => {
    const refused: Record<string, string>[] = [
      ...['paceline-system', 'kube-system', 'knative-serving', 'kserve'].map((name) => ({
        'kubernetes.io/metadata.name': name,
      })),
      { 'kubernetes.io/metadata.name': 'any', 'control-plane': 'x' },
      { 'kubernetes.io/metadata.name': 'any', 'paceline.dev/injection': 'disabled' },
    ];
    for (const each of webhooks('MutatingWebhookConfiguration')) {
      const selector = each.namespaceSelector ?? { matchExpressions: [] };
      for (const labels of refused) assert.not.ok(matches(labels, selector), JSON.stringify(labels));
      assert.ok(matches({ 'kubernetes.io/metadata.name': 'models' }, selector));
    }
  });

  check('each pod of a service is asked about once, and no other pod', () => {
    const asked = (labels: Record<string, string>) =>
      webhooks('MutatingWebhookConfiguration')
        .filter(({ objectSelector }) => objectSelector && matches(labels, objectSelector))
        .map(({ name }) => name);
    const isvc = { 'serving.kserve.io/inferenceservice': 'a' };
    assert.equal(asked({}), []);
    assert.equal(asked({ app: 'database' }), []);
    assert.equal(asked({ ...isvc, component: 'transformer' }), []);
    assert.equal(asked({ ...isvc, component: 'predictor' }), ['pod.paceline.dev']);
    assert.equal(asked({ ...isvc, component: 'predictor', 'serving.knative.dev/revision': 'a-1' }), [
      'pod.paceline.dev',
    ]);
    assert.equal(asked({ 'serving.knative.dev/revision': 'b-1' }), ['knative-pod.paceline.dev']);
  });

  check('selectors of services, budget and policies mean the controller, and not the job that gives back', () => {
    const pod = get<{ spec: { template: { metadata: { labels: Record<string, string> } } } }>(
      base,
      'Deployment/paceline-controller',
    ).spec.template.metadata.labels;
    const job = get<{ spec: { template: { metadata: { labels: Record<string, string> } } } }>(
      kustomized(needTools(), 'uninstall'),
      'Job/paceline-uninstall',
    ).spec.template.metadata.labels;
    const selects = (selector: Record<string, string>, labels: Record<string, string>) =>
      Object.entries(selector).every(([key, value]) => labels[key] === value);
    const selectors = [
      get<{ spec: { selector: Record<string, string> } }>(base, 'Service/paceline-webhook').spec.selector,
      get<{ spec: { selector: Record<string, string> } }>(base, 'Service/paceline-controller').spec.selector,
      get<{ spec: { selector: { matchLabels: Record<string, string> } } }>(
        base,
        'PodDisruptionBudget/paceline-controller',
      ).spec.selector.matchLabels,
      get<{ spec: { podSelector: { matchLabels: Record<string, string> } } }>(base, 'NetworkPolicy/paceline-controller')
        .spec.podSelector.matchLabels,
    ];
    for (const selector of selectors) {
      assert.ok(selects(selector, pod));
      assert.not.ok(selects(selector, job));
    }
  });

  check('what the controller is told are options that it has', () => {
    const { data } = get<{ data: Record<string, string> }>(base, 'ConfigMap/paceline-config');
    const options = resolveControllerOptions({}, data);
    assert.is(options.certificates, 'self');
    const known = controllerOptionSpecs.map(({ flag }) => environmentName(flag));
    assert.equal(
      Object.keys(data).filter((name) => !known.includes(name)),
      [],
    );
    const external = get<{ data: Record<string, string> }>(
      kustomized(needTools(), 'overlays/cert-manager'),
      'ConfigMap/paceline-config',
    );
    assert.is(resolveControllerOptions({}, external.data).certificates, 'external');
  });

  check('ports, Service and paths are those that the controller serves', () => {
    const options = resolveControllerOptions({}, {});
    const [container] = get<{
      spec: { template: { spec: { containers: { ports: { name: string; containerPort: number }[] }[] } } };
    }>(base, 'Deployment/paceline-controller').spec.template.spec.containers;
    assert.equal(
      container?.ports.map(({ containerPort }) => containerPort),
      [options.webhookPort, options.adminPort],
    );
    const served = admissionWebhooks(options, 'x', {} as KubeApi, {} as PolicyKeys, systemClock).map(
      ({ path }) => path,
    );
    const asked = [...webhooks('MutatingWebhookConfiguration'), ...webhooks('ValidatingWebhookConfiguration')];
    for (const { name, clientConfig } of asked) {
      assert.is(clientConfig.service.name, options.webhookService);
      assert.ok(served.includes(clientConfig.service.path), name);
    }
    assert.equal([...new Set(asked.map(({ clientConfig }) => clientConfig.service.path))].sort(), [...served].sort());
  });

  check('with cert-manager its Secret is not ours, and the authority is injected into both configurations', () => {
    const objects = kustomized(needTools(), 'overlays/cert-manager');
    assert.not.ok(objects.some((object) => keyOf(object) === 'Secret/paceline-webhook-cert'));
    for (const kind of ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration']) {
      const { annotations } = get(objects, `${kind}/paceline.dev`).metadata;
      assert.is(annotations?.['cert-manager.io/inject-ca-from'], 'paceline-system/paceline-webhook-cert');
    }
    const { spec } = get<{ spec: { secretName: string; dnsNames: string[] } }>(
      objects,
      'Certificate/paceline-webhook-cert',
    );
    assert.is(spec.secretName, 'paceline-webhook-cert');
    assert.ok(spec.dnsNames.includes('paceline-webhook.paceline-system.svc'));
  });

  check('every overlay renders, each object once', () => {
    for (const folder of Object.keys(overlays)) {
      const keys = kustomized(needTools(), `overlays/${folder}`).map(keyOf);
      assert.is(new Set(keys).size, keys.length, folder);
    }
  });
});

suite('samples', (test) => {
  const objects = readdirSync(samples)
    .filter((file) => file !== 'kustomization.yaml')
    .flatMap((file) => objectsOf(readFileSync(`${samples}/${file}`, 'utf8')));

  test('their annotations say what they mean, without a warning', () => {
    let annotated = 0;
    for (const object of objects) {
      const template = (object as unknown as { spec: { template?: KubernetesObject } }).spec.template;
      const { annotations } = (object.kind === 'Service' ? template : object)?.metadata ?? {};
      if (!annotations) continue;
      const { policy, problems } = readAnnotations(annotations);
      assert.equal(problems, [], keyOf(object));
      assert.is(policy?.sloMs, 200, keyOf(object));
      annotated++;
    }
    assert.is(annotated, 3);
  });

  test('the policy and the prices are what their schemas ask for', () => {
    const find = (kind: string) => objects.find((object) => object.kind === kind);
    assert.equal(readInferencePolicy(find('InferencePolicy')).problems, []);
    assert.equal(readPriceList(find('PriceList')).problems, []);
  });
});

suite('the page about clusters', (test) => {
  const page = readFileSync(new URL('../../docs/cluster.md', import.meta.url), 'utf8');
  const root = fileURLToPath(new URL('../..', import.meta.url));

  test('names files and folders that exist', () => {
    const named = [...page.matchAll(/(?:manifests|src)\/[\w./-]*[\w-]/g)].map(([path]) => path);
    assert.ok(named.length > 10);
    assert.equal(
      named.filter((path) => !existsSync(`${root}${path}`)),
      [],
    );
  });

  test('names npm scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { scripts: Record<string, string> };
    const named = [...page.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name as string);
    assert.ok(named.length >= 3);
    assert.equal(
      named.filter((name) => !(name in scripts)),
      [],
    );
  });
});
