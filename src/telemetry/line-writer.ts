import { write, writeSync } from 'node:fs';

/** Bytes that may wait for the reader. */
const waitingMax = 1_048_576;
/** A pipe that is full is tried again after this time. */
const againMs = 50;
/** How long the end waits for a reader. */
const closeMs = 1000;

/** What becomes of lines. */
export type LineResult = 'written' | 'dropped';

/** Standard output and standard error. */
const standard = { 1: 'stdout', 2: 'stderr' } as const;

/**
 * A writer of standard output (1) or standard error (2). Node makes a pipe there one that does not block when it is first
 * asked for: a write that blocked would keep one of the few threads of the process, and the process from ending.
 */
export function standardLines(
  descriptor: 1 | 2,
  onEnd: (result: LineResult, lines: number) => void,
  onError: (error: Error) => void,
): LineWriter {
  void process[standard[descriptor]];
  return new LineWriter(descriptor, onEnd, onError);
}

/**
 * Writes lines to a descriptor, never throwing and never waiting. What nobody reads in time is dropped beyond a megabyte, and
 * so is what cannot be written: a full disk or a reader that is gone costs lines and nothing else. Both are counted, and
 * later lines are tried again. pino's destination, in the place of this, ends the process where a disk is full, or
 * goes round forever when it exits.
 */
export class LineWriter {
  readonly #descriptor: number;
  readonly #onEnd: (result: LineResult, lines: number) => void;
  readonly #onError: (error: Error) => void;
  readonly #bytesMax: number;
  #waiting: string[] = [];
  #waitingBytes = 0;
  /** What is on its way, its lines, and how much of it is out. */
  #chunk = Buffer.alloc(0);
  #lines = 0;
  #done = 0;
  /** A thread is writing it. */
  #underWay = false;
  /** The last line that went out lacks its end. */
  #torn = false;
  #onEmpty: () => void = () => {};

  /**
   * @param onEnd hears how many lines were written or dropped
   * @param onError hears each time why lines could not be written
   */
  constructor(
    descriptor: number,
    onEnd: (result: LineResult, lines: number) => void,
    onError: (error: Error) => void,
    bytesMax = waitingMax,
  ) {
    this.#descriptor = descriptor;
    this.#onEnd = onEnd;
    this.#onError = onError;
    this.#bytesMax = bytesMax;
  }

  /** Takes one line, with its end. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#waitingBytes + bytes > this.#bytesMax) return this.#onEnd('dropped', 1);
    this.#waiting.push(line);
    this.#waitingBytes += bytes;
    if (this.#lines === 0) this.#next();
  }

  /** Waits until everything is written or lost, a second at most: who does not read does not hold up the end. */
  async close(): Promise<void> {
    if (this.#lines === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, closeMs);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** For the end of a process that cannot wait: writes what is taken at once. A write under way is not given up by it. */
  flush(): void {
    const rest = this.#underWay ? [] : [this.#chunk.subarray(this.#done)];
    const bytes = Buffer.concat([...rest, Buffer.from(this.#waiting.join(''))]);
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (!this.#underWay) this.#done = this.#chunk.length;
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#descriptor, bytes, done);
    } catch {
      // Nobody reads it, or it cannot be written: there is nobody left to tell.
    }
  }

  #next(): void {
    if (this.#waiting.length === 0) return this.#onEmpty();
    this.#lines = this.#waiting.length;
    this.#chunk = Buffer.from((this.#torn ? '\n' : '') + this.#waiting.join(''));
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#done = 0;
    this.#push();
  }

  #push(): void {
    const { length } = this.#chunk;
    this.#underWay = true;
    write(this.#descriptor, this.#chunk, this.#done, length - this.#done, null, (error, count) => {
      this.#underWay = false;
      if (error?.code === 'EAGAIN') return void setTimeout(() => this.#push(), againMs).unref();
      if (!error) this.#done += count;
      if (!error && this.#done < length) return this.#push();
      this.#end(error ? 'dropped' : 'written');
      if (error) this.#onError(error);
      this.#next();
    });
  }

  #end(result: LineResult): void {
    const lines = this.#lines;
    if (this.#done > 0) this.#torn = this.#chunk[this.#done - 1] !== 0x0a;
    this.#lines = 0;
    this.#chunk = Buffer.alloc(0);
    if (lines > 0) this.#onEnd(result, lines);
  }
}
