import * as assert from 'uvu/assert';
import type { Exchange } from '../../src/companion/batching/exchange.ts';
import type { BatchingDomain, VerdictSink } from '../../src/kernels/batching.ts';
import { createBatchingDomain } from '../../src/kernels/batching-domain.ts';
import { Outcome, Reason } from '../../src/kernels/reasons.ts';
import { domainWith, patientSettings, SchedulerRig, trap, turns, withClock } from '../support/scripted-scheduler.ts';
import { suite } from '../support/suite.ts';

const settings = patientSettings;
const healthy = (now: number): BatchingDomain => createBatchingDomain(settings, now);
const trapping = (now: number): BatchingDomain => domainWith(settings, now, () => ({ step: trap }));

suite('scheduler: more events than the kernel takes at once', (test) => {
  test('as the first thing that happens', () =>
    withRig(healthy, async (rig) => {
      rig.submit(3000);
      await turns();
      assert.equal(rig.traps, []);
      await answerAll(rig);
      assert.equal(rig.sentNumbers, upTo(3000), 'all, in the order of their arrival');
    }));

  test('after a trap with as many waiting: one trap is one', () =>
    withRig(
      (now, made) => {
        let steps = 0;
        return made > 0
          ? healthy(now)
          : domainWith(settings, now, (real) => ({
              step: (at, sink) => (++steps < 6 ? real.step(at, sink) : trap()),
            }));
      },
      async (rig) => {
        rig.submit(3000);
        await turns();
        rig.scheduler.drain();
        while (rig.traps.length === 0) {
          rig.scheduler.noteReplyPath(1);
          await turns(1);
        }
        await turns();
        assert.equal(rig.traps, [false]);
        assert.ok(rig.scheduler.deciding);
        assert.is(rig.sentNumbers.length + rig.scheduler.waiting, 3000);
        await answerAll(rig);
        assert.equal(
          rig.sentNumbers.sort((one, other) => one - other),
          upTo(3000),
        );
      },
    ));
});

suite('scheduler: passing', (test) => {
  test('three traps: one by one, within the limit; callers who leave are not sent', () =>
    withRig(trapping, async (rig) => {
      const all = rig.submit(10);
      await turns(20);
      assert.equal(rig.traps, [false, false, true]);
      assert.equal(rig.sentNumbers, [0, 1]);
      assert.is(rig.scheduler.waiting, 8);
      rig.scheduler.leave(all[2] as Exchange);
      rig.sent[0]?.finished(Outcome.Answered);
      assert.equal(rig.sentNumbers, [0, 1, 3]);
      assert.is(rig.scheduler.waiting, 6);
    }));

  test('holds to hard deadlines while no room comes free', () =>
    withRig(trapping, async (rig) => {
      rig.submit(2);
      await turns(20);
      const [patient] = rig.submit(1);
      const expired = new Promise<void>((resolve) => {
        rig.onRefuse = () => {
          if (rig.refused.size === 2) resolve();
        };
      });
      const hasty = [...rig.submit(1, 30), ...rig.submit(1, 15)];
      assert.is(rig.scheduler.waiting, 3);
      await expired;
      for (const exchange of hasty) {
        assert.is(rig.refused.get(exchange), Reason.Expired);
        assert.ok(performance.now() >= exchange.hardDeadline);
      }
      assert.not.ok(rig.refused.has(patient as Exchange));
      assert.is(rig.scheduler.waiting, 1);
      assert.is(rig.sent.length, 2);
    }));

  test('decides again after a minute with all that waits, also under load and while it drains', () =>
    withClock((forward) => {
      let drains = 0;
      return withRig(
        (now, made) =>
          made < 3
            ? trapping(now)
            : domainWith(settings, now, (real) => ({
                drain: (at) => {
                  drains++;
                  real.drain(at);
                },
              })),
        async (rig) => {
          rig.submit(100);
          await turns(20);
          assert.not.ok(rig.scheduler.deciding);
          rig.scheduler.drain();
          forward(59_000);
          rig.sent[0]?.finished(Outcome.Answered);
          assert.not.ok(rig.scheduler.deciding);
          forward(1500);
          rig.sent[1]?.finished(Outcome.Answered);
          assert.ok(rig.scheduler.deciding);
          assert.is(drains, 1);
          assert.is(rig.scheduler.waiting, 97);
          await turns();
          await answerAll(rig, 2, () => forward(10));
          assert.equal(rig.sentNumbers, upTo(100));
          assert.ok(
            rig.sent.some((each) => each.exchanges.length > 8),
            'batches again',
          );
          assert.is(rig.traps.length, 3);
        },
      );
    }));

  test('a new request after the minute is decided on behind those that wait', () =>
    withClock((forward) =>
      withRig(
        (now, made) => (made < 3 ? trapping(now) : healthy(now)),
        async (rig) => {
          rig.submit(20);
          await turns(20);
          forward(60_500);
          rig.submit(1);
          assert.ok(rig.scheduler.deciding);
          await turns();
          await answerAll(rig);
          assert.equal(rig.sentNumbers, upTo(21));
        },
      ),
    ));

  test('a kernel that still traps after the minute loses nothing', () =>
    withClock((forward) =>
      withRig(trapping, async (rig) => {
        rig.submit(20);
        await turns(20);
        forward(60_500);
        rig.submit(1);
        await turns(20);
        assert.equal(rig.traps, [false, false, true, false, false, true]);
        await answerAll(rig);
        assert.equal(rig.sentNumbers, upTo(21));
      }),
    ));

  test('writes the refusals that the trapping kernel had still decided on', () =>
    withRig(
      (now) => {
        let sink: VerdictSink | undefined;
        let arrived = 0;
        return domainWith(settings, now, () => ({
          listen: (to) => {
            sink = to;
          },
          // As when the table of events is full: a step within an event, of which one verdict is still heard.
          arrive: (_at, { ticket }) => {
            if (++arrived < 3) return;
            sink?.rejected(ticket - 1, Reason.QueueFull);
            trap();
          },
          step: () => Number.POSITIVE_INFINITY,
        }));
      },
      async (rig) => {
        rig.submit(7);
        await turns(20);
        assert.is(rig.traps.length, 3);
        assert.not.ok(rig.scheduler.deciding);
        assert.ok(rig.refused.size >= 3, `${rig.refused.size} refused`);
        await answerAll(rig);
        assert.is(rig.refused.size + rig.sentNumbers.length, 7);
      },
    ));
});

suite('scheduler: batches of a kernel that trapped', (test) => {
  test('that were decided on but not yet sent go out in their own lane and tell the new kernel nothing', () => {
    let made = 0;
    const completed: number[] = [];
    return withRig(
      (now) => {
        const generation = made++;
        const tickets: number[] = [];
        let steps = 0;
        return domainWith(settings, now, () => ({
          arrive: (_at, { ticket }) => {
            tickets.push(ticket);
          },
          complete: () => {
            completed.push(generation);
          },
          step: (_at, sink) => {
            if (generation > 0) return Number.POSITIVE_INFINITY;
            if (++steps > 1) trap();
            for (const [slot, ticket] of tickets.entries()) sink.admitted(ticket, slot);
            for (const slot of [0, 1]) sink.dispatch(slot, 0, new Uint32Array([slot]), Reason.SlotFree, 1);
            return Number.POSITIVE_INFINITY;
          },
        }));
      },
      async (rig) => {
        // The first batch ends while it is being sent, and the step for its end traps: the second is still to be sent.
        rig.onSend = (dispatched) => {
          if (rig.sent.length === 1) dispatched.finished(Outcome.Answered);
        };
        rig.submit(2);
        await turns();
        assert.equal(rig.traps, [false]);
        assert.is(rig.sent.length, 2);
        assert.is(rig.sent[1]?.lane?.key, 'a\u0001\u0001');
        rig.sent[1]?.finished(Outcome.Answered);
        await turns();
        assert.equal(completed, [0], 'the new kernel knows nothing of the second');
        assert.is(rig.scheduler.inFlight, 0);
      },
    );
  });
});

suite('scheduler: signals', (test) => {
  test('are those of the time of asking', () =>
    withClock((forward) =>
      withRig(healthy, async (rig) => {
        rig.submit(1);
        await turns();
        forward(20_000);
        assert.ok(rig.scheduler.signals.busyShare() > 0.8, 'with a batch in flight all the while');
        rig.sent[0]?.finished(Outcome.Answered);
        await turns();
        forward(300_000);
        assert.ok(rig.scheduler.signals.busyShare() < 1e-9, 'after five idle minutes');
        assert.ok(rig.scheduler.signals.arrivalRate() < 1e-9);
      }),
    ));
});

async function withRig(
  create: (now: number, made: number) => BatchingDomain,
  run: (rig: SchedulerRig) => Promise<void>,
): Promise<void> {
  const rig = new SchedulerRig(settings, create);
  try {
    await run(rig);
  } finally {
    rig.scheduler.stop();
  }
}

/** Answers what was sent, from the given one on, until nothing more is sent; `work` is what the model does for each. */
async function answerAll(rig: SchedulerRig, from = 0, work = () => {}): Promise<void> {
  for (let next = from; next < rig.sent.length; next++) {
    work();
    rig.sent[next]?.finished(Outcome.Answered);
    await turns(2);
  }
  assert.is(rig.scheduler.waiting, 0);
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
