import * as assert from 'uvu/assert';
import { imageReference } from '../../scripts/image.ts';
import { suite } from '../support/suite.ts';
import type { Manifest } from './documents.ts';
import { applyAsUser, get, isReady, kubectl, type Pod, temporaryNamespace, until } from './support/cluster.ts';
import { figure } from './support/figures.ts';
import { ask } from './support/requests.ts';
import { modelContainer, restricted } from './support/services.ts';

suite("the project's image on the cluster", (test) => {
  const space = { name: '', remove: async () => {} };

  test.before(async () => {
    Object.assign(space, await temporaryNamespace('image', { 'pod-security.kubernetes.io/enforce': 'restricted' }));
  });
  test.after(() => space.remove());

  test('the namespace refuses a pod that may become root', async () => {
    const { containers } = podSpec();
    const open = containers.map((container) => ({ ...container, securityContext: {} }));
    const message = await applyAsUser(pod('open', { containers: open })).then(
      () => '',
      (error: Error) => error.message,
    );
    assert.match(message, /violates PodSecurity "restricted/);
  });

  test('the companion serves beside a model, as user 65532, without a writable root', async () => {
    const started = Date.now();
    await applyAsUser(pod('companion', podSpec()));
    await until('the pod to be Ready', async () => isReady(await get<Pod>('pod', space.name, 'companion')), 60_000);
    figure('pod with model and companion Ready', (Date.now() - started) / 1000, 's');
    const { status } = await get<Pod>('pod', space.name, 'companion');
    const port = 9085;
    const answer = await ask({
      ...{ address: status.podIP!, port, host: 'any' },
      ...{ path: '/v1/models/m:predict', body: { instances: [[3, 4], [5]] } },
    });
    assert.is(answer.status, 200, answer.text);
    assert.equal(JSON.parse(answer.text), { predictions: [7, 5] });
  });

  test('the program says its version and ends', async () => {
    const phase = async () => (await get<Pod>('pod', space.name, 'version')).status.phase;
    const containers = [{ ...companion(['--version']), ports: undefined, readinessProbe: undefined }];
    await applyAsUser(pod('version', { containers, restartPolicy: 'Never' }));
    await until('the end', async () => ['Succeeded', 'Failed'].includes(await phase()), 60_000);
    const said = await kubectl(['-n', space.name, 'logs', 'version']);
    assert.is(await phase(), 'Succeeded', said);
    assert.match(said, new RegExp(imageReference.split(':')[1]!.replaceAll('.', '\\.')));
  });

  function pod(name: string, spec: object): Manifest {
    return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: space.name }, spec } as Manifest;
  }

  function podSpec(): { containers: Record<string, unknown>[] } {
    const args = ['companion', '--port', '9085', '--admin-port', '9086', '--host', '0.0.0.0'];
    const upstream = ['--upstream', 'http://127.0.0.1:8080', '--slo', '500ms'];
    return { containers: [modelContainer('model'), companion([...args, ...upstream])] };
  }

  function companion(args: string[]): Record<string, unknown> {
    return {
      name: 'paceline',
      image: imageReference,
      args,
      readinessProbe: { httpGet: { path: '/v2/health/ready', port: 9085 }, periodSeconds: 1 },
      resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { cpu: '1', memory: '256Mi' } },
      securityContext: { ...restricted, readOnlyRootFilesystem: true },
    };
  }
});
