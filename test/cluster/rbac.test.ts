// Each right that the manifests give the controller, exercised with its own token against the API server; and what it must
// not be able to do. Writes are dry runs: authorization and admission are real, and nothing changes.
import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { suite } from '../support/suite.ts';
import { parseManifests } from './documents.ts';
import { paths } from './settings.ts';
import { applyAsUser, kubectl, list, ready, temporaryNamespace, until } from './support/cluster.ts';
import { applyPaceline, systemNamespace } from './support/paceline.ts';
import { inferenceService } from './support/services.ts';

interface Rule {
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
  verbs: string[];
}

/** One call of the API: what a rule allows, or what nobody allowed. */
interface Right {
  readonly verb: string;
  readonly group: string;
  /** Plural, with a subresource behind a slash. */
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  /** Where a rule names objects, lists and watches must name them too. */
  readonly named: boolean;
}

const versions: Readonly<Record<string, string>> = {
  '': 'v1',
  apps: 'v1',
  'serving.kserve.io': 'v1beta1',
  'serving.knative.dev': 'v1',
  'autoscaling.internal.knative.dev': 'v1alpha1',
  'networking.internal.knative.dev': 'v1alpha1',
  'coordination.k8s.io': 'v1',
  'admissionregistration.k8s.io': 'v1',
  'rbac.authorization.k8s.io': 'v1',
  'paceline.dev': 'v1alpha1',
};
const clusterScoped =
  /^(nodes|pricelists|mutatingwebhookconfigurations|validatingwebhookconfigurations|clusterroles|namespaces)(\/|$)/;

/** The API server as somebody else. */
class Caller {
  readonly #server: string;
  readonly #agent: Agent;
  readonly #token: string;

  constructor(token: string) {
    const { clusters } = parse(readFileSync(paths.kubeconfig, 'utf8')) as {
      clusters: {
        cluster: { server: string; 'certificate-authority'?: string; 'certificate-authority-data'?: string };
      }[];
    };
    const [{ cluster }] = clusters as [(typeof clusters)[number]];
    const data = cluster['certificate-authority-data'];
    const ca = data ? Buffer.from(data, 'base64') : readFileSync(cluster['certificate-authority'] as string);
    this.#server = cluster.server;
    this.#agent = new Agent({ connect: { ca } });
    this.#token = token;
  }

  async call(method: string, path: string, body?: object): Promise<{ status: number; text: string }> {
    const answer = await request(this.#server + path, {
      dispatcher: this.#agent,
      method: method as 'GET',
      headers: {
        authorization: `Bearer ${this.#token}`,
        'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    return { status: answer.statusCode, text: await answer.body.text() };
  }

  close(): Promise<void> {
    return this.#agent.close();
  }
}

/** Does what a right is about; writes change nothing. */
async function exercise(caller: Caller, right: Right, samples: Samples): Promise<{ status: number; text: string }> {
  const { verb, group, resource, namespace, name, named } = right;
  const [plural, subresource] = resource.split('/') as [string, string | undefined];
  const base = group === '' ? '/api/v1' : `/apis/${group}/${versions[group]}`;
  const all = `${base}${namespace === '' ? '' : `/namespaces/${namespace}`}/${plural}`;
  const one = `${all}/${name}${subresource === undefined ? '' : `/${subresource}`}`;
  const only = named ? `&fieldSelector=metadata.name%3D${name}` : '';
  const body = () => samples.bodyOf(plural, subresource);
  switch (verb) {
    case 'get':
      return caller.call('GET', one);
    case 'list':
      return caller.call('GET', `${all}?limit=1${only}`);
    case 'watch':
      return caller.call('GET', `${all}?watch=1&timeoutSeconds=1${only}`);
    case 'create':
      return caller.call('POST', `${subresource === undefined ? all : one}?dryRun=All`, await body());
    case 'patch':
      return caller.call(
        'PATCH',
        `${one}?dryRun=All`,
        subresource === 'scale'
          ? { spec: { replicas: 1 } }
          : { metadata: { annotations: { 'example.com/test': '1' } } },
      );
    case 'update': {
      for (let tries = 5; ; tries--) {
        const current = await caller.call('GET', one);
        if (current.status !== 200) return current;
        const answer = await caller.call('PUT', `${one}?dryRun=All`, JSON.parse(current.text) as object);
        // Whoever owns the object wrote it in between: what is asked here is whether we may.
        if (answer.status !== 409 || tries === 0) return answer;
      }
    }
    case 'delete':
      return caller.call('DELETE', `${one}?dryRun=All`);
    default:
      throw new Error(`no call exercises ${verb}`);
  }
}

/** An object of each kind to do things with. */
class Samples {
  readonly #space: string;
  readonly names = new Map<string, string>();

  constructor(space: string) {
    this.#space = space;
  }

  /** Everything that one InferenceService on Knative consists of, and the objects of ours. */
  async make(): Promise<void> {
    await applyAsUser(
      inferenceService(this.#space, 'sample', { mode: 'Knative' }),
      {
        apiVersion: 'paceline.dev/v1alpha1',
        kind: 'InferencePolicy',
        metadata: { name: 'sample', namespace: this.#space },
        spec: { targetRef: { group: 'serving.kserve.io', kind: 'InferenceService', name: 'sample' } },
      },
      {
        apiVersion: 'paceline.dev/v1alpha1',
        kind: 'PriceList',
        metadata: { name: 'rbac-test' },
        spec: { currency: 'USD', prices: [{ price: 1 }] },
      },
    );
    await ready('isvc', this.#space, 'sample');
    const kinds = {
      inferenceservices: 'isvc',
      revisions: 'revisions.serving.knative.dev',
      services: 'ksvc',
      configurations: 'configurations.serving.knative.dev',
      routes: 'routes.serving.knative.dev',
      podautoscalers: 'podautoscalers.autoscaling.internal.knative.dev',
      serverlessservices: 'serverlessservices.networking.internal.knative.dev',
      deployments: 'deployments',
      pods: 'pods',
      inferencepolicies: 'inferencepolicies',
      events: 'events',
    };
    for (const [plural, kind] of Object.entries(kinds)) {
      const [first] = await list(kind, this.#space);
      if (!first) throw new Error(`the sample has no ${kind}`);
      this.names.set(plural, first.metadata.name);
    }
    const [node] = await list('nodes', '');
    this.names.set('nodes', node?.metadata.name ?? '');
    this.names.set('pricelists', 'rbac-test');
  }

  async bodyOf(plural: string, subresource?: string): Promise<object> {
    const metadata = { name: 'made-by-test', namespace: this.#space };
    const target = { kind: 'Revision', name: this.names.get('revisions'), namespace: this.#space };
    if (subresource === 'exec') return {};
    switch (plural) {
      case 'events':
        return {
          metadata: { ...metadata, namespace: this.#space },
          involvedObject: target,
          reason: 'Test',
          message: 'test',
          type: 'Normal',
        };
      case 'leases':
        return { metadata: { name: 'made-by-test' }, spec: { holderIdentity: 'test' } };
      case 'routes':
        return {
          apiVersion: 'serving.knative.dev/v1',
          kind: 'Route',
          metadata,
          spec: { traffic: [{ revisionName: target.name, percent: 100 }] },
        };
      case 'serverlessservices':
        return {
          apiVersion: 'networking.internal.knative.dev/v1alpha1',
          kind: 'ServerlessService',
          metadata,
          spec: {
            mode: 'Serve',
            objectRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'x' },
            protocolType: 'http1',
          },
        };
      case 'inferencepolicies':
        return {
          apiVersion: 'paceline.dev/v1alpha1',
          kind: 'InferencePolicy',
          metadata,
          spec: { targetRef: { group: 'serving.kserve.io', kind: 'InferenceService', name: 'other' } },
        };
      default:
        return { metadata: { ...metadata, namespace: undefined } };
    }
  }
}

suite("the controller's rights", (test) => {
  const space = { name: '', remove: async () => {} };
  let caller: Caller;
  let samples: Samples;

  test.before(async () => {
    await applyPaceline();
    Object.assign(space, await temporaryNamespace('rbac'));
    samples = new Samples(space.name);
    await samples.make();
    const token = await kubectl(['-n', systemNamespace, 'create', 'token', 'paceline-controller']);
    caller = new Caller(token.trim());
    // The authorizer reads roles from a cache of its own.
    await until(
      'the rights to be known',
      async () => (await caller.call('GET', '/apis/paceline.dev/v1alpha1/pricelists')).status === 200,
      10_000,
    );
  });
  test.after(async () => {
    await caller?.close();
    await kubectl(['delete', 'pricelist', 'rbac-test', '--ignore-not-found']);
    await space.remove();
  });

  test('nothing else is allowed: pods and workloads, other Secrets, other webhooks, rights of its own', async () => {
    const refused: [verb: string, group: string, resource: string, name: string, namespace?: string][] = [
      ['create', '', 'pods', 'x'],
      ['patch', '', 'pods', samples.names.get('pods') ?? ''],
      ['update', '', 'pods', samples.names.get('pods') ?? ''],
      ['delete', '', 'pods', samples.names.get('pods') ?? ''],
      ['create', '', 'pods/exec', samples.names.get('pods') ?? ''],
      ['patch', 'apps', 'deployments', samples.names.get('deployments') ?? ''],
      ['create', 'apps', 'deployments', 'x'],
      ['delete', 'apps', 'deployments', samples.names.get('deployments') ?? ''],
      ['create', 'serving.kserve.io', 'inferenceservices', 'x'],
      ['delete', 'serving.kserve.io', 'inferenceservices', 'sample'],
      ['patch', 'serving.kserve.io', 'inferenceservices/status', 'sample'],
      ['patch', 'serving.knative.dev', 'services', samples.names.get('services') ?? ''],
      ['patch', 'serving.knative.dev', 'configurations', samples.names.get('configurations') ?? ''],
      ['delete', 'serving.knative.dev', 'revisions', samples.names.get('revisions') ?? ''],
      ['patch', 'autoscaling.internal.knative.dev', 'podautoscalers', samples.names.get('podautoscalers') ?? ''],
      ['create', 'autoscaling.internal.knative.dev', 'podautoscalers', 'x'],
      ['update', 'autoscaling.internal.knative.dev', 'podautoscalers', samples.names.get('podautoscalers') ?? ''],
      ['delete', 'autoscaling.internal.knative.dev', 'podautoscalers', samples.names.get('podautoscalers') ?? ''],
      [
        'delete',
        'networking.internal.knative.dev',
        'serverlessservices',
        samples.names.get('serverlessservices') ?? '',
      ],
      [
        'patch',
        'networking.internal.knative.dev',
        'serverlessservices/status',
        samples.names.get('serverlessservices') ?? '',
      ],
      ['list', 'serving.knative.dev', 'configurations', ''],
      ['get', '', 'secrets', 'kserve-webhook-server-cert', 'kserve'],
      ['list', '', 'secrets', '', systemNamespace],
      ['create', '', 'secrets', 'x', systemNamespace],
      ['delete', '', 'secrets', 'paceline-policy-keys', systemNamespace],
      ['get', '', 'secrets', 'any'],
      ['list', '', 'configmaps', '', 'knative-serving'],
      ['get', '', 'configmaps', 'paceline-config', systemNamespace],
      ['get', '', 'nodes', samples.names.get('nodes') ?? '', ''],
      ['list', 'serving.knative.dev', 'routes', ''],
      ['patch', '', 'configmaps', 'config-autoscaler', 'knative-serving'],
      ['patch', '', 'nodes', samples.names.get('nodes') ?? '', ''],
      [
        'patch',
        'admissionregistration.k8s.io',
        'mutatingwebhookconfigurations',
        'inferenceservice.serving.kserve.io',
        '',
      ],
      ['create', 'admissionregistration.k8s.io', 'mutatingwebhookconfigurations', 'x', ''],
      ['delete', 'admissionregistration.k8s.io', 'mutatingwebhookconfigurations', 'paceline.dev', ''],
      ['patch', 'coordination.k8s.io', 'leases', 'another', systemNamespace],
      ['patch', 'coordination.k8s.io', 'leases', 'paceline-controller', systemNamespace],
      ['create', 'rbac.authorization.k8s.io', 'clusterroles', 'x', ''],
      ['patch', 'rbac.authorization.k8s.io', 'clusterroles', 'paceline-controller', ''],
      ['create', 'paceline.dev', 'pricelists', 'x', ''],
      ['patch', 'paceline.dev', 'pricelists', 'rbac-test', ''],
    ];
    const wrong: string[] = [];
    for (const [verb, group, resource, name, namespace = space.name] of refused) {
      // An update reads first, as whoever may: what counts is the write.
      const direct = verb === 'update' ? 'patch' : verb;
      const { status } = await exercise(
        caller,
        { verb: direct, group, resource, namespace, name, named: false },
        samples,
      );
      if (status !== 403) wrong.push(`${verb} ${resource} ${namespace}/${name}: ${status}`);
    }
    assert.equal(wrong, []);
  });

  test('every right that the manifests give is one that the API server grants', async () => {
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'paceline-controller', namespace: systemNamespace },
      spec: { holderIdentity: 'rbac-test' },
    };
    // Of a controller that has not begun: else it is there.
    await kubectl(['create', '-f', '-'], JSON.stringify(lease)).catch(() => {});
    const roles = parseManifests(
      await kubectl(['get', 'clusterrole,role', '-n', systemNamespace, 'paceline-controller', '-o', 'yaml']),
    ).flatMap((object) =>
      object.kind === 'List'
        ? (object.items as { kind: string; rules: Rule[] }[])
        : [object as never as { kind: string; rules: Rule[] }],
    );
    assert.equal(roles.map(({ kind }) => kind).sort(), ['ClusterRole', 'Role']);
    const wrong: string[] = [];
    let tried = 0;
    for (const { kind, rules } of roles) {
      for (const right of rules.flatMap((rule) =>
        rightsOf(rule, kind === 'Role' ? systemNamespace : space.name, samples),
      )) {
        const { status, text } = await exercise(caller, right, samples);
        tried++;
        if (status < 200 || status > 299) {
          wrong.push(
            `${right.verb} ${right.resource} ${right.namespace}/${right.name}: ${status} ${text.slice(0, 200)}`,
          );
        }
      }
    }
    assert.equal(wrong, []);
    assert.ok(tried > 50, `${tried} rights tried`);
  });
});

/** Every verb of a rule over every resource and name, each with an object that exists. */
function rightsOf({ apiGroups, resources, resourceNames, verbs }: Rule, namespace: string, samples: Samples): Right[] {
  const rights: Right[] = [];
  for (const group of apiGroups) {
    for (const resource of resources) {
      const plural = resource.split('/')[0] as string;
      const names = resourceNames ?? [samples.names.get(plural) ?? ''];
      for (const name of names) {
        for (const verb of verbs) {
          rights.push({
            verb,
            group,
            resource,
            name,
            named: resourceNames !== undefined,
            namespace: clusterScoped.test(resource) ? '' : namespaceOf(resource, name, namespace),
          });
        }
      }
    }
  }
  return rights;
}

/** Settings of Knative and of KServe are where those are. */
function namespaceOf(resource: string, name: string, usual: string): string {
  if (resource !== 'configmaps' || usual === systemNamespace) return usual;
  return name === 'inferenceservice-config' ? 'kserve' : 'knative-serving';
}
