import fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { Arrival, DomainSettings } from '../../src/kernels/batching.ts';
import { createBatchingDomain } from '../../src/kernels/batching-domain.ts';
import type { KernelFlavour } from '../../src/kernels/load.ts';
import { Outcome, Reason, reasonLabel, Setting } from '../../src/kernels/reasons.ts';
import { Collector } from '../support/collect.ts';
import { suite } from '../support/suite.ts';

const settings: DomainSettings = {
  sloMs: 200,
  sloQuantile: 0.99,
  patience: 0,
  maxBatchItems: 8,
  deferLate: true,
  lateTimeoutMs: 1000,
  maxWaiting: 64,
  maxLanes: 4,
  maxInFlight: 4,
};
const never = Number.POSITIVE_INFINITY;

function arrival(ticket: number, lane: number, more: Partial<Arrival> = {}): Arrival {
  return { ticket, lane, items: 1, softDeadline: never, hardDeadline: never, band: 4, tenant: 0, ...more };
}

for (const flavour of ['simd', 'scalar', 'debug'] as const satisfies KernelFlavour[]) {
  suite(`batching kernel (${flavour})`, (test) => {
    test('refuses settings and events out of range with a trap', () => {
      for (const bad of [
        { sloMs: 0 },
        { sloMs: Number.NaN },
        { sloQuantile: 1 },
        { maxLanes: 257 },
        { maxBatchItems: 0 },
      ]) {
        assert.throws(() => createBatchingDomain({ ...settings, ...bad }, 0, flavour), isTrap);
      }
      for (const bad of [
        { items: 0 },
        { lane: 3 },
        { lane: 4 },
        { softDeadline: Number.NaN },
        { hardDeadline: Number.NaN },
      ]) {
        const domain = createBatchingDomain(settings, 0, flavour);
        domain.arrive(0, arrival(1, domain.openLane(0), bad));
        assert.throws(() => domain.step(0, new Collector()), isTrap, JSON.stringify(bad));
      }
      const domain = createBatchingDomain(settings, 0, flavour);
      assert.throws(() => domain.step(Number.NaN, new Collector()), isTrap);
      domain.complete(0, 0, Outcome.Answered);
      assert.throws(() => domain.step(0, new Collector()), isTrap);
    });

    test('rejects what cannot be served at all', () => {
      const domain = createBatchingDomain({ ...settings, maxWaiting: 2 }, 1000, flavour);
      const lane = domain.openLane(1000);
      const heard = new Collector();
      domain.arrive(1000, arrival(1, lane, { hardDeadline: 1000 }));
      for (const ticket of [2, 3, 4]) domain.arrive(1000, arrival(ticket, lane));
      domain.step(1000, heard);
      assert.is(heard.ended.get(1), `rejected ${Reason.Expired}`);
      assert.is(heard.ended.get(4), `rejected ${Reason.QueueFull}`);
    });

    test('takes more events than its table holds before the first step, if somebody listens', () => {
      const many = { ...settings, maxWaiting: 3000 };
      const arrive = (domain: Domain) => {
        const lane = domain.openLane(0);
        for (let ticket = 0; ticket < 2500; ticket++) domain.arrive(0, arrival(ticket, lane));
      };
      assert.throws(() => arrive(createBatchingDomain(many, 0, flavour)), /before anybody listens/);
      const domain = createBatchingDomain(many, 0, flavour);
      const heard = new Collector();
      domain.listen(heard);
      arrive(domain);
      domain.step(0, heard);
      assert.is(heard.slotOf.size + heard.ended.size, 2500);
      assert.is(domain.signals.waiting() + heard.ended.size, 2500);
    });

    test('sends a lone request at once and everything that waits once the model is free', () => {
      const domain = createBatchingDomain(settings, 0, flavour);
      const lane = domain.openLane(0);
      const heard = new Collector();
      domain.arrive(0, arrival(1, lane));
      domain.step(0, heard);
      assert.equal(
        heard.batches.map((batch) => batch.tickets),
        [[1]],
      );
      for (const ticket of [2, 3, 4]) domain.arrive(5, arrival(ticket, lane));
      domain.step(5, heard);
      assert.is(heard.batches.length, 1);
      domain.complete(20, heard.batches[0]?.batch as number, Outcome.Answered);
      domain.step(20, heard);
      // Sizes double from what was tried: 1, then 2.
      assert.equal(heard.batches[1]?.tickets, [2, 3]);
    });

    test('never mixes lanes in a batch and keeps a lane limited to one request', () => {
      const domain = createBatchingDomain(settings, 0, flavour);
      const lanes = [domain.openLane(0), domain.openLane(0)];
      const heard = new Collector();
      domain.limitLane(0, lanes[1] as number, 1);
      for (let ticket = 0; ticket < 24; ticket++) domain.arrive(0, arrival(ticket, lanes[ticket % 2] as number));
      runToEnd(domain, heard, 0, () => 10);
      for (const batch of heard.batches) {
        for (const ticket of batch.tickets) assert.is(lanes[ticket % 2], batch.lane);
        if (batch.lane === lanes[1]) assert.is(batch.tickets.length, 1);
      }
      assert.is(heard.ended.size, 24);
    });

    test('serves in the order of deadlines, whatever the order of arrival', () => {
      const deadlines = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 60 });
      const leavers = fc.array(fc.nat(59), { maxLength: 20 });
      fc.assert(
        fc.property(deadlines, leavers, (offsets, leaving) => {
          const domain = createBatchingDomain({ ...settings, sloMs: 100_000, lateTimeoutMs: 900_000 }, 0, flavour);
          const lane = domain.openLane(0);
          const heard = new Collector();
          domain.limitLane(0, lane, 1);
          domain.arrive(0, arrival(1000, lane));
          domain.step(0, heard);
          const deadlineOf = offsets.map((offset) => 50_000 + offset);
          for (const [ticket, softDeadline] of deadlineOf.entries()) {
            domain.arrive(1, arrival(ticket, lane, { softDeadline }));
          }
          domain.step(1, heard);
          const left = new Set<number>();
          for (const ticket of leaving) {
            const slot = heard.leave(ticket);
            if (slot === undefined) continue;
            left.add(ticket);
            domain.cancel(2, slot);
          }
          runToEnd(domain, heard, 2, () => 5);
          const served = heard.batches.slice(1).flatMap((batch) => batch.tickets);
          const expected = deadlineOf
            .map((deadline, ticket) => ({ deadline, ticket }))
            .filter(({ ticket }) => !left.has(ticket))
            .sort((a, b) => a.deadline - b.deadline || a.ticket - b.ticket)
            .map(({ ticket }) => ticket);
          assert.equal(served, expected);
        }),
        { seed: 7, numRuns: 150 },
      );
    });

    test('ends every request exactly once over random histories, within its bounds', () => {
      fc.assert(
        fc.property(history, (steps) => {
          const heard = new Collector();
          const domain = createBatchingDomain(settings, 2 ** 31, flavour);
          playHistory(domain, heard, steps, 2 ** 31);
        }),
        { seed: 11, numRuns: 150 },
      );
    });

    test('prefers the urgent band, then the tenant that got least', () => {
      const domain = createBatchingDomain({ ...settings, sloMs: 10_000 }, 0, flavour);
      const lane = domain.openLane(0);
      const heard = new Collector();
      domain.limitLane(0, lane, 1);
      domain.arrive(0, arrival(1000, lane));
      domain.step(0, heard);
      for (let ticket = 0; ticket < 20; ticket++) domain.arrive(1, arrival(ticket, lane, { tenant: 1 }));
      for (let ticket = 20; ticket < 25; ticket++) domain.arrive(1, arrival(ticket, lane, { tenant: 2 }));
      domain.arrive(1, arrival(25, lane, { band: 0 }));
      runToEnd(domain, heard, 1, () => 5);
      const order = heard.batches.slice(1).flatMap((batch) => batch.tickets);
      assert.is(order[0], 25);
      const place = order.indexOf(24);
      assert.ok(place <= 12, `the small tenant's last request was served at place ${place}`);
    });

    test('waits at patience 1 and not at patience 0, and sends what it has when it drains', () => {
      const domain = createBatchingDomain(settings, 0, flavour);
      const lane = domain.openLane(0);
      const heard = new Collector();
      let now = 0;
      for (let ticket = 0; ticket < 12; ticket++) {
        domain.arrive(now, arrival(ticket, lane));
        domain.step(now, heard);
        now += 20;
        domain.complete(now, heard.batches.at(-1)?.batch as number, Outcome.Answered);
        domain.step(now, heard);
      }
      assert.is(heard.batches.length, 12);
      domain.set(now, Setting.Patience, 1);
      domain.arrive(now, arrival(100, lane));
      const wake = domain.step(now, heard);
      assert.is(heard.batches.length, 12);
      assert.ok(wake > now + 100 && wake < now + 200, `wakes ${wake - now} ms after the arrival`);
      domain.drain(now + 1);
      domain.step(now + 1, heard);
      assert.equal(heard.batches.at(-1)?.tickets, [100]);
      assert.is(heard.batches.at(-1)?.reason, Reason.Drain);
    });

    test('sends past a batch that hangs, but only then, and within the bound in flight', () => {
      for (const maxInFlight of [1, 4]) {
        const domain = createBatchingDomain({ ...settings, maxInFlight }, 0, flavour);
        const lane = domain.openLane(0);
        const heard = new Collector();
        let now = 0;
        let ticket = 0;
        const arrive = () => {
          const hardDeadline = now + 1000;
          domain.arrive(now, arrival(ticket++, lane, { softDeadline: now + 200, hardDeadline }));
          return domain.step(now, heard);
        };
        // A serial model: what goes on top of another one, as a probe for room, takes twice as long.
        for (let i = 0; i < 100; i++) {
          arrive();
          now += 5;
          arrive();
          let freeAt = now - 5;
          for (let at = heard.batches.shift(); at; at = heard.batches.shift()) {
            freeAt += 20;
            now = Math.max(now, freeAt);
            domain.complete(now, at.batch, Outcome.Answered);
            domain.step(now, heard);
          }
        }
        arrive();
        assert.is(heard.batches.length, 1, 'this one hangs');
        const sentAt = now;
        now += 5;
        let wake = arrive();
        while (heard.batches.length < 2 && now < sentAt + 600) {
          now = Math.max(now + 0.01, Math.min(wake, sentAt + 600));
          wake = domain.step(now, heard);
        }
        if (maxInFlight === 1) assert.is(heard.batches.length, 1);
        else {
          assert.is(heard.batches.length, 2);
          // Three times 20 ms beyond the expected end at 20 ms, and no less than a quarter of the objective.
          assert.ok(now >= sentAt + 75 && now <= sentAt + 90, `after ${now - sentAt} ms`);
          const expected = domain.signals.expectedMs(lane, 1);
          domain.complete(now + 150, (heard.batches[1] as { batch: number }).batch, Outcome.Answered);
          domain.step(now + 150, heard);
          assert.is(domain.signals.expectedMs(lane, 1), expected, 'it may have crawled behind the other one');
        }
      }
    });

    test('answers 504 at the hard deadline while the model hangs', () => {
      const domain = createBatchingDomain(settings, 0, flavour);
      const lane = domain.openLane(0);
      const heard = new Collector();
      domain.arrive(0, arrival(1, lane));
      domain.step(0, heard);
      domain.arrive(10, arrival(2, lane));
      let wake = domain.step(10, heard);
      for (let i = 0; i < 10 && !heard.ended.has(2); i++) wake = domain.step(wake, heard);
      assert.is(heard.ended.get(2), `refused ${Reason.Expired}`);
      assert.equal(heard.deferredTickets, [2]);
      assert.ok(wake >= 1010, `expired at ${wake}`);
    });

    test('ends a mass of expiries in slices and asks to be called again', () => {
      const domain = createBatchingDomain({ ...settings, maxWaiting: 1500 }, 0, flavour);
      const lane = domain.openLane(0);
      const heard = new Collector();
      for (let ticket = 0; ticket < 1000; ticket++) domain.arrive(0, arrival(ticket, lane));
      domain.step(0, heard);
      const before = heard.ended.size;
      const wake = domain.step(5000, heard);
      assert.is(wake, 5000);
      assert.ok(heard.ended.size - before <= 257, `${heard.ended.size - before} ended in one call`);
      for (let i = 0; i < 20; i++) domain.step(5000, heard);
      assert.is(domain.signals.waiting(), 0);
    });
  });
}

suite('batching kernel (flavours agree)', (test) => {
  test('all builds say the same of the same history', () => {
    fc.assert(
      fc.property(history, (steps) => {
        const logs = (['simd', 'scalar', 'debug'] as const).map((flavour) => {
          const heard = new Collector();
          playHistory(createBatchingDomain(settings, 1e9, flavour), heard, steps, 1e9);
          return heard.log;
        });
        assert.equal(logs[1], logs[0]);
        assert.equal(logs[2], logs[0]);
      }),
      { seed: 3, numRuns: 60 },
    );
  });
});

suite('reason codes', (test) => {
  test('have labels in kebab case', () => {
    assert.is(reasonLabel(Reason.QueueFull), 'queue-full');
    assert.is(reasonLabel(Reason.SlotFree), 'slot-free');
    assert.is(reasonLabel(255 as Reason), 'unknown');
  });
});

type Domain = ReturnType<typeof createBatchingDomain>;

interface HistoryStep {
  afterMs: number;
  arrivals: { lane: number; items: number; sloMs: number; band: number; tenant: number }[];
  cancel: number;
  complete: boolean;
  outcome: number;
}

const history = fc.array(
  fc.record<HistoryStep>({
    afterMs: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: -5, max: 3000 })),
    arrivals: fc.array(
      fc.record({
        lane: fc.nat(3),
        items: fc.integer({ min: 1, max: 12 }),
        sloMs: fc.integer({ min: 1, max: 900 }),
        band: fc.nat(7),
        tenant: fc.nat(3),
      }),
      { maxLength: 8 },
    ),
    cancel: fc.integer({ min: -40, max: 40 }),
    complete: fc.boolean(),
    outcome: fc.nat(4),
  }),
  { minLength: 1, maxLength: 60 },
);

/** Plays a history and checks what must hold at each step; then lets all that waits come to an end. */
function playHistory(domain: Domain, heard: Collector, steps: HistoryStep[], start: number): void {
  const lanes = [0, 1, 2, 3].map(() => domain.openLane(start));
  let now = start;
  let ticket = 0;
  let finished = 0;
  for (const step of steps) {
    now += step.afterMs;
    for (const each of step.arrivals) {
      const softDeadline = now + each.sloMs;
      domain.arrive(now, {
        ...each,
        ticket: ticket++,
        lane: lanes[each.lane] as number,
        softDeadline,
        hardDeadline: never,
      });
    }
    const slot = step.cancel >= 0 ? heard.leave(step.cancel) : undefined;
    if (slot !== undefined) domain.cancel(now, slot);
    if (step.complete && finished < heard.batches.length) {
      domain.complete(now, heard.batches[finished++]?.batch as number, step.outcome as Outcome);
    }
    const wake = domain.step(now, heard);
    assert.ok(Number.isFinite(wake) && wake <= Math.max(now, start) + 63_000, `wake ${wake}`);
    assert.ok(domain.signals.waiting() + domain.signals.inFlight() <= settings.maxWaiting);
    assert.is(domain.signals.inFlight(), heard.batches.length - finished);
    assert.is(domain.signals.waiting(), heard.ticketOf.size);
    assert.ok(domain.signals.inFlight() <= settings.maxInFlight);
  }
  now = Math.max(now, start) + 10;
  for (let i = 0; i < 500 && (finished < heard.batches.length || heard.ticketOf.size > 0); i++) {
    now += 25;
    if (finished < heard.batches.length)
      domain.complete(now, heard.batches[finished++]?.batch as number, Outcome.Answered);
    domain.step(now, heard);
  }
  for (let each = 0; each < ticket; each++) assert.ok(heard.ended.has(each), `ticket ${each} never ended`);
}

/** Completes batches in order, each after `ms(items)`, until nothing waits. */
function runToEnd(domain: Domain, heard: Collector, start: number, ms: (items: number) => number): void {
  let now = start;
  let finished = 0;
  domain.step(now, heard);
  while (finished < heard.batches.length) {
    const batch = heard.batches[finished++] as (typeof heard.batches)[number];
    now += ms(batch.tickets.length);
    domain.complete(now, batch.batch, Outcome.Answered);
    domain.step(now, heard);
  }
}

function isTrap(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError;
}
