import * as assert from 'uvu/assert';
import { Quarantine } from '../../src/companion/batching/quarantine.ts';
import { suite } from '../support/suite.ts';

const firstPauseMs = 10_000;
const pauseMaxMs = 600_000;

suite('quarantine', (test) => {
  test('requests share calls until it begins, and none does then', () => {
    const quarantine = new Quarantine();
    assert.is(quarantine.sharers(0), Number.POSITIVE_INFINITY);
    assert.ok(quarantine.begin('unsplittable', 0));
    assert.is(quarantine.sharers(firstPauseMs - 1), 1);
    assert.not(quarantine.begin('refused', 5), 'calls that were under way are no news');
    assert.is(quarantine.why, 'unsplittable');
    assert.is(quarantine.pauseLeft(5), firstPauseMs - 5);
  });

  test('after the pause twos try, and three good calls end it', () => {
    const quarantine = new Quarantine();
    quarantine.begin('unsplittable', 0);
    assert.not(quarantine.wentWell(5), 'a call from before');
    assert.is(quarantine.sharers(firstPauseMs), 2);
    assert.is(quarantine.state(firstPauseMs), 'trying');
    for (const last of [false, false, true]) assert.is(quarantine.wentWell(firstPauseMs), last);
    assert.is(quarantine.sharers(firstPauseMs), Number.POSITIVE_INFINITY);
  });

  test('each failed try doubles the pause, to ten minutes; a long time without any forgets it', () => {
    const quarantine = new Quarantine();
    let now = 0;
    let pause = firstPauseMs;
    for (let i = 0; i < 10; i++) {
      assert.ok(quarantine.begin('unsplittable', now));
      assert.is(quarantine.pauseLeft(now), pause);
      now += pause;
      pause = Math.min(pauseMaxMs, pause * 2);
    }
    assert.is(pause, pauseMaxMs);
    for (let i = 0; i < 3; i++) quarantine.wentWell(now);
    quarantine.begin('refused', now + 1000);
    assert.is(quarantine.pauseLeft(now + 1000), pauseMaxMs, 'soon after');
    now += 1000 + pauseMaxMs;
    for (let i = 0; i < 3; i++) quarantine.wentWell(now);
    quarantine.begin('refused', now + pauseMaxMs);
    assert.is(quarantine.pauseLeft(now + pauseMaxMs), firstPauseMs);
  });

  test('batches that fail while their requests succeed alone: the third in a row', () => {
    const quarantine = new Quarantine();
    assert.not(quarantine.failedTogether(0, true));
    assert.not(quarantine.failedTogether(1, true));
    quarantine.wentWell(2);
    assert.not(quarantine.failedTogether(3, true), 'one went well between');
    assert.not(quarantine.failedTogether(4, true));
    assert.ok(quarantine.failedTogether(5, true));
    assert.is(quarantine.why, 'fails-together');
    assert.not(quarantine.failedTogether(6, true), 'it is held already');
    assert.ok(quarantine.failedTogether(5 + firstPauseMs, true), 'the first try that fails is enough');
    assert.is(quarantine.pauseLeft(5 + firstPauseMs), 2 * firstPauseMs);
  });

  test('a model that fails for everybody is not one that fails batches', () => {
    const quarantine = new Quarantine();
    for (let now = 0; now < 100; now++) assert.not(quarantine.failedTogether(now, false));
    quarantine.wentWellAlone();
    assert.ok(quarantine.failedTogether(100, false), 'but once one succeeds alone it is');
  });
});
