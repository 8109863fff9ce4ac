import type { BatchingDomain, DomainSettings } from '../../kernels/batching.ts';
import { Outcome, type Reason, reasonLabel, Setting } from '../../kernels/reasons.ts';
import type { CompanionMetrics } from '../../telemetry/companion-metrics.ts';
import { applySettings, type LivePolicy } from '../policy-in-force.ts';
import type { Exchange } from './exchange.ts';
import type { Lane } from './lanes.ts';
import type { Queued } from './queued.ts';
import { type Dispatched, Scheduler } from './scheduler.ts';

/** A copy of a request that passes through: the kernel decides about it, and nothing comes of the decision. */
interface Shadow extends Queued {
  answered: boolean;
  whenAnswered: (() => void) | undefined;
}

/** A request that the kernel sent as it came runs as it would have been run; this much later it does not. */
const promptMs = 5;
/** So many batches of one request come first, or so many tries where few of them run as they were decided. */
const lessons = 9;
const triesMax = 40;
const unlimited = 1e6;

/**
 * Decides about requests that pass through, for `mode: advise`: a kernel of its own hears of each one, its batches are
 * counted and end when their requests have been answered. It learns from batches of one request that it would have sent
 * at once, because only these ran as decided: larger ones never ran, so of those it has a guess.
 */
export class Advisor {
  readonly scheduler: Scheduler<Shadow>;
  #lessonsLeft = lessons;
  #triesLeft = triesMax;
  #patience = 0;
  readonly #metrics: CompanionMetrics;

  constructor(
    settings: DomainSettings,
    create: (now: number) => BatchingDomain,
    metrics: CompanionMetrics,
    policy: LivePolicy,
  ) {
    this.#metrics = metrics;
    this.scheduler = new Scheduler<Shadow>(settings, create, {
      send: (dispatched) => this.#sent(dispatched),
      refuse: (_shadow, reason) => this.#refused(reason),
      trapped: () => metrics.traps.add(1),
    });
    this.apply(policy);
  }

  /** Hears of a request that is about to pass through. The returned function is to be called when it has ended. */
  note(exchange: Exchange): () => void {
    const { arrivedAt, laneKey, measured, softDeadline, hardDeadline, band, tenant } = exchange;
    const shadow: Shadow = {
      arrivedAt,
      laneKey,
      measured: { items: measured.items },
      softDeadline,
      hardDeadline,
      band,
      tenant,
      ended: false,
      slot: -1,
      sentAt: 0,
      waitMs: 0,
      answered: false,
      whenAnswered: undefined,
    };
    if (!this.scheduler.submit(shadow)) shadow.answered = true;
    else this.#teach(this.scheduler.lanes.known(laneKey));
    return () => {
      shadow.answered = true;
      shadow.whenAnswered?.();
      shadow.whenAnswered = undefined;
    };
  }

  /**
   * Until a first lane knows how long one request takes, requests are sent one by one and nothing waits: batches of one
   * are all that can be learned from, and other lanes begin with what the first one knows.
   */
  #teach(lane: Lane | undefined): void {
    if (lane && this.#lessonsLeft > 0) this.scheduler.limitLane(lane, 1);
  }

  #tried(taught: boolean): void {
    if (this.#lessonsLeft === 0) return;
    if (taught) this.#lessonsLeft--;
    if (--this.#triesLeft === 0) this.#lessonsLeft = 0;
    if (this.#lessonsLeft > 0) return;
    for (const lane of this.scheduler.lanes.all()) this.scheduler.limitLane(lane, unlimited);
    this.scheduler.set(Setting.Patience, this.#patience);
  }

  /** Decides by this policy from now on. */
  apply(policy: LivePolicy): void {
    applySettings(this.scheduler, policy);
    this.#patience = policy.patience;
    if (this.#lessonsLeft > 0) this.scheduler.set(Setting.Patience, 0);
  }

  #sent({ exchanges, reason, finished }: Dispatched<Shadow>): void {
    this.#metrics.advisedBatches.add(1, reasonLabel(reason));
    this.#metrics.advisedItems.observe(exchanges.reduce((sum, { measured }) => sum + measured.items, 0));
    const [first] = exchanges as [Shadow];
    const asDecided = exchanges.length === 1 && !first.answered && first.sentAt - first.arrivedAt < promptMs;
    let open = exchanges.length;
    const oneAnswered = () => {
      if (--open > 0) return;
      finished(asDecided ? Outcome.Answered : Outcome.Failed);
      this.#tried(asDecided);
    };
    for (const shadow of exchanges) {
      if (shadow.answered) setImmediate(oneAnswered);
      else shadow.whenAnswered = oneAnswered;
    }
  }

  #refused(reason: Reason): void {
    this.#metrics.advisedRefusals.add(1, reasonLabel(reason));
  }
}
