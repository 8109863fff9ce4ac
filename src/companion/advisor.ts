import type { BatchingDomain, DomainSettings } from '../kernels/batching.ts';
import { Outcome, type Reason, reasonLabel } from '../kernels/reasons.ts';
import type { CompanionMetrics } from '../telemetry/companion-metrics.ts';
import type { Exchange } from './exchange.ts';
import type { Queued } from './queued.ts';
import { type Dispatched, Scheduler } from './scheduler.ts';

/** A copy of a request that passes through: the kernel decides about it, and nothing comes of the decision. */
interface Shadow extends Queued {
  answered: boolean;
  whenAnswered: (() => void) | undefined;
}

/** A request that the kernel sent as it came runs as it would have been run; this much later it does not. */
const promptMs = 5;

/**
 * Decides about requests that pass through, for `mode: advise`: a kernel of its own hears of each one, its batches are
 * counted and end when their requests have been answered. It learns from batches of one request that it would have sent
 * at once, because only these ran as decided: larger ones never ran, so of those it has a guess.
 */
export class Advisor {
  readonly scheduler: Scheduler<Shadow>;
  readonly #metrics: CompanionMetrics;

  constructor(settings: DomainSettings, create: (now: number) => BatchingDomain, metrics: CompanionMetrics) {
    this.#metrics = metrics;
    this.scheduler = new Scheduler<Shadow>(settings, create, {
      send: (dispatched) => this.#sent(dispatched),
      refuse: (_shadow, reason) => this.#refused(reason),
      trapped: () => metrics.traps.add(1),
    });
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
    return () => {
      shadow.answered = true;
      shadow.whenAnswered?.();
      shadow.whenAnswered = undefined;
    };
  }

  #sent({ exchanges, reason, finished }: Dispatched<Shadow>): void {
    this.#metrics.advisedBatches.add(1, reasonLabel(reason));
    this.#metrics.advisedItems.observe(exchanges.reduce((sum, { measured }) => sum + measured.items, 0));
    const [first] = exchanges as [Shadow];
    const asDecided = exchanges.length === 1 && !first.answered && first.sentAt - first.arrivedAt < promptMs;
    let open = exchanges.length;
    const oneAnswered = () => {
      if (--open === 0) finished(asDecided ? Outcome.Answered : Outcome.Failed);
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
