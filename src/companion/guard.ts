import { type Log, RareWarnings } from '../telemetry/log.ts';
import type { ErrorCode } from './errors.ts';

/** Ends one request with an error of ours, as far as its caller can still be told. It may have ended before. */
export type Ending = (code: ErrorCode) => void;

/**
 * Keeps a failure of our own code with the one request (upgrade, call) that it came up for: that one ends with `PL_INTERNAL`, and
 * the failure is logged and counted. Whatever serves one request runs here, from its head on:
 *
 * ```
 *   head, body, reply, end of one request ──► run ──throws──► log, count ──► its ending
 * ```
 *
 * What is thrown outside of every request ends the process: nobody knows then what of its state still holds.
 */
export class Guard {
  readonly #log: RareWarnings;
  readonly #count: () => void;

  /** @param count hears of each failure */
  constructor(log: Log, count: () => void) {
    this.#log = new RareWarnings(log);
    this.#count = count;
  }

  /** Does a part of the work for one request. */
  run(ending: Ending, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.caught(error, ending);
    }
  }

  /** A listener that does such a part each time that it is called. */
  listener<Given extends unknown[]>(ending: Ending, listener: (...given: Given) => void): (...given: Given) => void {
    return (...given) => {
      try {
        listener(...given);
      } catch (error) {
        this.caught(error, ending);
      }
    };
  }

  /** For whoever catches by itself. */
  caught(error: unknown, ending: Ending): void {
    this.#note(error);
    try {
      ending('PL_INTERNAL');
    } catch (again) {
      this.#note(again);
    }
  }

  #note(error: unknown): void {
    this.#count();
    const detail = error instanceof Error ? error.stack : String(error);
    try {
      this.#log.error('internal', { code: 'PL_INTERNAL', detail }, 'the companion failed on a request; others go on');
    } catch {
      // A log that cannot be written is no reason to answer nobody.
    }
  }
}
