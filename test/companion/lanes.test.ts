import * as assert from 'uvu/assert';
import { type Answer, type Rig, withRig } from '../support/companion.ts';
import { readMetricsPage } from '../support/metrics-page.ts';
import { suite } from '../support/suite.ts';

const lanesMax = 256;

suite('companion: lanes', (test) => {
  test('beyond 256 lanes requests are served one by one, each its own answer', () =>
    withRig({}, async (rig) => {
      await openAllLanes(rig);
      assert.is(await metric(rig, 'paceline_lanes'), lanesMax);
      assert.is(await withoutLane(rig), 0);
      rig.model.calls.length = 0;
      // Alike, so that they would share a batch if they had a lane.
      const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => predictAs(rig, 'one-too-many', i)));
      for (const [i, answer] of answers.entries()) expectEcho(answer, i);
      assert.is(rig.model.calls.length, 40);
      assert.ok(rig.model.calls.every((call) => call.items.length === 1 && call.headers['x-user'] === 'one-too-many'));
      assert.is(await withoutLane(rig), 40);
      assert.is(await metric(rig, 'paceline_lanes'), lanesMax);
      expectEcho(await predictAs(rig, 'user-0', 7), 7);
      assert.is(await withoutLane(rig), 40, 'lanes that were open still are');
    }));

  test('a lane that was idle for a minute gives its row up, and comes back like a new one', () =>
    withRig({}, (rig) =>
      withMovableClock(async (move) => {
        await openAllLanes(rig);
        move(30_000);
        expectEcho(await predictAs(rig, 'user-5', 5), 5);
        move(31_000);
        // One lane was used half a minute ago, 255 more than a minute ago: so many rows are to be had.
        for (let i = 0; i < lanesMax - 1; i++) expectEcho(await predictAs(rig, `next-${i}`, i), i);
        assert.is(await withoutLane(rig), 0);
        expectEcho(await predictAs(rig, 'user-5', 6), 6);
        assert.is(await withoutLane(rig), 0, 'the lane in use was spared');
        expectEcho(await predictAs(rig, 'user-6', 6), 6);
        assert.is(await withoutLane(rig), 1, 'the others were not');
        assert.is(await metric(rig, 'paceline_lanes'), lanesMax);
        move(61_000);
        expectEcho(await predictAs(rig, 'user-6', 7), 7);
        assert.is(await withoutLane(rig), 1);
      }),
    ));

  test('a lane with a request at the model keeps its row, however long that takes', () =>
    withRig({ 'late-timeout': '10m' }, (rig) =>
      withMovableClock(async (move) => {
        await openAllLanes(rig);
        const release = rig.model.hold();
        const held = predictAs(rig, 'user-9', 'held');
        while (rig.model.heldItems < 1) await new Promise((resolve) => setTimeout(resolve, 2));
        move(120_000);
        const others = Array.from({ length: lanesMax }, (_, i) => predictAs(rig, `next-${i}`, i));
        while ((await withoutLane(rig)) < 1) await new Promise((resolve) => setTimeout(resolve, 5));
        release();
        expectEcho(await held, 'held');
        for (const [i, answer] of (await Promise.all(others)).entries()) expectEcho(answer, i);
        assert.is(await withoutLane(rig), 1, '255 rows for 256 new lanes');
        assert.ok(rig.model.calls.every((call) => new Set(call.items).size === call.items.length));
      }),
    ));
});

/** Fills every row. One after the other: callers at once could not tell who came first. */
async function openAllLanes(rig: Rig): Promise<void> {
  for (let i = 0; i < lanesMax; i++) expectEcho(await predictAs(rig, `user-${i}`, i), i);
}

/** Requests of different users never share a batch, so each user opens a lane. */
function predictAs(rig: Rig, user: string, value: unknown): Promise<Answer> {
  return rig.predict(value, { 'x-user': user });
}

function expectEcho(answer: Answer, value: unknown): void {
  assert.is(answer.status, 200, answer.text);
  assert.equal(answer.json, { predictions: [{ echo: value }] });
}

function withoutLane(rig: Rig): Promise<number> {
  return metric(rig, 'paceline_pass_through_total', '{why="no-lane"}');
}

async function metric(rig: Rig, name: string, labels = ''): Promise<number> {
  const page = readMetricsPage((await rig.admin('/metrics')).text, false);
  return page.get(name)?.samples.get(name + labels) ?? 0;
}

/** Lets a body move the clock that the companion and its kernel read, so that nobody waits for a minute. */
async function withMovableClock(body: (move: (ms: number) => void) => Promise<void>): Promise<void> {
  const real = performance.now;
  let ahead = 0;
  performance.now = () => real.call(performance) + ahead;
  try {
    await body((ms) => {
      ahead += ms;
    });
  } finally {
    performance.now = real;
  }
}
