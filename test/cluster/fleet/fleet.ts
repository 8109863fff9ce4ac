// Thousands of InferenceServices as KServe and Knative would have made them, and one process that answers for all of
// their companions.

import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { parse } from 'yaml';
import { adminPort } from '../../../src/controller/signals/pod-call.ts';
import type { KubeApi } from '../../../src/kube/kube-api.ts';
import { isConflict, isNotFound } from '../../../src/kube/kube-error.ts';
import { apiVersionOf, type KubeObject, kinds, type ResourceKind } from '../../../src/kube/objects.ts';
import { projectRoot } from '../settings.ts';

export const namespace = 'fleet';
const parallel = 24;

const crd: ResourceKind = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};
const namespaceKind: ResourceKind = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};

export const nameOfService = (i: number) => `service-${String(i).padStart(5, '0')}`;
export const revisionOfService = (i: number) => `${nameOfService(i)}-predictor-00001`;
/** Each pod has a loopback address of its own: 127.64.0.0 and up. */
export const addressOf = (i: number) => `127.${64 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;

/** Our own definitions as they are shipped; of KServe's and Knative's kinds the names alone, without their schemas. */
export async function define(api: KubeApi): Promise<void> {
  const bare = [
    kinds.inferenceService,
    kinds.knativeService,
    kinds.revision,
    kinds.route,
    kinds.podAutoscaler,
    kinds.serverlessService,
  ];
  const objects = bare.map(bareDefinition);
  for (const file of ['inferencepolicies', 'pricelists']) {
    objects.push(parse(readFileSync(join(projectRoot, `manifests/crds/${file}.yaml`), 'utf8')) as KubeObject);
  }
  for (const object of objects) await once(() => api.create(crd, object));
  for (const name of [namespace, 'paceline-system'])
    await once(() => api.create(namespaceKind, { metadata: { name } }));
}

function bareDefinition({ group, version, plural, kind }: ResourceKind): KubeObject {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  return {
    metadata: {
      name: `${plural}.${group}`,
      // The suffix is protected: this is how one says that a definition is not Kubernetes' own.
      annotations: { 'api-approved.kubernetes.io': 'unapproved, for tests' },
    },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, kind, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [{ name: version, served: true, storage: true, schema, subresources: { status: {} } }],
    },
  };
}

/** Makes the services with what belongs to each. */
export async function load(api: KubeApi, count: number, progress: (done: number) => void): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const i = next++;
      await makeService(api, i);
      if (i % 500 === 499) progress(i + 1);
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}

async function makeService(api: KubeApi, i: number): Promise<void> {
  const [name, revision] = [nameOfService(i), revisionOfService(i)];
  const labels = {
    'serving.kserve.io/inferenceservice': name,
    component: 'predictor',
    'serving.knative.dev/revision': revision,
    'serving.knative.dev/service': `${name}-predictor`,
    'serving.knative.dev/routingState': 'active',
  };
  const annotations = {
    'autoscaling.knative.dev/class': 'kpa.autoscaling.knative.dev',
    'autoscaling.knative.dev/min-scale': '1',
  };
  const traffic = [{ revisionName: revision, percent: 100, latestRevision: true }];
  await make(
    api,
    kinds.inferenceService,
    {
      metadata: { namespace, name, annotations: { 'paceline.dev/slo': '500ms' } },
      spec: {
        predictor: {
          minReplicas: 1,
          maxReplicas: 8,
          model: { modelFormat: { name: 'sklearn' }, storageUri: `gs://models/${name}` },
        },
      },
    },
    {
      deploymentMode: 'Knative',
      components: {
        predictor: {
          latestCreatedRevision: revision,
          latestReadyRevision: revision,
          latestRolledoutRevision: revision,
          traffic,
        },
      },
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  );
  const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:04Z' }];
  await make(
    api,
    kinds.revision,
    { metadata: { namespace, name: revision, labels, annotations }, spec: {} },
    { conditions },
  );
  await make(
    api,
    kinds.podAutoscaler,
    { metadata: { namespace, name: revision, labels, annotations }, spec: { reachability: 'Reachable' } },
    { desiredScale: 1, actualScale: 1, conditions },
  );
  await make(api, kinds.pod, podOf(i, labels), {
    phase: 'Running',
    podIP: addressOf(i),
    podIPs: [{ ip: addressOf(i) }],
    conditions: ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => ({
      type,
      status: 'True',
      lastTransitionTime: new Date().toISOString(),
    })),
  });
}

/** About as large as a real pod of three containers. */
function podOf(i: number, labels: Record<string, string>): KubeObject {
  const container = (name: string) => ({
    name,
    image: `registry.example/${name}:1`,
    env: Array.from({ length: 30 }, (_, n) => ({
      name: `VARIABLE_${n}`,
      value: `value ${n} of ${name}`.padEnd(60, '.'),
    })),
    resources: { requests: { cpu: '100m', memory: '128Mi' } },
  });
  return {
    metadata: {
      namespace,
      name: `${revisionOfService(i)}-pod`,
      labels: { ...labels, 'paceline.dev/companion': 'true' },
    },
    spec: { nodeName: 'node', containers: ['kserve-container', 'queue-proxy', 'agent'].map(container) },
  };
}

async function make(api: KubeApi, kind: ResourceKind, object: KubeObject, status: object): Promise<void> {
  const { name } = object.metadata;
  await once(() => api.create(kind, { apiVersion: apiVersionOf(kind), kind: kind.kind, ...object }));
  await api.mergePatch(kind, { namespace, name }, { status }, { subresource: 'status' });
}

/** A definition is served a moment after it was made. */
async function once(run: () => Promise<unknown>): Promise<void> {
  for (let i = 0; ; i++) {
    try {
      await run();
      return;
    } catch (error) {
      if (isConflict(error)) return;
      if (!isNotFound(error) || i > 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

const model = { baseMs: 50, slopeMs: 5 };

/** All companions: each answers at its own address. */
export class Companions {
  readonly #server: Server;
  /** Items a second of each service. */
  load = 20;
  asked = 0;
  /** The mode that each was told last, by service, and when. */
  readonly told = new Map<number, { mode: string; atMs: number }>();

  constructor() {
    this.#server = createServer((request, response) => {
      const [, high, middle, low] = (request.socket.localAddress ?? '').split('.').map(Number) as [
        number,
        number,
        number,
        number,
      ];
      const i = ((high - 64) << 16) | (middle << 8) | low;
      if (request.method === 'PUT') {
        let body = '';
        request.on('data', (chunk: Buffer) => {
          body += chunk.toString();
        });
        request.on('end', () => {
          const { mode } = JSON.parse(Buffer.from(body.split('.')[0] as string, 'base64url').toString()) as {
            mode: string;
          };
          this.told.set(i, { mode, atMs: Date.now() });
          response.end('{}');
        });
        return;
      }
      this.asked++;
      response.end(JSON.stringify(this.#signals(i)));
    });
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(adminPort, '0.0.0.0', 4096, resolve);
    });
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #signals(i: number): object {
    const latencyMs = [1, 4, 16, 32, 64].map((items) => {
      const expected = model.baseMs + model.slopeMs * items;
      return { items, expected, quantile: expected * 1.05 };
    });
    return {
      schemaVersion: 2,
      isvc: `${namespace}/${nameOfService(i)}`,
      isvcUid: '',
      revision: revisionOfService(i),
      uptimeMs: 600_000,
      mode: 'act',
      policySequence: this.told.has(i) ? [1, 1] : null,
      attainment: { share: 1, requests: this.load * 60 },
      arrivalRate: this.load,
      arrivals: Array(60).fill(this.load),
      busyShare: 0.4,
      waiting: 0,
      lateWaiting: 0,
      upstreamWaiting: 0,
      inFlight: 1,
      inFlightLimit: 1,
      draining: false,
      eventLoopLagMs: 0,
      lanes: Array.from({ length: 4 }, (_, lane) => ({
        target: `/v1/models/m${lane}:predict`,
        requests: 100,
        capacity: 80,
        knee: 32,
        latencyMs,
      })),
      lanesTotal: 4,
      mostSplittingHeader: null,
    };
  }
}
