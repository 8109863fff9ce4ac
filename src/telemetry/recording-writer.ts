import { closeSync, fstatSync, openSync, renameSync, write } from 'node:fs';
import { blockOf, type RecordedRequest, recordBytes, type SegmentHead, writeRecord } from './recording-format.ts';

/** Records in one block at most, and blocks that may wait for the disk. */
const blockRecords = 1024;
const waitingMax = 16;
/** What was recorded is on its way to the file after this time. */
const eachMs = 1000;

/** What becomes of records. */
export type RecordResult = 'written' | 'dropped';

/**
 * Appends records to a file, block by block, so that whatever ends the process leaves all blocks before the last one
 * readable. Adding a record is a few writes into a buffer; where the disk does not keep up, records are dropped and counted.
 * When the file holds half of what it may, it becomes `FILE.1` in the place of an earlier one.
 */
export class RecordingWriter {
  readonly #file: string;
  readonly #bytesMax: number;
  readonly #sloMs: number;
  readonly #onEnd: (result: RecordResult, records: number) => void;
  readonly #onError: (error: Error) => void;
  /** -1 when it is closed. */
  #descriptor = -1;
  #fileBytes = 0;
  #startedAt = 0;
  #block = Buffer.alloc(blockRecords * recordBytes);
  #records = 0;
  /** Blocks that wait, with how many records each holds. */
  readonly #waiting: { bytes: Buffer; records: number }[] = [];
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param onEnd hears how many records were written or dropped
   * @param onError hears once why no more is written
   * @throws where the file cannot be opened.
   */
  constructor(
    file: string,
    { bytesMax, sloMs }: { bytesMax: number; sloMs: number },
    onEnd: (result: RecordResult, records: number) => void,
    onError: (error: Error) => void,
  ) {
    this.#file = file;
    this.#bytesMax = bytesMax;
    this.#sloMs = sloMs;
    this.#onEnd = onEnd;
    this.#onError = onError;
    this.#open();
  }

  /** @param record its `atMs` is on the clock of `performance.now()`. */
  add(record: RecordedRequest): void {
    if (this.#descriptor < 0) return this.#onEnd('dropped', 1);
    writeRecord(this.#block, this.#records * recordBytes, { ...record, atMs: record.atMs - this.#startedAt });
    if (++this.#records === blockRecords) this.#seal();
    else this.#timer ??= setTimeout(() => this.#seal(), eachMs).unref();
  }

  /** Writes whatever waits, also what is added meanwhile, and closes the file. */
  async close(): Promise<void> {
    // First what is under way: the last block then finds room.
    while (this.#writing) await this.#writing;
    for (this.#seal(); this.#writing; this.#seal()) await this.#writing;
    this.#shut();
  }

  #open(): void {
    this.#descriptor = openSync(this.#file, 'a', 0o600);
    this.#fileBytes = fstatSync(this.#descriptor).size;
    this.#startedAt = performance.now();
    const startedAt = new Date(performance.timeOrigin + this.#startedAt).toISOString();
    const head: SegmentHead = { version: 1, startedAt, sloMs: this.#sloMs };
    this.#waiting.unshift({ bytes: blockOf('H', Buffer.from(JSON.stringify(head))), records: 0 });
  }

  #seal(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const records = this.#records;
    if (records === 0) return;
    this.#records = 0;
    if (this.#waiting.length >= waitingMax) return this.#onEnd('dropped', records);
    this.#waiting.push({ bytes: blockOf('R', this.#block.subarray(0, records * recordBytes)), records });
    this.#start();
  }

  #start(): void {
    if (this.#writing || this.#waiting.length === 0 || this.#descriptor < 0) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
      // A block may have come after the last look.
      this.#start();
    });
  }

  async #write(): Promise<void> {
    for (let next = this.#waiting.shift(); next && this.#descriptor >= 0; next = this.#waiting.shift()) {
      try {
        await this.#append(next.bytes);
        this.#onEnd('written', next.records);
        next.records = 0;
        if (this.#fileBytes * 2 >= this.#bytesMax) this.#rotate();
      } catch (error) {
        // Of those that wait, those that failed, and the block that is being filled.
        const waiting = this.#waiting.splice(0).reduce((sum, { records }) => sum + records, 0);
        this.#onEnd('dropped', next.records + waiting + this.#records);
        this.#records = 0;
        clearTimeout(this.#timer);
        this.#timer = undefined;
        this.#shut();
        this.#onError(error as Error);
      }
    }
  }

  /** A write may be done in parts. */
  async #append(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const at = done;
      done += await new Promise<number>((resolve, reject) => {
        write(this.#descriptor, bytes, at, bytes.length - at, null, (error, count) =>
          error ? reject(error) : resolve(count),
        );
      });
    }
    this.#fileBytes += bytes.length;
  }

  /** Only where nothing waits: what does counts from the earlier beginning. */
  #rotate(): void {
    if (this.#waiting.length > 0) return;
    const records = this.#records;
    const before = this.#startedAt;
    this.#shut();
    renameSync(this.#file, `${this.#file}.1`);
    this.#open();
    // What is in the block that is being filled counts from the earlier beginning.
    const shiftUs = Math.round((this.#startedAt - before) * 1000);
    for (let i = 0; i < records; i++) {
      const at = i * recordBytes;
      this.#block.writeUIntLE(Math.max(0, this.#block.readUIntLE(at, 6) - shiftUs), at, 6);
    }
  }

  #shut(): void {
    if (this.#descriptor >= 0) closeSync(this.#descriptor);
    this.#descriptor = -1;
  }
}
