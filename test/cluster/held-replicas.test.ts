import * as assert from 'uvu/assert';
import { ScaleDeployment } from '../../src/controller/actuators/deployment.ts';
import { replicasBefore } from '../../src/controller/actuators/held-replicas.ts';
import type { ObservedDeployment } from '../../src/controller/reconcile/observed.ts';
import { projectDeployment } from '../../src/controller/reconcile/projections.ts';
import { kinds } from '../../src/kube/objects.ts';
import { QuietLog } from '../support/quiet-log.ts';
import { suite } from '../support/suite.ts';
import { type ApiServer, startApiServer } from './fleet/api-server.ts';

const at = { namespace: 'default', name: 'digits-predictor' };
const labels = { 'serving.kserve.io/inferenceservice': 'digits', component: 'predictor' };

suite('what a Deployment remembers of its replicas', (test) => {
  let server: ApiServer;

  test.before(async () => {
    server = await startApiServer();
    const template = { metadata: { labels }, spec: { containers: [{ name: 'model', image: 'model' }] } };
    await server.api.create(kinds.deployment, {
      metadata: { ...at, labels },
      spec: { replicas: 2, selector: { matchLabels: labels }, template },
    });
  });

  test.after(async () => await server?.stop());

  const read = () => server.api.get(kinds.deployment, at);
  const observe = async () => projectDeployment(await read()) as ObservedDeployment;
  const actuator = new ScaleDeployment();
  const context = () => ({
    api: server.api,
    log: new QuietLog(),
    nowMs: Date.now(),
    monotonicMs: performance.now(),
    leads: () => true,
    transitions: 0,
  });
  const target = async () => ({
    deployment: await observe(),
    autoscaler: 'external',
    policy: undefined,
    holding: undefined,
  });

  test('a scale of ours keeps what was there, over further ones and writes to other fields', async () => {
    assert.is(replicasBefore((await read()).metadata), undefined);
    await actuator.apply({ replicas: 5 }, await target(), context());
    assert.is((await observe()).replicasBefore, 2);
    await actuator.apply({ replicas: 7 }, await target(), context());
    await server.api.mergePatch(kinds.deployment, at, { metadata: { annotations: { note: 'x' } } });
    const whole = await read();
    await server.api.replace(kinds.deployment, { ...whole, metadata: { ...whole.metadata, labels } });
    const { replicas, replicasBefore: before } = await observe();
    assert.equal([replicas, before], [7, 2]);
  });

  test('when somebody else scales it, it is no longer ours', async () => {
    await server.api.mergePatch(kinds.deployment, at, { spec: { replicas: 4 } });
    assert.is((await observe()).replicasBefore, undefined);
    await actuator.apply({ replicas: 6 }, await target(), context());
    assert.is((await observe()).replicasBefore, 4);
  });

  test('another process gives it back by what the Deployment says alone', async () => {
    const other = new ScaleDeployment();
    await other.giveBack(await target(), context());
    const { replicas, replicasBefore: before } = await observe();
    assert.equal([replicas, before], [4, undefined]);
  });
});
