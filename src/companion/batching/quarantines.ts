import type { CompanionMetrics } from '../../telemetry/companion-metrics.ts';
import type { RareWarnings } from '../../telemetry/log.ts';
import type { Lane } from './lanes.ts';
import { Quarantine, type QuarantineReason } from './quarantine.ts';

/** So many lanes of one target whose replies cannot be split: it is the model, and not the form of their rows. */
const lanesOfModel = 3;
const targetsMax = 256;
/** As the kernel takes it. */
const unlimited = 1e6;

/** What quarantines act with. */
export interface QuarantineParts {
  readonly metrics: CompanionMetrics;
  readonly warnings: RareWarnings;
  readonly scheduler: { limitLane(lane: Lane, maxRequests: number): void };
}

/** The quarantines of lanes, and of targets none of whose lanes can be split: keeps the kernel, the log and metrics informed. */
export class Quarantines {
  readonly #parts: QuarantineParts;
  /** By target: those of its lanes that could not be split, until they are enough. */
  readonly #held = new Map<string, Set<Quarantine>>();
  readonly #ofTarget = new Map<string, Quarantine>();

  constructor(parts: QuarantineParts) {
    this.#parts = parts;
  }

  /** How many requests of a lane may share a call now. */
  sharersMax(lane: Lane): number {
    const quarantine = this.#of(lane);
    if (!quarantine) return Number.POSITIVE_INFINITY;
    const sharers = quarantine.sharers(performance.now());
    if (sharers !== lane.sharersMax) {
      lane.sharersMax = sharers;
      this.#parts.scheduler.limitLane(lane, Math.min(sharers, unlimited));
    }
    return sharers;
  }

  /** Requests of this lane share no call from now on. */
  begin(lane: Lane, why: QuarantineReason, message: string): void {
    const quarantine = this.#need(lane);
    if (!quarantine.begin(why, performance.now())) return;
    if (why === 'unsplittable') this.#noteTarget(lane.target, quarantine);
    this.#begun(lane, quarantine, message);
  }

  /** A call of so many requests of this lane went well. */
  wentWell(lane: Lane, requests: number): void {
    const { quarantine } = lane;
    if (!quarantine) return;
    if (requests === 1) quarantine.wentWellAlone();
    else if (quarantine.wentWell(performance.now())) this.sharersMax(lane);
  }

  /** A call of several requests failed, and nobody was found guilty. `apart`: they succeeded alone then. */
  failedTogether(lane: Lane, apart: boolean): void {
    const quarantine = this.#need(lane);
    if (!quarantine.failedTogether(performance.now(), apart)) return;
    this.#begun(lane, quarantine, 'batches fail whose requests succeed alone');
  }

  #of(lane: Lane): Quarantine | undefined {
    if (this.#ofTarget.size > 0) lane.quarantine ??= this.#ofTarget.get(lane.target);
    return lane.quarantine;
  }

  #need(lane: Lane): Quarantine {
    lane.quarantine = this.#of(lane) ?? new Quarantine();
    return lane.quarantine;
  }

  #begun(lane: Lane, quarantine: Quarantine, message: string): void {
    const { metrics, warnings } = this.#parts;
    const { why } = quarantine;
    metrics.quarantines.add(1, why);
    this.sharersMax(lane);
    const forMs = Math.round(quarantine.pauseLeft(performance.now()));
    warnings.warn(
      `quarantine-${why}`,
      { target: lane.target, why, forMs },
      `${message}: this lane is served one by one`,
    );
  }

  #noteTarget(target: string, quarantine: Quarantine): void {
    if (this.#ofTarget.has(target) || this.#ofTarget.size >= targetsMax) return;
    const held = this.#held.get(target) ?? new Set();
    held.add(quarantine);
    if (held.size >= lanesOfModel) {
      this.#held.delete(target);
      this.#ofTarget.set(target, quarantine);
    } else if (this.#held.size < targetsMax || this.#held.has(target)) this.#held.set(target, held);
  }
}
