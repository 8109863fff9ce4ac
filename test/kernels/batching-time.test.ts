import fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { Arrival, BatchingDomain, DomainSettings } from '../../src/kernels/batching.ts';
import { createBatchingDomain } from '../../src/kernels/batching-domain.ts';
import { Outcome, Reason, Setting } from '../../src/kernels/reasons.ts';
import { Collector } from '../support/collect.ts';
import { audit } from '../support/domain-auditor.ts';
import { histories } from '../support/domain-history.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { suite } from '../support/suite.ts';

// A sixteenth of the objective is a whole number of ms that divides every start below: the calendar of deadlines then
// has the same steps wherever the clock starts.
const settings: DomainSettings = {
  sloMs: 128,
  sloQuantile: 0.99,
  patience: 0,
  maxBatchItems: 8,
  deferLate: true,
  lateTimeoutMs: 640,
  maxWaiting: 24,
  maxLanes: 4,
  maxInFlight: 1,
};
const never = Number.POSITIVE_INFINITY;
const starts = [1e9, 2 ** 31, 2 ** 32];

for (const flavour of ['simd', 'scalar', 'debug'] as const) {
  const create = (start: number, more: Partial<DomainSettings> = {}) =>
    createBatchingDomain({ ...settings, ...more }, start, flavour);

  suite(`batching kernel: time and numbers (${flavour})`, (test) => {
    test('traps on numbers that are none, and on rows that do not exist', () => {
      for (const bad of [Number.NaN, never, -1]) {
        for (const [what, event] of Object.entries(timedEvents)) {
          const domain = create(0);
          domain.openLane(0);
          domain.arrive(0, arrival(0, 0));
          domain.step(0, new Collector());
          event(domain, bad);
          assert.throws(() => domain.step(0, new Collector()), isTrap, `${what} at ${bad}`);
        }
        assert.throws(() => create(0).openLane(bad), isTrap, `a lane opened at ${bad}`);
        assert.throws(() => create(0).step(bad, new Collector()), isTrap, `a step at ${bad}`);
        for (const event of [
          (domain: BatchingDomain) => domain.noteLateness(0, bad),
          (domain: BatchingDomain) => domain.noteReplyPath(0, bad),
          ...[Setting.SloMs, Setting.SloQuantile, Setting.MaxBatchItems, Setting.DeferLate, Setting.LateTimeoutMs].map(
            (setting) => (domain: BatchingDomain) => domain.set(0, setting, bad),
          ),
        ]) {
          const domain = create(0);
          event(domain);
          assert.throws(() => domain.step(0, new Collector()), isTrap, `${event} ${bad}`);
        }
      }
      const domain = create(0);
      domain.limitLane(0, 99, 1);
      assert.throws(() => domain.step(0, new Collector()), isTrap);
      for (const read of ['laneCapacity', 'laneKnee'] as const)
        assert.throws(() => create(0).signals[read](99), isTrap);
      assert.throws(() => create(0).signals.expectedMs(99, 1), isTrap);
    });

    test('says the same wherever the clock starts', () => {
      fc.assert(
        fc.property(histories(false), (history) => {
          const whole = {
            ...history,
            steps: history.steps.map((step) => ({ ...step, afterMs: Math.round(step.afterMs) })),
          };
          for (const step of whole.steps) for (const each of step.arrivals) each.soft = Math.round(each.soft);
          const [first, ...others] = [8000, ...starts].map((start) =>
            audit(create(start), settings, whole, start).map((line) => relative(line, start)),
          );
          for (const other of others) assert.equal(other, first);
        }),
        propertyRuns(60, 4000),
      );
    });

    test('takes a clock that runs backwards for one that stands still', () => {
      const log = (back: number) => {
        const domain = create(1000);
        const heard = new Collector();
        const lane = domain.openLane(1000);
        let ticket = 0;
        for (const now of [1000, 1010, 1010 - back, 1040, 1040 - back, 1080, 1300]) {
          if (heard.batches.length > 0 && domain.signals.inFlight() > 0) domain.complete(now, 0, Outcome.Answered);
          domain.arrive(now, arrival(ticket++, lane, { softDeadline: 1500, hardDeadline: 2000 }));
          domain.step(now, heard);
        }
        return heard.log;
      };
      assert.equal(log(7), log(0));
      assert.equal(log(900), log(0));
    });

    test('learns nothing from a batch across a jump of the clock, but learns a slow model', () => {
      const domain = create(0);
      const heard = new Collector();
      const lane = domain.openLane(0);
      let now = serve(domain, heard, lane, 0, 12, 20);
      const known = curve(domain, lane);
      for (let i = 0; i < 6; i++) {
        domain.arrive(now, arrival(100 + i, lane, { softDeadline: now + 1e5, hardDeadline: now + 1e5 }));
        domain.step(now, heard);
        now += 5001;
        domain.complete(now, 0, Outcome.Answered);
        domain.step(now, heard);
      }
      assert.equal(curve(domain, lane), known);

      const slow = create(0, { sloMs: 30_000, lateTimeoutMs: 60_000 });
      const row = slow.openLane(0);
      const ended = serve(slow, heard, row, 0, 12, 6500, 1000);
      assert.ok(ended >= 12 * 6500);
      assert.ok(Math.abs(slow.signals.expectedMs(row, 1) - 6500) < 100, `${slow.signals.expectedMs(row, 1)} ms`);
    });

    test('asks to be woken within a minute, and well within a jump while the model is busy', () => {
      const domain = create(2 ** 32);
      const lane = domain.openLane(2 ** 32);
      assert.is(domain.step(2 ** 32, new Collector()), 2 ** 32 + 60_000);
      domain.arrive(2 ** 32, arrival(0, lane, { softDeadline: 2 ** 32 + 90_000, hardDeadline: 2 ** 32 + 90_000 }));
      assert.is(domain.step(2 ** 32, new Collector()), 2 ** 32 + 2500);
    });

    test('says how busy and how sought the model is at the time of asking, and reading changes nothing', () => {
      const domain = create(0);
      const { signals } = domain;
      const heard = new Collector();
      const lane = domain.openLane(0);
      assert.is(signals.busyShare(100), 0);
      for (const read of ['busyShare', 'arrivalRate'] as const)
        for (const bad of [Number.NaN, never, -1]) assert.throws(() => create(0).signals[read](bad), isTrap);

      for (let ticket = 0; ticket < 9; ticket++) domain.arrive(0, arrival(ticket, lane));
      domain.step(0, heard);
      const rate = signals.arrivalRate(0);
      assert.ok(
        Math.abs(signals.busyShare(20_000) - (1 - Math.exp(-2))) < 1e-9,
        `${signals.busyShare(20_000)} in flight`,
      );
      assert.is(signals.busyShare(), 0, 'as of the last step');
      assert.ok(signals.arrivalRate(5000) < 0.7 * rate, 'a rate that is asked for later is a lower one');
      assert.is(signals.arrivalRate(), rate);

      // The next batch goes in the very step in which the last one ends: never idle.
      let now = 0;
      for (let next = 1000; next <= 60_000; next += 100) {
        now = next;
        domain.complete(now, heard.batches.at(-1)?.batch as number, Outcome.Answered);
        for (let i = 0; i < 9; i++) domain.arrive(now, arrival(now * 10 + i, lane));
        domain.step(now, heard);
        assert.is(signals.inFlight(), 1);
      }
      assert.ok(signals.busyShare() > 0.99, `${signals.busyShare()} busy all the time`);
      for (let i = 0; signals.inFlight() > 0; i++) {
        assert.ok(i < 20);
        domain.complete(now, heard.batches.at(-1)?.batch as number, Outcome.Answered);
        domain.step(now, heard);
      }
      assert.ok(signals.busyShare(now) > 0.99);
      assert.ok(signals.busyShare(now + 300_000) < 1e-9, 'after five idle minutes');
      assert.ok(signals.arrivalRate(now + 300_000) < 1e-9);
    });

    test('takes any number of items without counting over its edge', () => {
      const domain = create(0, { maxWaiting: 1000 });
      const lane = domain.openLane(0);
      const heard = new Collector();
      for (let ticket = 0; ticket < 1000; ticket++) domain.arrive(0, arrival(ticket, lane, { items: 0xffffffff }));
      domain.step(0, heard);
      assert.is(heard.batches.length, 1);
      assert.ok(domain.signals.arrivalRate() > 1e9 && domain.signals.arrivalRate() < 1e12);
      assert.is(domain.signals.waiting(), 999);
    });
  });

  suite(`batching kernel: what random histories found (${flavour})`, (test) => {
    test('answers at the hard deadline also behind more urgent work', () => {
      const domain = create(0);
      const heard = new Collector();
      const lane = domain.openLane(0);
      domain.arrive(0, arrival(0, lane));
      domain.step(0, heard);
      domain.arrive(1, arrival(1, lane, { band: 7, softDeadline: 40, hardDeadline: 50 }));
      for (let now = 2; now < 200; now += 10) {
        domain.arrive(now, arrival(100 + now, lane, { band: 0 }));
        domain.step(now, heard);
      }
      assert.is(heard.ended.get(1), `refused ${Reason.Expired}`);
    });

    test('wakes for the deadline of what it left waiting in the very step that made the model busy', () => {
      const domain = create(0, { sloMs: 100 });
      const lane = domain.openLane(0);
      const heard = new Collector();
      domain.limitLane(0, lane, 1);
      for (const ticket of [0, 1]) domain.arrive(0, arrival(ticket, lane));
      assert.is(domain.step(0, heard), 100.5);
    });

    test('never starts what expires at this very moment', () => {
      const domain = create(0);
      const lane = domain.openLane(0);
      const heard = new Collector();
      for (const ticket of [0, 1]) domain.arrive(0, arrival(ticket, lane, { softDeadline: 50, hardDeadline: 50 }));
      domain.limitLane(0, lane, 1);
      domain.step(0, heard);
      domain.complete(50, 0, Outcome.Answered);
      domain.step(50, heard);
      assert.is(heard.ended.get(1), `refused ${Reason.Expired}`);
    });

    test('holds to a lowered batch size while it closes in on the size that the model accepts', () => {
      const domain = create(0);
      const lane = domain.openLane(0);
      const heard = new Collector();
      domain.arrive(0, arrival(0, lane, { items: 8 }));
      domain.step(0, heard);
      domain.complete(1, 0, Outcome.TooLarge);
      domain.set(1, Setting.MaxBatchItems, 1);
      domain.step(1, heard);
      for (const ticket of [1, 2, 3]) domain.arrive(1000, arrival(ticket, lane));
      domain.step(1000, heard);
      assert.equal(heard.batches.at(-1)?.tickets, [1]);
    });

    test('takes a raised batch size up to what memory was made for, and keeps what it has learned', () => {
      assert.throws(() => create(0, { maxBatchItems: 8, maxBatchItemsEver: 7 }));
      assert.throws(() => create(0, { maxBatchItems: 8, maxBatchItemsEver: 1025 }));
      const bounded = create(0);
      bounded.set(0, Setting.MaxBatchItems, 9);
      assert.throws(() => bounded.step(0, new Collector()));
      const domain = create(0, { maxBatchItemsEver: 32, sloMs: 10_000, lateTimeoutMs: 50_000, maxWaiting: 64 });
      const lane = domain.openLane(0);
      const heard = new Collector();
      let now = 0;
      const send = (count: number, ms: number) => {
        for (let i = 0; i < count; i++) domain.arrive(now, arrival(now * 100 + i, lane));
        domain.step(now, heard);
        for (; domain.signals.inFlight() > 0; domain.step(now, heard)) {
          now += ms;
          domain.complete(now, heard.batches.at(-1)?.batch as number, Outcome.Answered);
        }
      };
      for (let i = 0; i < 12; i++) send(8, 28);
      assert.is(heard.batches.at(-1)?.tickets.length, 8);
      const known = domain.signals.expectedMs(lane, 8);
      assert.is(domain.signals.expectedMs(lane, 16), known, 'nothing is said of more than a batch may hold');
      domain.set(now, Setting.MaxBatchItems, 32);
      domain.step(now, heard);
      assert.is(domain.signals.expectedMs(lane, 8), known);
      assert.ok(domain.signals.expectedMs(lane, 16) > known, 'the curve goes on');
      for (let i = 0; i < 8; i++) send(40, 50);
      const sizes = heard.batches.slice(-8).map(({ tickets }) => tickets.length);
      assert.ok(Math.max(...sizes) === 32, `batches of ${sizes}`);
      domain.set(now, Setting.MaxBatchItems, 4);
      for (let i = 0; i < 8; i++) domain.arrive(now, arrival(1_000_000 + i, lane));
      domain.step(now, heard);
      assert.is(heard.batches.at(-1)?.tickets.length, 4);
    });

    test('serves callers without a tenant and those of one in turns', () => {
      const domain = create(0, { maxWaiting: 64 });
      const lane = domain.openLane(0);
      const heard = new Collector();
      domain.limitLane(0, lane, 1);
      domain.arrive(0, arrival(1000, lane));
      domain.step(0, heard);
      for (let ticket = 0; ticket < 20; ticket++)
        domain.arrive(
          1,
          arrival(ticket, lane, { tenant: ticket < 10 ? 0 : 5, softDeadline: 5000, hardDeadline: 5000 }),
        );
      for (let now = 10; now < 300; now += 10) {
        if (domain.signals.inFlight() > 0) domain.complete(now, 0, Outcome.Answered);
        domain.step(now, heard);
      }
      const order = heard.batches.slice(1).flatMap((batch) => batch.tickets);
      const named = order.slice(0, 10).filter((ticket) => ticket >= 10).length;
      assert.ok(named >= 4 && named <= 6, `${named} of the first ten are the tenant's`);
    });

    test('does not wait beyond a deadline that stands in another flow', () => {
      const domain = create(0);
      const heard = new Collector();
      const lane = domain.openLane(0);
      const now = serve(domain, heard, lane, serve(domain, heard, lane, 0, 12, 20), 12, 21, 21, 4);
      domain.set(now, Setting.Patience, 1);
      domain.arrive(now, arrival(100, lane, { band: 0, softDeadline: now + 5000, hardDeadline: now + 9000 }));
      domain.arrive(now, arrival(101, lane, { band: 4, softDeadline: now + 100, hardDeadline: now + 9000 }));
      let wake = domain.step(now, heard);
      assert.ok(!heard.ended.has(101) && wake > now, 'waits for company');
      // The fewer requests are still expected the longer it may wait, up to what the two need.
      for (let i = 0, at = wake; i < 20 && !heard.ended.has(101); i++, at = wake) {
        assert.ok(at < now + 80, `waits ${at - now} ms`);
        wake = domain.step(at, heard);
      }
      assert.is(heard.ended.get(101), 'sent 0');
    });

    test('gives up the oldest late work beyond its share in slices', () => {
      const domain = create(0, { maxWaiting: 2000 });
      const lane = domain.openLane(0);
      const heard = new Collector();
      domain.step(0, heard);
      for (let ticket = 0; ticket < 2000; ticket++) {
        domain.arrive(0, arrival(ticket, lane, { softDeadline: 100, hardDeadline: 900 + ticket }));
      }
      let calls = 0;
      for (let wake = 150, before = 0; wake <= 150; calls++, before = heard.ended.size + heard.deferredTickets.length) {
        wake = domain.step(150, heard);
        const said = heard.ended.size + heard.deferredTickets.length - before;
        if (calls > 0) assert.ok(said <= 257, `${said} in one call`);
      }
      assert.ok(calls > 10 && calls < 20, `${calls} calls`);
      assert.is(domain.signals.lateWaiting(), 500);
      const refused = [...heard.ended]
        .filter(([, how]) => how === `refused ${Reason.LateOverflow}`)
        .map(([ticket]) => ticket);
      assert.equal(
        refused,
        Array.from({ length: refused.length }, (_, i) => i + (refused[0] as number)),
      );
    });

    test('a trapped instance is left behind: what waited is admitted again by a new one', () => {
      const domain = create(0);
      const lane = domain.openLane(0);
      const heard = new Collector();
      for (const ticket of [0, 1, 2, 3]) domain.arrive(0, arrival(ticket, lane));
      domain.step(0, heard);
      assert.is(heard.slotOf.size, 2);
      domain.complete(5, 3, Outcome.Answered);
      assert.throws(() => domain.step(5, heard), isTrap);
      const again = create(5);
      const row = again.openLane(5);
      const later = new Collector();
      for (const ticket of heard.slotOf.keys())
        again.arrive(5, arrival(ticket, row, { softDeadline: 128, hardDeadline: 640 }));
      again.step(5, later);
      again.complete(20, 0, Outcome.Answered);
      again.step(20, later);
      assert.equal([...later.ended.keys()], [...heard.slotOf.keys()]);
      assert.is(again.signals.waiting(), 0);
    });
  });
}

const timedEvents: Record<string, (domain: BatchingDomain, at: number) => void> = {
  arrival: (domain, at) => domain.arrive(at, arrival(1, 0, { softDeadline: 100, hardDeadline: 200 })),
  completion: (domain, at) => domain.complete(at, 0, Outcome.Answered),
  cancel: (domain, at) => domain.cancel(at, 0),
  lateness: (domain, at) => domain.noteLateness(at, 1),
};

function arrival(ticket: number, lane: number, more: Partial<Arrival> = {}): Arrival {
  return { ticket, lane, items: 1, softDeadline: never, hardDeadline: never, band: 4, tenant: 0, ...more };
}

/** Serves single requests one after the other, each in `ms`; steps at least each `everyMs` meanwhile. */
function serve(
  domain: BatchingDomain,
  heard: Collector,
  lane: number,
  start: number,
  count: number,
  ms: number,
  everyMs = ms,
  items = 1,
): number {
  let now = start;
  for (let i = 0; i < count; i++) {
    domain.arrive(now, arrival(1e6 + heard.batches.length, lane, { items }));
    domain.step(now, heard);
    const end = now + ms;
    for (now += everyMs; now < end; now += everyMs) domain.step(now, heard);
    now = end;
    domain.complete(now, heard.batches.at(-1)?.batch as number, Outcome.Answered);
    domain.step(now, heard);
  }
  return now;
}

function curve(domain: BatchingDomain, lane: number): number[] {
  return [1, 2, 4, 8].map((items) => domain.signals.quantileMs(lane, items));
}

/** A line of an auditor's log without what depends on the clock's start. */
function relative(line: string, start: number): string {
  const [word, value] = line.split(' ');
  if (word === 'wake') return `wake ${Number(value) - start}`;
  return word === 'send' ? line.slice(0, line.lastIndexOf(' ')) : line;
}

function isTrap(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError;
}
