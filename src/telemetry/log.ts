import { pino } from 'pino';

/** Structured lines on standard error, one JSON object each. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A log at this level. Lines go out at once: there are few of them. */
export function createLog(level: string): Log {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 2, sync: true }));
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
