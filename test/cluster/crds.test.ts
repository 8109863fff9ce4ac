import * as assert from 'uvu/assert';
import { changed, policy, prices, wrongPolicies, wrongPrices } from '../support/custom-resources.ts';
import { suite } from '../support/suite.ts';
import { get, kubectl, temporaryNamespace } from './support/cluster.ts';
import { applyDefinitions } from './support/paceline.ts';

const listName = `prices-${process.pid}`;

suite('custom resources on the real API server', (test) => {
  const space = { name: '', remove: async () => {} };

  test.before(async () => {
    await applyDefinitions();
    Object.assign(space, await temporaryNamespace('resources'));
  });
  test.after(async () => {
    await kubectl(['delete', 'pricelist', listName, '--ignore-not-found']);
    await space.remove();
  });

  function placed<T extends { metadata: object }>(object: T): T {
    return { ...object, metadata: { ...object.metadata, namespace: space.name } };
  }

  /** What the API server's schema and rules say of an object; empty: nothing. A webhook's words do not count. */
  async function refusal(object: object): Promise<string> {
    try {
      await kubectl(['create', '--dry-run=server', '-f', '-'], JSON.stringify(object));
      return '';
    } catch (error) {
      const text = String(error);
      return /admission webhook/.test(text) ? '' : text;
    }
  }

  test('it refuses what the program refuses, by schema or by rule', async () => {
    for (const [steps, value] of wrongPolicies) {
      const shown = `${steps.join('.')} = ${JSON.stringify(value)}`;
      const said = await refusal(placed(changed(policy, steps, value)));
      assert.match(said, /is invalid|strict decoding/, shown);
    }
    for (const [steps, value] of wrongPrices) {
      const shown = `${steps.join('.')} = ${JSON.stringify(value)}`;
      assert.match(await refusal(changed(prices, steps, value)), /is invalid|strict decoding/, shown);
    }
  });

  test('rules over several fields say what to do', async () => {
    assert.match(await refusal(placed(changed(policy, ['spec', 'slo'], '2s'))), /lateTimeout is shorter than slo/);
    assert.match(await refusal(placed(changed(policy, ['spec', 'slo'], '2h'))), /not a duration from 1ms to 1h/);
    const crossed = changed(policy, ['spec', 'targetRef', 'kind'], 'Service');
    assert.match(await refusal(placed(crossed)), /set group and kind together/);
    assert.match(await refusal(placed(changed(policy, ['spec', 'shareAcrossHeaders'], ['a', 'a']))), /[Dd]uplicate/);
    assert.match(await refusal(placed(changed(policy, ['spec', 'slos'], '1s'))), /unknown field/);
  });

  test('a policy keeps all that it says, gets its defaults, and stays with its target', async () => {
    const short = { ...policy, metadata: { name: 'short' }, spec: { targetRef: { name: 'digits' }, slo: '1500us' } };
    await kubectl(['create', '-f', '-'], JSON.stringify(placed(policy)));
    await kubectl(['create', '-f', '-'], JSON.stringify(placed(short)));
    const stored = await get<{ spec: object }>('plp', space.name, 'digits');
    assert.equal(stored.spec, policy.spec);
    const filled = await get<{ spec: { targetRef: object } }>('plp', space.name, 'short');
    assert.equal(filled.spec.targetRef, { group: 'serving.kserve.io', kind: 'InferenceService', name: 'digits' });
    const moved = ['-n', space.name, 'patch', 'plp', 'digits', '--type=merge', '-p'];
    await assertRefused(
      () => kubectl([...moved, '{"spec":{"targetRef":{"name":"letters"}}}']),
      /stays with its target/,
    );
    await kubectl([...moved, '{"spec":{"slo":"1s"}}']);
  });

  test('status is written through its own address only, without a new generation, and shows in the columns', async () => {
    const status = {
      mode: 'act',
      slo: '200ms at 99 %',
      plan: { reason: 'meets-slo', replicas: 3, maxBatchSize: 16 },
      observed: { attainment: 0.995 },
      conditions: [
        {
          type: 'Enforced',
          status: 'True',
          reason: 'Enforced',
          message: 'x',
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ],
      unheardOf: 1,
    };
    const patch = ['-n', space.name, 'patch', 'plp', 'digits', '--type=merge', '-p', JSON.stringify({ status })];
    const before = await get<{ status?: object }>('plp', space.name, 'digits');
    await kubectl(patch);
    assert.is((await get<{ status?: object }>('plp', space.name, 'digits')).status, undefined);
    await kubectl([...patch, '--subresource=status']);
    const after = await get<{ status?: Record<string, unknown> }>('plp', space.name, 'digits');
    assert.is(after.metadata.generation, before.metadata.generation);
    const { unheardOf: _, ...kept } = status;
    assert.equal(after.status, kept, 'what the schema does not name is pruned');
    const shown = await kubectl(['-n', space.name, 'get', 'inferencepolicies', 'digits']);
    assert.match(shown, /TARGET\s+MODE\s+SLO\s+ATTAINMENT\s+REPLICAS\s+BATCH\s+REASON\s+ENFORCED\s+AGE/);
    assert.match(shown, /digits\s+digits\s+act\s+200ms at 99 %\s+0\.995\s+3\s+16\s+meets-slo\s+True/);
    await assertRefused(
      () =>
        kubectl([
          '-n',
          space.name,
          'patch',
          'plp',
          'digits',
          '--subresource=status',
          '--type=merge',
          '-p',
          '{"status":{"observed":{"attainment":2}}}',
        ]),
      /less than or equal to 1/,
    );
  });

  test('a PriceList belongs to the cluster, and the category lists both kinds', async () => {
    const list = { ...prices, metadata: { name: listName }, spec: { ...prices.spec, billing: undefined } };
    await kubectl(['create', '-f', '-'], JSON.stringify(list));
    const stored = await get<{ spec: { billing: string } }>('pricelist', '', listName);
    assert.is(stored.spec.billing, 'replica-seconds');
    const both = await kubectl(['-n', space.name, 'get', 'paceline', '-o', 'name']);
    assert.match(both, /inferencepolicy\.paceline\.dev\/digits/);
    assert.match(both, new RegExp(`pricelist\\.paceline\\.dev/${listName}`));
  });

  test("every definition's conditions tell of no violation", async () => {
    for (const name of ['inferencepolicies.paceline.dev', 'pricelists.paceline.dev']) {
      const { status } = await get<{ status: { conditions: { type: string; status: string; message: string }[] } }>(
        'crd',
        '',
        name,
      );
      const bad = status.conditions.filter(({ type, status }) => type === 'NonStructuralSchema' && status === 'True');
      assert.equal(bad, []);
    }
  });
});

async function assertRefused(run: () => Promise<unknown>, message: RegExp): Promise<void> {
  try {
    await run();
  } catch (error) {
    assert.match(String(error), message);
    return;
  }
  assert.unreachable(`not refused: ${message}`);
}
