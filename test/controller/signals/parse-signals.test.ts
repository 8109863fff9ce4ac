import * as assert from 'uvu/assert';
import { parseSignals, SignalError } from '../../../src/controller/signals/parse-signals.ts';
import { signalsText } from '../../support/signals-text.ts';
import { suite } from '../../support/suite.ts';

suite('signals of a companion', (test) => {
  const wrong: [string, string][] = [
    ['no JSON', 'nonsense'],
    ['no object', '[]'],
    ['null', 'null'],
    ['another version', signalsText({ schemaVersion: 1 })],
    ['a rate below zero', signalsText({ arrivalRate: -1 })],
    ['a rate beyond reason', signalsText({ arrivalRate: 1e12 })],
    ['a rate that is text', signalsText({ arrivalRate: '5' })],
    ['no rate', signalsText({ arrivalRate: undefined })],
    ['an infinite rate', signalsText().replace('"arrivalRate":5', '"arrivalRate":1e999')],
    ['a share above 1', signalsText({ attainment: { share: 1.5, requests: 1 } })],
    ['too many seconds', signalsText({ arrivals: Array(61).fill(1) })],
    ['a second that is no number', signalsText({ arrivals: [1, null] })],
    ['too many lanes', signalsText({ lanes: Array(257).fill({ requests: 1, latencyMs: [] }) })],
    ['a mode that there is not', signalsText({ mode: 'destroy' })],
    ['a long name', signalsText({ isvc: 'x'.repeat(600) })],
    [
      'a latency beyond an hour',
      signalsText({ lanes: [{ requests: 1, latencyMs: [{ items: 1, expected: 1e9, quantile: 1 }] }] }),
    ],
    [
      'a batch of no items',
      signalsText({ lanes: [{ requests: 1, latencyMs: [{ items: 0, expected: 1, quantile: 1 }] }] }),
    ],
    ['a sequence that is none', signalsText({ policySequence: [1] })],
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
    const signals = parseSignals(signalsText({ news: 1 }));
    assert.is(signals.arrivalRate, 5);
    assert.equal(signals.policySequence, [3, 7]);
    assert.is(signals.upstreamWaiting, undefined);
    assert.is(signals.capacity, 80);
  });

  test('one curve for all lanes, weighted by their requests', () => {
    // (10 x 10 + 30 x 20) / 40
    assert.equal(parseSignals(signalsText()).latencyMs, [
      { items: 1, expected: 17.5, quantile: 35 },
      { items: 4, expected: 70, quantile: 140 },
    ]);
  });

  test('a size without a time is one that has not been learned', () => {
    const lanes = [{ requests: 1, latencyMs: [{ items: 1, expected: null, quantile: null }] }];
    assert.equal(parseSignals(signalsText({ lanes })).latencyMs, []);
  });
});
