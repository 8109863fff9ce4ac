import * as assert from 'uvu/assert';
import { choose } from '../../../src/controller/reconcile/choice.ts';
import { declaredVariants } from '../../../src/controller/reconcile/declared-variants.ts';
import {
  projectInferenceService,
  projectKnativeService,
  serviceKeyOf,
  type Target,
} from '../../../src/controller/reconcile/projections.ts';
import { projectPolicy, type StoredPolicy } from '../../../src/controller/reconcile/stored-policies.ts';
import { apiVersionOf, kinds } from '../../../src/kube/objects.ts';
import { suite } from '../../support/suite.ts';

const asked = { 'paceline.dev/slo': '500ms' };
const inGroup = { ...asked, 'paceline.dev/variant-of': 'digits' };
const rolledOut = {
  deploymentMode: 'Knative',
  components: { predictor: { latestRolledoutRevision: 'small-predictor-00001' } },
};

function service(annotations: Record<string, string>, more: { metadata?: object; status?: object } = {}): Target {
  const metadata = { namespace: 'ml', name: 'small', uid: 'u', annotations, ...more.metadata };
  return projectInferenceService({ metadata, spec: { predictor: {} }, status: more.status ?? rolledOut });
}

/** Names of the services that are of the group `digits`, with whether they tell anything; `spec` is of a policy of `small`. */
function declared(targets: readonly Target[], spec?: object): Record<string, boolean> {
  const metadata = { namespace: 'ml', name: 'small' };
  const kind = { apiVersion: apiVersionOf(kinds.inferencePolicy), kind: kinds.inferencePolicy.kind };
  const policy = spec && projectPolicy({ ...kind, metadata, spec: { targetRef: { name: 'small' }, ...spec } });
  const world = {
    *targetsIn(namespace: string) {
      for (const each of targets) if (each.target.namespace === namespace) yield each;
    },
    policies: (key: string): StoredPolicy[] => (policy?.service === key ? [policy] : []),
    revisionNames: (key: string) => [`${key.split('/').at(-1)}-predictor-00001`],
  };
  const all = declaredVariants(world, choose, 'ml', 'digits');
  for (const { owner, revisions } of all) assert.equal(revisions, [`${owner.name}-predictor-00001`]);
  return Object.fromEntries(all.map(({ owner, passes }) => [owner.name, passes]));
}

suite('the services of a group of variants', (test) => {
  test('are none that end, name another group or none, or want us no more', () => {
    assert.equal(declared([]), {});
    assert.equal(declared([service(inGroup, { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } })]), {});
    assert.equal(declared([service(inGroup, { metadata: { namespace: 'other' } })]), {});
    assert.equal(declared([service(asked)]), {});
    assert.equal(declared([service({ ...asked, 'paceline.dev/variant-of': 'letters' })]), {});
    assert.equal(declared([service({ 'paceline.dev/variant-of': 'digits' })]), {});
  });

  test('name it by an annotation, of a Knative Service by its template too, or by the policy, which goes before', () => {
    assert.equal(declared([service(inGroup)]), { small: true });
    assert.equal(declared([service(asked)], { variantOf: 'digits' }), { small: true });
    assert.equal(declared([service(inGroup)], { variantOf: 'letters' }), {});
    const plain = projectKnativeService({
      metadata: { namespace: 'ml', name: 'plain', uid: 'p' },
      spec: { template: { metadata: { annotations: inGroup }, spec: { containers: [] } } },
      status: { latestReadyRevisionName: 'plain-00001' },
    }) as Target;
    assert.is(serviceKeyOf(plain.target), 'Service/ml/plain');
    assert.equal(declared([plain]), { plain: true });
  });

  test('are not waited for while they are off, wrong in something else, in Standard mode or not rolled out', () => {
    assert.equal(declared([service(inGroup)], { mode: 'off' }), { small: false });
    assert.equal(declared([service({ ...inGroup, 'paceline.dev/slo': 'soon' })]), { small: false });
    assert.equal(declared([service(inGroup, { status: { ...rolledOut, deploymentMode: 'Standard' } })]), {
      small: false,
    });
    assert.equal(declared([service(inGroup, { status: { deploymentMode: 'Knative' } })]), { small: false });
  });
});
