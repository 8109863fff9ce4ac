import type { Log } from '../telemetry/log.ts';
import type { LeaderPart, PartContext } from './part.ts';

/** Starts the parts when this replica becomes the leader and stops them when it no longer is, never both at once. */
export class Leadership {
  readonly #parts: readonly LeaderPart[];
  readonly #log: Log;
  readonly #failed: (error: unknown) => void;
  #wanted: PartContext | undefined;
  #running: LeaderPart[] = [];
  #turn: Promise<void> = Promise.resolve();

  /** @param failed a part could not begin or end: the process cannot go on as it is */
  constructor(parts: readonly LeaderPart[], log: Log, failed: (error: unknown) => void) {
    this.#parts = parts;
    this.#log = log;
    this.#failed = failed;
  }

  /** With a context: lead. Without: do not. Done when it is so. */
  change(context: PartContext | undefined): Promise<void> {
    this.#wanted = context;
    this.#turn = this.#turn.then(() => this.#follow()).catch(this.#failed);
    return this.#turn;
  }

  async #follow(): Promise<void> {
    const context = this.#wanted;
    const running = this.#running;
    this.#running = [];
    for (const part of running.reverse()) await part.stop();
    if (!context) return;
    for (const part of this.#parts) {
      this.#running.push(part);
      await part.start(context);
      this.#log.info({ part: part.name }, 'a part of the leader runs');
    }
  }
}
