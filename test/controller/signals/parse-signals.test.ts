import * as assert from 'uvu/assert';
import { parseSignals, SignalError } from '../../../src/controller/signals/parse-signals.ts';
import { suite } from '../../support/suite.ts';

function truth(change: object = {}): string {
  const lane = (requests: number, scale: number) => ({
    target: '/v1/models/m:predict',
    requests,
    capacity: 80,
    knee: 32,
    latencyMs: [1, 4].map((items) => ({ items, expected: items * scale, quantile: items * scale * 2 })),
  });
  return JSON.stringify({
    schemaVersion: 2,
    isvc: 'a/m',
    isvcUid: 'u',
    revision: 'm-1',
    uptimeMs: 1,
    mode: 'act',
    policySequence: [3, 7],
    attainment: { share: 0.99, requests: 10 },
    arrivalRate: 5,
    arrivals: [1, 2, 3],
    busyShare: 0.5,
    waiting: 1,
    lateWaiting: 0,
    upstreamWaiting: null,
    inFlight: 1,
    inFlightLimit: 2,
    draining: false,
    lanes: [lane(9, 10), lane(29, 20)],
    lanesTotal: 2,
    mostSplittingHeader: null,
    ...change,
  });
}

suite('signals of a companion', (test) => {
  const wrong: [string, string][] = [
    ['no JSON', 'nonsense'],
    ['no object', '[]'],
    ['null', 'null'],
    ['another version', truth({ schemaVersion: 1 })],
    ['a rate below zero', truth({ arrivalRate: -1 })],
    ['a rate beyond reason', truth({ arrivalRate: 1e12 })],
    ['a rate that is text', truth({ arrivalRate: '5' })],
    ['no rate', truth({ arrivalRate: undefined })],
    ['an infinite rate', truth().replace('"arrivalRate":5', '"arrivalRate":1e999')],
    ['a share above 1', truth({ attainment: { share: 1.5, requests: 1 } })],
    ['too many seconds', truth({ arrivals: Array(61).fill(1) })],
    ['a second that is no number', truth({ arrivals: [1, null] })],
    ['too many lanes', truth({ lanes: Array(257).fill({ requests: 1, latencyMs: [] }) })],
    ['a mode that there is not', truth({ mode: 'destroy' })],
    ['a long name', truth({ isvc: 'x'.repeat(600) })],
    [
      'a latency beyond an hour',
      truth({ lanes: [{ requests: 1, latencyMs: [{ items: 1, expected: 1e9, quantile: 1 }] }] }),
    ],
    ['a batch of no items', truth({ lanes: [{ requests: 1, latencyMs: [{ items: 0, expected: 1, quantile: 1 }] }] })],
    ['a sequence that is none', truth({ policySequence: [1] })],
  ];
  for (const [what, body] of wrong) {
    test(`refuses ${what}`, () => {
      assert.throws(
        () => parseSignals(body),
        (error: unknown) => error instanceof SignalError,
      );
    });
  }

  test('reads what a companion says; unknown fields are passed over', () => {
    const signals = parseSignals(truth({ news: 1 }));
    assert.is(signals.arrivalRate, 5);
    assert.equal(signals.policySequence, [3, 7]);
    assert.is(signals.upstreamWaiting, undefined);
    assert.is(signals.capacity, 80);
  });

  test('one curve for all lanes, weighted by their requests', () => {
    // (10 x 10 + 30 x 20) / 40
    assert.equal(parseSignals(truth()).latencyMs, [
      { items: 1, expected: 17.5, quantile: 35 },
      { items: 4, expected: 70, quantile: 140 },
    ]);
  });

  test('a size without a time is one that has not been learned', () => {
    const lanes = [{ requests: 1, latencyMs: [{ items: 1, expected: null, quantile: null }] }];
    assert.equal(parseSignals(truth({ lanes })).latencyMs, []);
  });
});
