import * as assert from 'uvu/assert';
import { Warnings } from '../../../src/controller/reconcile/warnings.ts';
import { kinds } from '../../../src/kube/objects.ts';
import { problemAt, warning } from '../../../src/policy/problem.ts';
import { ControllerRig, namespace } from '../../support/controller-rig.ts';
import { suite } from '../../support/suite.ts';

const slow = (ms: number) => problemAt(warning, 'PL_SLO_UNREACHABLE', { field: 'slo' }, `takes ${ms} ms`);

/** A service whose companions say this beside the truth, after it was watched for a while. */
async function running(annotations: Record<string, string>, said: object) {
  const rig = new ControllerRig();
  rig.signals = (truth) => ({ status: 200, body: JSON.stringify({ ...truth, ...said }) });
  await rig.start(annotations);
  const part = await rig.controller(() => true);
  await rig.clock.advance(60_000);
  const warned = () => rig.api.all(kinds.event).filter(({ type }) => type === 'Warning');
  return { rig, part, warned };
}

suite('warnings of what companions measured', (test) => {
  test('nothing is said where nothing hurts', async () => {
    const { rig, part, warned } = await running({ 'paceline.dev/slo': '500ms' }, {});
    assert.equal(warned(), []);
    assert.not.match(rig.condition('Planned')?.message as string, /PL_/);
    await part.stop();
  });

  test('a header that was allowed to share a lane is no problem', async () => {
    const header = { mostSplittingHeader: { name: 'X-Tenant', lanes: 20 } };
    const annotations = { 'paceline.dev/slo': '500ms', 'paceline.dev/share-across-headers': 'x-tenant' };
    const { part, warned } = await running(annotations, header);
    assert.equal(warned(), []);
    await part.stop();
  });

  test('an SLO below what the model alone takes: one event, and the plan names it', async () => {
    // A single request takes 55 ms, and the promised share of them 57.75.
    const { rig, part, warned } = await running({ 'paceline.dev/slo': '40ms' }, {});
    assert.equal(
      warned().map(({ reason, count }) => [reason, count]),
      [['PL_SLO_UNREACHABLE', 1]],
    );
    assert.match(rig.condition('Planned')?.message as string, /\. PL_SLO_UNREACHABLE: the SLO of 40 ms/);
    await rig.clock.advance(1_200_000);
    assert.is(warned().length, 1, 'it is said once');
    await part.stop();
  });

  test('what admission has missed is said again: an error like a warning, each once, and no longer when it is mended', async () => {
    const rig = new ControllerRig();
    await rig.start({ 'paceline.dev/slo': '500ms', 'paceline.dev/budget': '1 EUR/h', 'paceline.dev/sloo': '1s' });
    const name = { namespace, name: 'digits' };
    rig.api.edit(kinds.inferenceService, name, { spec: { predictor: { containerConcurrency: 1 } } });
    rig.load = 2;
    const part = await rig.controller(() => true);
    await rig.clock.advance(60_000);
    const said = () =>
      rig.api
        .all(kinds.event)
        .filter(({ type }) => type === 'Warning')
        .map(({ reason, count }) => `${reason} ${count}`)
        .sort();
    const first = ['PL_ANNOTATION_UNKNOWN 1', 'PL_CONCURRENCY 1', 'PL_PRICE_MISSING 1'];
    assert.equal(said(), first);
    assert.match(rig.condition('Planned')?.message as string, /PL_CONCURRENCY: spec.predictor.containerConcurrency: /);
    rig.api.seed(kinds.priceList, {
      apiVersion: 'paceline.dev/v1alpha1',
      kind: 'PriceList',
      metadata: { name: 'prices' },
      spec: { currency: 'EUR', prices: [{ price: 2 }] },
    });
    await rig.clock.advance(30_000);
    assert.equal(said(), [...first.slice(0, 1), 'PL_BUDGET 1', ...first.slice(1)].sort());
    rig.api.edit(kinds.inferenceService, name, { spec: { predictor: { containerConcurrency: null } } });
    await rig.clock.advance(30_000);
    const message = rig.condition('Planned')?.message as string;
    assert.match(message, /PL_BUDGET/);
    assert.not.match(message, /PL_CONCURRENCY|PL_PRICE_MISSING/);
    assert.is(said().length, 4);
    await part.stop();
  });

  test('a header that splits lanes is named', async () => {
    const header = { mostSplittingHeader: { name: 'x-tenant', lanes: 20 } };
    const { rig, part, warned } = await running({ 'paceline.dev/slo': '500ms' }, header);
    assert.is(warned()[0]?.reason, 'PL_LANES_SPLIT');
    assert.match(rig.condition('Planned')?.message as string, /PL_LANES_SPLIT: the header x-tenant/);
    await part.stop();
  });

  test('what comes and goes around its bound is one warning, and ends ten minutes after it was last seen', () => {
    const warnings = new Warnings();
    assert.is(warnings.text, '');
    assert.is(warnings.note([slow(510)], [], 0).length, 1);
    for (let s = 1; s < 600; s++) assert.equal(warnings.note(s % 2 ? [] : [slow(510 + s)], [], s * 1000), []);
    assert.is(warnings.text, 'PL_SLO_UNREACHABLE: takes 510 ms');
    warnings.note([], [], 1_300_000);
    assert.is(warnings.text, '');
    assert.is(warnings.note([slow(511)], [], 1_301_000).length, 1);
  });
});
