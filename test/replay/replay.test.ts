import * as assert from 'uvu/assert';
import { BodyTemplate } from '../../src/replay/body-template.ts';
import { laneHeader, type ReplayPlan, replay } from '../../src/replay/replay.ts';
import { summaryOf } from '../../src/replay/summary.ts';
import { Recording } from '../../src/telemetry/recording.ts';
import { ModelServer } from '../support/model-server.ts';
import { recordingOf } from '../support/recordings.ts';
import { suite } from '../support/suite.ts';

async function replayed(bytes: Buffer, plan: Partial<ReplayPlan>, prepare: (model: ModelServer) => void = () => {}) {
  const model = new ModelServer();
  const target = new URL(`http://127.0.0.1:${await model.start()}/v1/models/m:predict`);
  prepare(model);
  const template = new BodyTemplate('{"instances":[7]}');
  try {
    const all = { target, template, speed: 1, timeoutMs: 30_000, all: false, ...plan };
    return { result: await replay(new Recording(bytes), all), model };
  } finally {
    await model.stop();
  }
}

suite('replay', (test) => {
  test('what is answered with an error, or not at all, is not good, and is counted', async () => {
    const { result } = await replayed(
      recordingOf([{ atMs: 0 }, { atMs: 1 }, { atMs: 2 }]),
      { sloMs: 60_000, timeoutMs: 60_000 },
      (model) => {
        model.behave = (_call, number) => (number === 0 ? 503 : number === 1 ? 'reset' : 'ok');
      },
    );
    assert.equal(result.statuses, { 200: 1, 503: 1, reset: 1 });
    assert.is(result.goodput, 1 / 3);
    const hung = await replayed(recordingOf([{}]), { timeoutMs: 50 }, (model) => {
      model.behave = () => 'hang';
    });
    assert.equal(hung.result.statuses, { timeout: 1 });
    assert.equal([hung.result.goodput, hung.result.p50Ms], [0, null]);
  });

  test('requests have the recorded sizes, items, lanes and objectives, and what passed through is left out', async () => {
    const bytes = recordingOf([
      { atMs: 30, items: 3, requestBytes: 300, lane: 0xabc },
      { atMs: 10, items: 1, requestBytes: 0, lane: 2, objectiveMs: 50 },
      { atMs: 20, protocol: 'passed', outcome: 'passed' },
    ]);
    const { model, result } = await replayed(bytes, {});
    assert.is(result.sent, 2);
    const [large, small] = [...model.calls].sort((one, other) => other.items.length - one.items.length);
    assert.equal([large?.items.length, large?.body.length, large?.headers[laneHeader]], [3, 300, '00000abc']);
    assert.equal([small?.items.length, small?.headers['paceline-timeout-ms']], [1, '50']);
    assert.is(large?.headers['paceline-timeout-ms'], undefined, 'the SLO is the target’s own');
    assert.is((await replayed(bytes, { all: true })).result.sent, 3);
  });

  test('an objective of the replay is asked for by every request, in the place of what was recorded', async () => {
    const bytes = recordingOf([{ objectiveMs: 50 }, { objectiveMs: 200 }]);
    for (const [sloMs, asked] of [
      [60_000, '60000'],
      [7_200_000, '3600000'],
    ] as const) {
      const { model, result } = await replayed(bytes, { sloMs });
      assert.equal(
        model.calls.map(({ headers }) => headers['paceline-timeout-ms']),
        [asked, asked],
      );
      assert.is(result.goodput, 1);
    }
  });

  test('requests are sent at their times, in their order, faster by the speed', async () => {
    const gaps = [0, 100, 250, 300];
    const sentAt: number[] = [];
    const from = performance.now();
    const { result } = await replayed(
      recordingOf(gaps.map((atMs, lane) => ({ atMs, lane }))),
      { speed: 2 },
      (model) => {
        model.behave = () => {
          sentAt.push(performance.now() - from);
          return 'ok';
        };
      },
    );
    for (const [i, gap] of gaps.entries()) assert.ok((sentAt[i] as number) >= gap / 2, `${i}: none before its time`);
    assert.ok(result.seconds >= 0.149);
    assert.is(result.sent, 4);
  });

  test('progress ends with all of it, and an empty recording is no error', async () => {
    const shares: number[] = [];
    const { result } = await replayed(recordingOf([]), { progress: (share) => shares.push(share) });
    assert.equal([result.sent, result.goodput, shares], [0, null, [1]]);
  });

  test('a summary says what a recording holds', () => {
    const recording = new Recording(
      recordingOf([
        { atMs: 0, totalMs: 10, items: 2 },
        { atMs: 1000, totalMs: 30, outcome: 'late', lane: 2 },
        { atMs: 1500, outcome: 'refused', status: 503 },
        { atMs: 2000, outcome: 'left' },
        { atMs: 2000, outcome: 'passed', protocol: 'passed', requestBytes: 600 },
      ]),
    );
    assert.equal(summaryOf(recording), {
      ...{ requests: 5, batchable: 4, startedAt: '2026-01-01T00:00:00.000Z', seconds: 2, perSecond: 2 },
      ...{ peakPerSecond: 2, lanes: 2, items: 5, meanRequestBytes: 200, sloMs: 200, skippedBytes: 0 },
      ...{ outcomes: { 'in-time': 1, late: 1, refused: 1, left: 1, passed: 1 }, goodput: 1 / 3, p50Ms: 10, p99Ms: 30 },
    });
    assert.is(summaryOf(new Recording(recordingOf([]))).goodput, null);
  });
});
