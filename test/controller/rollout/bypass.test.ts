import * as assert from 'uvu/assert';
import { bypassedCanaries, bypassMessage } from '../../../src/controller/rollout/bypass.ts';
import type { KubeObject } from '../../../src/kube/objects.ts';
import { suite } from '../../support/suite.ts';

/** As KServe 0.20 has it in Standard mode: a stable predictor with a batcher, and a canary of another model. */
const service: KubeObject = {
  apiVersion: 'serving.kserve.io/v1beta1',
  kind: 'InferenceService',
  metadata: { name: 'digits', namespace: 'ml', annotations: { 'serving.kserve.io/deploymentMode': 'Standard' } },
  spec: {
    predictor: {
      name: 'one',
      minReplicas: 4,
      batcher: { maxBatchSize: 64, maxLatency: 1 },
      model: { modelFormat: { name: 'onnx' }, storageUri: 's3://models/one' },
    },
    canary: [{ predictor: { name: 'two', model: { storageUri: 's3://models/two' } }, trafficPercent: 25 }],
  },
  status: { canaryStatuses: [{ name: 'two', ready: true, trafficPercent: 25 }] },
};

/** As createDefaultSvc makes it: without batcher or logger the port is the container's. */
function canaryService(targetPort: number | string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'digits-two-predictor',
      namespace: 'ml',
      labels: { component: 'predictor', 'serving.kserve.io/inferenceservice': 'digits' },
    },
    spec: {
      selector: { app: 'isvc.digits-two-predictor' },
      ports: [{ name: 'http1', port: 80, targetPort, protocol: 'TCP' }],
    },
  };
}

const servicesWith = (...all: KubeObject[]) => new Map(all.map((each) => [each.metadata.name, each]));

suite('canaries around the companion', (test) => {
  test('are not reported without canaries, before their Service is there, or from objects of another shape', () => {
    const plain = { ...service, spec: { predictor: {} } };
    assert.equal(bypassedCanaries(plain, servicesWith(canaryService(8080))), []);
    assert.equal(bypassedCanaries(service, new Map()), []);
    for (const canary of [null, {}, 'two', [null], [{}], [{ predictor: { name: 7 } }]]) {
      assert.equal(bypassedCanaries({ ...service, spec: { canary } }, servicesWith(canaryService(8080))), []);
    }
    for (const ports of [null, [], [null], [{ targetPort: {} }]]) {
      const odd: KubeObject = { ...canaryService(8080), spec: { ports } };
      assert.equal(bypassedCanaries(service, servicesWith(odd)), []);
    }
  });

  test("are found by their Service's port, and said with what to do", () => {
    const found = bypassedCanaries(service, servicesWith(canaryService(8080)));
    assert.equal(found, [{ canary: 'two', service: 'digits-two-predictor', port: 8080 }]);
    assert.match(bypassMessage(found), /digits-two-predictor, port 8080.*variant-of/);
    assert.is(bypassedCanaries(service, servicesWith(canaryService('http1'))).length, 1);
  });

  test('are none where the Service points at the companion', () => {
    for (const port of [9081, 'agent-port', 9085]) {
      assert.equal(bypassedCanaries(service, servicesWith(canaryService(port))), []);
    }
  });
});
