import { KpaDecider, type KpaSettings } from './kpa.ts';
import type { DispatchPolicy } from './policy.ts';
import { Random } from './random.ts';
import { Replica } from './replica.ts';
import type { SimulatedRequest } from './run.ts';
import type { SimulatedModel } from './upstream.ts';

/** How a fleet of replicas behaves. Times in ms. */
export interface FleetOptions {
  seed: number;
  model: SimulatedModel;
  kpa: KpaSettings;
  startReplicas: number;
  /** From a decision to a replica that serves: uniform between the two. */
  coldStartMs: readonly [number, number];
  makePolicy(readyAt: number): DispatchPolicy;
  /** `least`: of two random replicas the emptier one (the activator). `random`: any (a Service, in the worst case). */
  routing: 'least' | 'random';
  /** Called every second, after the autoscaler's signal was recorded; may change the autoscaler's settings. */
  everySecond?: (fleet: Fleet, now: number) => void;
}

/** What became of each request, and what it cost. */
export interface FleetResult {
  /** Ms from arrival to answer; NaN if refused. */
  latencies: Float64Array;
  replicaSeconds(from: number, to: number): number;
  /** Ready replicas at each whole second since the start. */
  ready: number[];
  /** Of each replica that was started: ms from the decision until it served. */
  coldStarts: number[];
}

const scrapeMs = 1000;
const tickMs = 2000;

/** Replicas behind a load balancer, scaled by Knative's autoscaler in virtual time. */
export class Fleet {
  readonly kpa: KpaDecider;
  readonly replicas: Replica[] = [];
  /** Items that arrived in each second, from the start. */
  readonly arrivals: number[] = [];
  readonly latencies: Float64Array;
  readonly #options: FleetOptions;
  readonly #workload: readonly SimulatedRequest[];
  readonly #random: Random;
  readonly #noise: Random;
  readonly #lives: { from: number; to: number }[] = [];
  readonly #ready: number[] = [];
  /** Of each replica that was started: ms from the decision until it served; those that are not there yet included. */
  readonly coldStarts: number[] = [];
  readonly #held: number[] = [];
  readonly #insideMs = new Map<Replica, number>();

  constructor(workload: readonly SimulatedRequest[], options: FleetOptions) {
    this.#options = options;
    this.#workload = workload;
    this.#random = new Random(options.seed);
    this.#noise = new Random(options.seed + 1);
    this.latencies = new Float64Array(workload.length).fill(Number.NaN);
    this.kpa = new KpaDecider(options.kpa, options.startReplicas);
  }

  /** Replicas that serve. */
  ready(now: number): Replica[] {
    return this.replicas.filter((replica) => replica.readyAt <= now && !replica.draining);
  }

  /** Replicas that are paid for and not on their way out. */
  alive(): Replica[] {
    return this.replicas.filter((replica) => !replica.draining);
  }

  /** Starts or drains replicas until there are `wanted`; those that are not ready go first, then the youngest. */
  scaleTo(now: number, wanted: number): void {
    const alive = this.alive();
    for (let i = alive.length; i < wanted; i++) this.#start(now, now + this.#drawColdStart());
    for (let i = alive.length; i > wanted; i--) {
      const last = alive.pop() as Replica;
      last.draining = true;
      (this.#lives[this.replicas.indexOf(last)] as { to: number }).to = now;
    }
  }

  run(): FleetResult {
    const workload = this.#workload;
    const start = workload[0]?.at ?? 0;
    const end = (workload.at(-1)?.at ?? start) + 10_000;
    for (let i = 0; i < this.#options.startReplicas; i++) this.#start(start, start);
    // The autoscaler's ticks have nothing to do with the load's.
    let scrapeAt = start + scrapeMs * this.#random.uniform();
    let tickAt = start + tickMs * this.#random.uniform();
    let secondAt = start + 1000;
    let next = 0;
    for (let now = start; now < end; ) {
      while (next < workload.length && (workload[next] as SimulatedRequest).at <= now) this.#route(now, next++);
      for (const replica of this.replicas) {
        if (replica.readyAt <= now && replica.nextAt <= now) replica.advance(now);
      }
      if (now >= scrapeAt) {
        this.#scrape(now);
        scrapeAt += scrapeMs;
      }
      if (now >= secondAt) {
        this.#ready.push(this.ready(now).length);
        this.#options.everySecond?.(this, now);
        secondAt += 1000;
      }
      if (now >= tickAt) {
        this.scaleTo(now, this.kpa.decide(now, this.ready(now).length));
        tickAt += tickMs;
      }
      if (this.#held.length > 0 && this.ready(now).length > 0)
        for (const id of this.#held.splice(0)) this.#send(now, id);
      now = Math.max(
        now,
        Math.min(this.#nextAt(now), (workload[next] as SimulatedRequest)?.at ?? end, scrapeAt, tickAt, secondAt, end),
      );
    }
    return {
      latencies: this.latencies,
      ready: this.#ready,
      coldStarts: this.coldStarts,
      replicaSeconds: (from, to) =>
        this.#lives.reduce((sum, life) => sum + Math.max(Math.min(life.to, to) - Math.max(life.from, from), 0), 0) /
        1000,
    };
  }

  #nextAt(now: number): number {
    let soonest = Number.POSITIVE_INFINITY;
    for (const replica of this.replicas) {
      if (replica.readyAt > now) soonest = Math.min(soonest, replica.readyAt);
      else soonest = Math.min(soonest, replica.nextAt);
    }
    return soonest;
  }

  #start(now: number, readyAt: number): void {
    const { model, makePolicy } = this.#options;
    const answered = (id: number, at: number) => {
      this.latencies[id] = at - (this.#workload[id] as SimulatedRequest).at;
    };
    const endings = { answered, refused: () => {} };
    this.replicas.push(new Replica({ createdAt: now, readyAt }, makePolicy(readyAt), model, this.#noise, endings));
    this.#lives.push({ from: now, to: Number.POSITIVE_INFINITY });
    if (readyAt > now) this.coldStarts.push(readyAt - now);
  }

  #route(now: number, id: number): void {
    const second = Math.floor((now - (this.#workload[0] as SimulatedRequest).at) / 1000);
    while (this.arrivals.length <= second) this.arrivals.push(0);
    (this.arrivals[second] as number)++;
    this.#send(now, id);
  }

  #send(now: number, id: number): void {
    const ready = this.ready(now);
    const request = this.#workload[id] as SimulatedRequest;
    const one = ready[Math.floor(this.#random.uniform() * ready.length)];
    const other = ready[Math.floor(this.#random.uniform() * ready.length)];
    if (!one || !other) {
      this.#held.push(id);
      return;
    }
    const chosen = this.#options.routing === 'least' && other.inside < one.inside ? other : one;
    chosen.arrive(now, id, request.lane, request.at + request.sloMs);
  }

  #scrape(now: number): void {
    let concurrency = this.#held.length;
    for (const replica of this.replicas) {
      const insideMs = replica.insideMs(now);
      if (!replica.draining) concurrency += (insideMs - (this.#insideMs.get(replica) ?? 0)) / scrapeMs;
      this.#insideMs.set(replica, insideMs);
    }
    this.kpa.record(now, concurrency);
  }

  #drawColdStart(): number {
    const [low, high] = this.#options.coldStartMs;
    return low + (high - low) * this.#random.uniform();
  }
}
