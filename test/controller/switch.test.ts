import * as assert from 'uvu/assert';
import { switchServices } from '../../src/controller/switch.ts';
import { kinds } from '../../src/kube/objects.ts';
import { ApiDouble } from '../support/api-double.ts';
import { suite } from '../support/suite.ts';

function cluster() {
  const api = new ApiDouble();
  const add = (namespace: string, name: string, mode?: string) =>
    api.seed(kinds.inferencePolicy, {
      metadata: { namespace, name: `${name}-policy` },
      spec: { targetRef: { name }, ...(mode ? { mode } : {}) },
    });
  add('a', 'digits');
  add('a', 'faces', 'advise');
  add('b', 'digits');
  const modes = () =>
    api.all(kinds.inferencePolicy).map(({ spec }) => (spec as { mode?: string }).mode ?? 'from annotations');
  return { api, modes };
}

suite('paceline off and on', (test) => {
  test('a service without a policy is named in the refusal', async () => {
    const { api, modes } = cluster();
    try {
      await switchServices(api, 'off', { namespace: 'a', name: 'other' });
      assert.unreachable();
    } catch (error) {
      assert.match(String(error), /a\/other has no InferencePolicy/);
    }
    assert.equal(modes(), ['from annotations', 'advise', 'from annotations']);
  });

  test('one service in one namespace', async () => {
    const { api, modes } = cluster();
    assert.equal(await switchServices(api, 'off', { namespace: 'a', name: 'digits' }), ['a/digits']);
    assert.equal(modes(), ['off', 'advise', 'from annotations']);
  });

  test('all, twice, and back: each mode is what it was', async () => {
    const { api, modes } = cluster();
    const all = { namespace: undefined, name: undefined };
    assert.is((await switchServices(api, 'off', all)).length, 3);
    assert.equal(await switchServices(api, 'off', all), []);
    assert.equal(modes(), ['off', 'off', 'off']);
    assert.is((await switchServices(api, 'on', all)).length, 3);
    assert.equal(await switchServices(api, 'on', all), []);
    assert.equal(modes(), ['from annotations', 'advise', 'from annotations']);
    assert.equal(
      api.all(kinds.inferencePolicy).map(({ metadata }) => metadata.annotations),
      [{}, {}, {}],
    );
  });
});
