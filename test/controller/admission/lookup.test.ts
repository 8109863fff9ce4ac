import * as assert from 'uvu/assert';
import { ApiLookup } from '../../../src/controller/admission/lookup.ts';
import { makePolicy } from '../../../src/controller/reconcile/policy-object.ts';
import type { Target } from '../../../src/controller/reconcile/projections.ts';
import { switchServices } from '../../../src/controller/switch.ts';
import { kinds } from '../../../src/kube/objects.ts';
import { ApiDouble } from '../../support/api-double.ts';
import { suite } from '../../support/suite.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const service = { kind: 'InferenceService', name: 'digits' } as const;
const target = { group: 'serving.kserve.io', namespace: 'a', ...service };

async function rig() {
  const api = new ApiDouble();
  await makePolicy(api, { target, uid: 'u' } as Target);
  const lookup = new ApiLookup(api, new VirtualClock(), 'kserve');
  return { api, live: () => lookup.liveSpec('a', service), lookup };
}

suite('what webhooks look up', (test) => {
  test('without a policy, or where nobody answers, nothing is said over the annotations', async () => {
    const lookup = new ApiLookup(new ApiDouble(), new VirtualClock(), 'kserve');
    assert.is(await lookup.liveSpec('a', service), undefined);
    const api = new ApiDouble();
    api.get = () => Promise.reject(new Error('gone'));
    api.list = () => Promise.reject(new Error('gone'));
    assert.is(await new ApiLookup(api, new VirtualClock(), 'kserve').liveSpec('a', service), undefined);
  });

  test('what `paceline off` writes into the policy that the controller made holds, and so does what is edited there', async () => {
    const { api, live } = await rig();
    assert.is((await live())?.mode, undefined);
    await switchServices(api, 'off', { namespace: 'a', name: 'digits' });
    assert.is((await live())?.mode, 'off');
    await switchServices(api, 'on', { namespace: 'a', name: 'digits' });
    await api.mergePatch(kinds.inferencePolicy, { namespace: 'a', name: 'digits' }, { spec: { rollout: 'auto' } });
    assert.equal([(await live())?.mode, (await live())?.rollout], [undefined, 'auto']);
  });

  test("a user's own goes before it, also one among more than a page", async () => {
    const { api, live, lookup } = await rig();
    await switchServices(api, 'off', { namespace: 'a', name: 'digits' });
    for (let i = 0; i < 700; i++)
      api.seed(kinds.inferencePolicy, {
        metadata: { namespace: 'a', name: `own-${i}` },
        spec: { targetRef: { name: i === 699 ? 'digits' : `service-${i}` }, mode: 'advise' },
      });
    assert.is((await lookup.policies('a'))?.length, 700);
    assert.is((await live())?.mode, 'advise');
  });

  test("one of the same name that a user made is a user's", async () => {
    const api = new ApiDouble();
    api.seed(kinds.inferencePolicy, {
      metadata: { namespace: 'a', name: 'digits' },
      spec: { targetRef: { name: 'another' }, mode: 'off' },
    });
    assert.is(await new ApiLookup(api, new VirtualClock(), 'kserve').liveSpec('a', service), undefined);
  });
});
