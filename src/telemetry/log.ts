import { type DestinationStream, pino } from 'pino';
import { type LineResult, standardLines } from './line-writer.ts';

/** Structured lines on standard error, one JSON object each. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A log at this level. Lines go out at once: there are few of them. */
export function createLog(level: string): Log {
  return logTo(level, pino.destination({ fd: 2, sync: true }));
}

/** A log that never holds up who writes to it. */
export interface ServingLog extends Log {
  /** Waits until all lines are written or lost, a second at most. */
  close(): Promise<void>;
}

/**
 * The log of a process that serves requests. Lines go out a little later, in their order, and those that nobody reads in time
 * are dropped: a pipe that is full costs lines and no request. What waits when the process exits is written as far as there is room.
 *
 * @param onEnd hears how many lines were written or dropped
 */
export function createServingLog(level: string, onEnd: (result: LineResult, lines: number) => void): ServingLog {
  const lines = standardLines(2, onEnd, () => {});
  process.on('exit', () => lines.flush());
  return Object.assign(logTo(level, lines), { close: () => lines.close() });
}

function logTo(level: string, to: DestinationStream): Log {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, to);
}

/** Says the same thing at most once in ten seconds, with how often it was kept back. */
export class RareWarnings {
  readonly #log: Log;
  readonly #last = new Map<string, { at: number; held: number }>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** `kind` comes from a fixed list: one entry of memory each. */
  warn(kind: string, fields: object, message: string): void {
    this.#say('warn', kind, fields, message);
  }

  /** The same for what must not be at all. */
  error(kind: string, fields: object, message: string): void {
    this.#say('error', kind, fields, message);
  }

  #say(level: 'warn' | 'error', kind: string, fields: object, message: string): void {
    const now = performance.now();
    const last = this.#last.get(kind);
    if (last && now - last.at < 10_000) {
      last.held++;
      return;
    }
    this.#last.set(kind, { at: now, held: 0 });
    this.#log[level]({ kind, ...(last?.held ? { heldBack: last.held } : {}), ...fields }, message);
  }
}
