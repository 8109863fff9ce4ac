import type { DomainSettings, VerdictSink } from '../src/kernels/batching.ts';
import { createBatchingDomain } from '../src/kernels/batching-domain.ts';
import type { KernelSource } from '../src/kernels/load.ts';
import { Outcome } from '../src/kernels/reasons.ts';
import { defaultSettings } from '../src/simulator/paceline.ts';
import { Random } from '../src/simulator/random.ts';

export type Deadlines = 'random' | 'in order';

/** One entry a turn; `items` is what that turn's batch held. */
export interface TurnTimes {
  /** Admitting one of the turn's requests, in microseconds. */
  readonly admitUs: number[];
  /** Taking one batch's end and dispatching the next, in microseconds. */
  readonly dispatchUs: number[];
  readonly items: number[];
}

/** Items a millisecond that leave: batches of 64 take 84 ms. */
const throughput = 64 / 84;
const warmUpTurns = 4_000;

/**
 * Times the turns of a domain in which `depth` requests wait, in virtual time, one batch in flight. Every pass repeats
 * the very same turns on a new domain, and the least time of each turn counts: what the machine did meanwhile drops out,
 * what the kernel does at its worst turns stays.
 */
export function timeTurns(depth: number, deadlines: Deadlines, passes = 7): TurnTimes {
  const best = runTurns(depth, deadlines);
  for (let pass = 1; pass < passes; pass++) {
    const times = runTurns(depth, deadlines);
    for (const [turn, items] of times.items.entries()) {
      if (items !== best.items[turn]) throw new Error('two passes of the same turns differ');
      best.admitUs[turn] = Math.min(best.admitUs[turn] as number, times.admitUs[turn] as number);
      best.dispatchUs[turn] = Math.min(best.dispatchUs[turn] as number, times.dispatchUs[turn] as number);
    }
  }
  return best;
}

/** One pass: turns to warm up, and turns that are timed. */
export function runTurns(depth: number, deadlines: Deadlines, turns = 6_000, from?: KernelSource): TurnTimes {
  const random = new Random(7);
  // Everything is on time: the whole queue leaves within two thirds of the shortest objective.
  const shortestMs = (1.5 * depth) / throughput;
  const objectiveMs = 3 * shortestMs;
  const settings: DomainSettings = {
    ...defaultSettings(objectiveMs),
    patience: 0,
    maxWaiting: depth + 1024,
    maxInFlight: 1,
  };
  const domain = createBatchingDomain(settings, 0, from);
  const lane = domain.openLane(0);
  const heard = new LastBatch();
  let now = 0;
  let ticket = 0;
  const arrive = (count: number) => {
    for (let i = 0; i < count; i++) {
      const soft =
        deadlines === 'random' ? now + shortestMs + random.uniform() * (objectiveMs - shortestMs) : now + objectiveMs;
      const arrival = { ticket: ticket++, lane, items: 1, softDeadline: soft, hardDeadline: 1e12, band: 4, tenant: 0 };
      domain.arrive(now, arrival);
    }
  };
  // Filled in turns: the table of events is smaller than the queue.
  for (let left = depth; left > 0; left -= 512) {
    arrive(Math.min(left, 512));
    domain.step(now, heard);
  }
  const times: TurnTimes = { admitUs: [], dispatchUs: [], items: [] };
  for (let turn = 0; turn < warmUpTurns + turns; turn++) {
    now += 20 + heard.items;
    const started = performance.now();
    domain.complete(now, heard.batch, Outcome.Answered);
    heard.items = 0;
    domain.step(now, heard);
    const dispatched = performance.now();
    arrive(heard.items);
    domain.step(now, heard);
    const admitted = performance.now();
    if (heard.items === 0 || heard.refusals > 0) throw new Error('the turns do not keep the queue at its depth');
    if (turn < warmUpTurns) continue;
    times.dispatchUs.push((dispatched - started) * 1000);
    times.admitUs.push(((admitted - dispatched) * 1000) / heard.items);
    times.items.push(heard.items);
  }
  if (Math.abs(domain.signals.waiting() - depth) > 128) throw new Error(`${domain.signals.waiting()} wait at the end`);
  return times;
}

/** Remembers the batch that was dispatched last. */
class LastBatch implements VerdictSink {
  batch = 0;
  items = 0;
  refusals = 0;

  admitted(): void {}

  rejected(): void {
    this.refusals++;
  }

  dispatch(batch: number, _lane: number, slots: Uint32Array): void {
    this.batch = batch;
    this.items = slots.length;
  }

  refused(): void {
    this.refusals++;
  }

  deferred(): void {}
}
