import * as assert from 'uvu/assert';
import { KpaDecider, kpaDefaults } from '../../src/simulator/kpa.ts';
import { suite } from '../support/suite.ts';

/** Records so much concurrency each second up to second `to`, exclusive. */
function hold(decider: KpaDecider, concurrency: number, from: number, to: number): void {
  for (let second = from; second < to; second++) decider.record(1000 * second, concurrency);
}

suite("Knative's autoscaler on what replicas hold", (test) => {
  test('nothing recorded, or nothing for a whole window, asks for the least', () => {
    const decider = new KpaDecider({ ...kpaDefaults, minScale: 0 }, 1);
    assert.is(decider.decide(1000, 1), 0);
    hold(decider, 50, 2, 10);
    assert.is(decider.decide(80_000, 1), 0);
  });

  test('ceil(mean / (target x utilization)): 100 x 0.7 by default', () => {
    const decider = new KpaDecider(kpaDefaults, 1);
    hold(decider, 70, 0, 60);
    assert.is(decider.decide(59_000, 1), 1);
    const more = new KpaDecider(kpaDefaults, 3);
    hold(more, 141, 0, 60);
    assert.is(more.decide(59_000, 3), 3);
  });

  test('waiting that is intended counts: a batcher that holds 200 a second for 1 s asks for three', () => {
    const decider = new KpaDecider(kpaDefaults, 2);
    hold(decider, 200, 0, 60);
    assert.is(decider.decide(59_000, 2), 3);
  });

  test('panic at twice what is ready, and not down until a stable window has passed without it', () => {
    const decider = new KpaDecider({ ...kpaDefaults, target: 1 }, 1);
    hold(decider, 1, 0, 60);
    hold(decider, 10, 60, 66);
    const high = decider.decide(65_000, 1);
    assert.is(high, Math.ceil(10 / 0.7));
    hold(decider, 0.5, 66, 140);
    assert.is(decider.decide(100_000, 15), high);
    assert.is(decider.decide(124_000, 15), high);
    // Out of panic, and at most by half at a time.
    assert.is(decider.decide(139_000, 15), 7);
  });

  test('bounds count at once, also between two ticks', () => {
    const decider = new KpaDecider(kpaDefaults, 1);
    hold(decider, 10, 0, 60);
    assert.is(decider.decide(59_000, 1), 1);
    decider.settings = { ...kpaDefaults, minScale: 4, maxScale: 6 };
    assert.is(decider.bounded(), 4);
    hold(decider, 5000, 60, 120);
    assert.is(decider.decide(119_000, 4), 6);
  });
});
