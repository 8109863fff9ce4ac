import * as assert from 'uvu/assert';
import { type CredibleCurve, credibleCurves } from '../../../src/controller/reconcile/curves.ts';
import type { HeardFrom } from '../../../src/controller/reconcile/problem.ts';
import { ServiceMemory } from '../../../src/controller/reconcile/service-memory.ts';
import { suite } from '../../support/suite.ts';

interface Said {
  readonly revision?: string;
  readonly ms: number;
  readonly lagMs?: number;
  readonly requests?: number;
  readonly batches?: number;
  readonly ending?: boolean;
  /** `TYPE-NUMBER`. */
  readonly node?: string;
}

function heard(...pods: Said[]): HeardFrom[] {
  return pods.map(({ revision = 'r1', ms, lagMs = 0, requests = 1000, batches, ending = false, node = 'a-1' }) => {
    const latencyMs = [1, 16].map((items) => ({ items, expected: ms * items, quantile: 1.1 * ms * items }));
    const signals = {
      latencyMs,
      eventLoopLagMs: lagMs,
      requests,
      totals: batches === undefined ? undefined : { requests, batches },
    };
    return { pod: { revision, ending, node }, report: { signals, atMs: 0 } } as unknown as HeardFrom;
  });
}

const typeOf = (node: string | undefined) => node?.split('-')[0] ?? '';
const curvesOf = (pods: HeardFrom[], sloMs: number) => credibleCurves(pods, sloMs, typeOf);
const first = (curves: ReturnType<typeof credibleCurves>, revision = 'r1') =>
  curves.get(revision)?.latencyMs[0]?.expected;

suite('the curve of a revision, out of what its pods learned', (test) => {
  test('is not that of a companion that was starved, and nothing at all where all were', () => {
    assert.is(curvesOf(heard({ ms: 900, lagMs: 400 }, { ms: 800, lagMs: 60 }), 500).size, 0);
    assert.is(first(curvesOf(heard({ ms: 900, lagMs: 400 }, { ms: 50, lagMs: 20 }), 500)), 50);
    // With a promise of ten seconds a tenth of a second is nothing.
    assert.is(first(curvesOf(heard({ ms: 900, lagMs: 100 }), 10_000)), 900);
  });

  test('is not that of one slow pod, nor what a new one assumes, nor that of one that leaves', () => {
    assert.is(first(curvesOf(heard({ ms: 50 }, { ms: 900 }, { ms: 55 }), 500)), 55);
    assert.is(first(curvesOf(heard({ ms: 900 }, { ms: 50 }), 500)), 50);
    assert.is(first(curvesOf(heard({ ms: 50 }, { ms: 10, requests: 3 }), 500)), 50);
    assert.is(first(curvesOf(heard({ ms: 50, ending: true }, { ms: 60 }), 500)), 60);
  });

  test('is not what fresh companions assume where one has measured, and replaces nothing that was measured', () => {
    const fresh = { ms: 2, requests: 900, batches: 19 };
    assert.is(first(curvesOf(heard(fresh, fresh, { ms: 50, batches: 20 }), 500)), 50);
    const assumed = curvesOf(heard(fresh), 500);
    assert.is(assumed.get('r1')?.trusted, false);
    const memory = new ServiceMemory(0);
    const known = () => memory.curves.get('r1')?.[0]?.expected;
    memory.noteCurve('r1', assumed.get('r1') as CredibleCurve);
    assert.is(known(), 2, 'better than nothing');
    memory.noteCurve('r1', curvesOf(heard({ ms: 50 }), 500).get('r1') as CredibleCurve);
    memory.noteCurve('r1', assumed.get('r1') as CredibleCurve);
    assert.is(known(), 50);
  });

  test('one slow node of another type may only be crowded, two of them are slower', () => {
    const fast = [1, 2, 3, 4, 5].map((i) => ({ ms: 50, node: `large-${i}` }));
    const slow = (node: string) => ({ ms: 120, node });
    assert.is(first(curvesOf(heard(...fast, slow('small-1')), 500)), 50);
    assert.is(first(curvesOf(heard(...fast, slow('small-1'), slow('small-1')), 500)), 50, 'two pods of one node');
    assert.is(first(curvesOf(heard(...fast, slow('small-1'), slow('small-2')), 500)), 120);
    // Among nodes of one type the odd ones out stay what they are: crowded.
    assert.is(first(curvesOf(heard(...fast, slow('large-6'), slow('large-7')), 500)), 50);
    const young = { ...slow('small-2'), requests: 3 };
    assert.is(first(curvesOf(heard(...fast, slow('small-1'), young), 500)), 50);
  });

  test('is one for each revision, sizes in order', () => {
    const curves = curvesOf(heard({ ms: 50 }, { ms: 150, revision: 'r2' }), 500);
    assert.is(first(curves), 50);
    assert.is(first(curves, 'r2'), 150);
    assert.equal(
      curves.get('r2')?.latencyMs.map(({ items }) => items),
      [1, 16],
    );
  });
});
