import type { Random } from './random.ts';

/** A model server: `servers` batches at once (each lane its own server where `perLane`), first in first out. */
export interface SimulatedModel {
  servers: number;
  perLane: boolean;
  /** 413 above this. */
  maxItems: number;
  /** Mean ms of a batch of n at virtual time t. */
  meanMs(items: number, t: number): number;
  /** Lognormal sigma of the service time, or a draw of mean 1 that it is multiplied with. */
  noise: number | ((random: Random) => number);
}

/** A batch on its way: `id` is the policy's number for it. */
export interface Batch {
  id: number;
  lane: number;
  ids: readonly number[];
  tooLarge: boolean;
}

interface Work {
  batch: Batch;
  noise: number;
}

interface Ending {
  at: number;
  key: number;
  batch: Batch;
}

/** A refusal with 413 takes this long, in ms. */
const refusalMs = 0.2;

/** One queue and its servers; the number of servers may change while it runs. */
interface Queue {
  servers: number;
  busy: number;
  /** Work from `first` on waits. */
  work: Work[];
  first: number;
}

/**
 * The simulated model servers: batches start in the order in which they were sent, as soon as a server is free.
 * Counts the batches inside over time, as Knative's queue-proxy does.
 */
export class Upstream {
  busyMs = 0;
  batches = 0;
  items = 0;
  lastEnd = 0;
  readonly #model: SimulatedModel;
  readonly #random: Random;
  readonly #queues: Queue[] = [];
  readonly #ends: Ending[] = [];
  #servers: number;
  #inside = 0;
  #insideMs = 0;
  #changedAt = 0;

  constructor(model: SimulatedModel, random: Random, start: number) {
    this.#model = model;
    this.#random = random;
    this.#servers = model.servers;
    this.#changedAt = start;
  }

  /** When the next batch ends; Infinity if none runs. */
  get nextEnd(): number {
    return this.#ends[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Batches inside, running or waiting for a server. */
  get inside(): number {
    return this.#inside;
  }

  submit(now: number, id: number, lane: number, ids: readonly number[]): void {
    const model = this.#model;
    const key = model.perLane ? lane : 0;
    const queue = this.#queueOf(key);
    const noise = typeof model.noise === 'number' ? this.#random.noise(model.noise) : model.noise(this.#random);
    const work = { batch: { id, lane, ids, tooLarge: ids.length > model.maxItems }, noise };
    this.#count(now, 1);
    if (queue.busy < queue.servers) this.#start(now, key, queue, work);
    else queue.work.push(work);
  }

  /** The batch that ended first, if its time has come. */
  takeEnded(now: number): Batch | undefined {
    const end = this.#ends[0];
    if (!end || end.at > now) return undefined;
    this.#ends.shift();
    this.lastEnd = end.at;
    const queue = this.#queueOf(end.key);
    queue.busy--;
    this.#count(end.at, -1);
    this.#fill(end.at, end.key, queue);
    return end.batch;
  }

  /** From now on there are `servers`; those beyond it leave once they are free. */
  resize(now: number, servers: number): void {
    this.#servers = servers;
    this.#queues.forEach((queue, key) => {
      queue.servers = servers;
      this.#fill(now, key, queue);
    });
  }

  /** Integral of the batches inside over time, in batch-milliseconds since the start. */
  insideMs(now: number): number {
    return this.#insideMs + this.#inside * (now - this.#changedAt);
  }

  #queueOf(key: number): Queue {
    this.#queues[key] ??= { servers: this.#servers, busy: 0, work: [], first: 0 };
    return this.#queues[key] as Queue;
  }

  #count(now: number, change: number): void {
    this.#insideMs += this.#inside * (now - this.#changedAt);
    this.#inside += change;
    this.#changedAt = now;
  }

  #fill(now: number, key: number, queue: Queue): void {
    while (queue.busy < queue.servers && queue.first < queue.work.length) {
      this.#start(now, key, queue, queue.work[queue.first++] as Work);
    }
    if (queue.first > 64 && queue.first * 2 > queue.work.length) {
      queue.work.splice(0, queue.first);
      queue.first = 0;
    }
  }

  #start(now: number, key: number, queue: Queue, work: Work): void {
    const { batch } = work;
    queue.busy++;
    const ms = batch.tooLarge ? refusalMs : this.#model.meanMs(batch.ids.length, now) * work.noise;
    if (!batch.tooLarge) {
      this.batches++;
      this.items += batch.ids.length;
      this.busyMs += ms;
    }
    const end = { at: now + ms, key, batch };
    let place = this.#ends.length;
    while (place > 0 && (this.#ends[place - 1] as Ending).at > end.at) place--;
    this.#ends.splice(place, 0, end);
  }
}
