import type { DispatchPolicy, PolicyActions } from './policy.ts';
import type { Random } from './random.ts';
import { type SimulatedModel, Upstream } from './upstream.ts';

/** Who hears how requests end. */
export interface Endings {
  answered(id: number, at: number): void;
  refused(id: number, at: number): void;
}

/** One pod of a fleet: a model server and the dispatch policy in front of it. */
export class Replica {
  readonly createdAt: number;
  readonly readyAt: number;
  readonly policy: DispatchPolicy;
  /** Gets nothing more and is gone once it is empty. */
  draining = false;
  /** Requests inside, waiting ones included. */
  inside = 0;
  readonly #upstream: Upstream;
  readonly #endings: Endings;
  readonly #act: PolicyActions;
  #wake = Number.POSITIVE_INFINITY;
  #now: number;
  #insideMs = 0;
  #countedAt: number;

  constructor(
    times: { createdAt: number; readyAt: number },
    policy: DispatchPolicy,
    model: SimulatedModel,
    random: Random,
    endings: Endings,
  ) {
    this.createdAt = times.createdAt;
    this.readyAt = times.readyAt;
    this.policy = policy;
    this.#upstream = new Upstream(model, random, times.readyAt);
    this.#endings = endings;
    this.#now = times.readyAt;
    this.#countedAt = times.readyAt;
    this.#act = {
      dispatch: (id, lane, ids) => this.#upstream.submit(this.#now, id, lane, ids),
      refuse: (id) => {
        this.#count(this.#now, -1);
        this.#endings.refused(id, this.#now);
      },
    };
  }

  /** When something happens here next. */
  get nextAt(): number {
    return Math.min(this.#upstream.nextEnd, this.#wake);
  }

  arrive(now: number, id: number, lane: number, deadline: number): void {
    this.#now = now;
    this.#count(now, 1);
    this.policy.arrive(now, id, lane, deadline);
    this.#wake = now;
  }

  /** Ends what has ended and lets the policy decide. Batches above the model's limit are not for fleets. */
  advance(now: number): void {
    this.#now = now;
    for (let batch = this.#upstream.takeEnded(now); batch; batch = this.#upstream.takeEnded(now)) {
      this.#count(now, -batch.ids.length);
      for (const id of batch.ids) this.#endings.answered(id, now);
      this.policy.complete(now, batch.id, false);
    }
    this.#wake = Math.max(this.policy.step(now, this.#act), now);
  }

  /** Request-milliseconds inside since the start, as queue-proxy counts them. */
  insideMs(now: number): number {
    return this.#insideMs + this.inside * Math.max(now - this.#countedAt, 0);
  }

  #count(now: number, change: number): void {
    this.#insideMs += this.inside * Math.max(now - this.#countedAt, 0);
    this.#countedAt = now;
    this.inside += change;
  }
}
