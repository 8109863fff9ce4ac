import { randomBytes } from 'node:crypto';
import type { CompanionOptions } from '../../policy/companion-options.ts';
import type { Log } from '../../telemetry/log.ts';
import type { RecordedOutcome, RecordedRequest } from '../../telemetry/recording-format.ts';
import { RecordingWriter, type RecordResult } from '../../telemetry/recording-writer.ts';
import type { Account, AccountReader } from './account.ts';

/** Lanes whose hash is kept at hand. */
const knownMax = 1024;

/** Records each request without its payload, for `paceline replay` and `paceline simulate`. */
export class Recorder implements AccountReader {
  readonly #writer: RecordingWriter | undefined;
  readonly #onEnd: (result: RecordResult, records: number) => void;
  readonly #lanes = new Map<string, number>();
  /** Lane keys hold values of headers: without the salt, which is nowhere written, their hash says nothing about them. */
  readonly #salt = randomBytes(16).toString('hex');

  /** @param onEnd hears what became of records. */
  constructor(options: CompanionOptions, log: Log, onEnd: (result: RecordResult, records: number) => void) {
    this.#onEnd = onEnd;
    const failed = (error: unknown) =>
      log.error(
        { code: 'PL_RECORD', file: options.record, detail: String(error) },
        'nothing is recorded any more: the file cannot be written. Requests are served all the same',
      );
    const bounds = { bytesMax: options.recordBytes, sloMs: options.sloMs };
    try {
      this.#writer = new RecordingWriter(options.record, bounds, onEnd, failed);
    } catch (error) {
      failed(error);
    }
  }

  ended(account: Account): void {
    if (this.#writer) this.#writer.add(this.#recordOf(account));
    else this.#onEnd('dropped', 1);
  }

  async close(): Promise<void> {
    await this.#writer?.close();
  }

  #recordOf(account: Account): RecordedRequest {
    const { exchange, request } = account;
    const { queueMs, waitMs } = account.waited;
    const objective = exchange && exchange.softDeadline > 0 ? exchange.softDeadline - exchange.arrivedAt : 0;
    return {
      atMs: account.receivedAt,
      status: account.status,
      lane: this.#hashOf(exchange?.laneKey || `${request.method} ${request.url}`),
      requestBytes: account.requestBytes,
      responseBytes: account.responseBytes,
      totalMs: (exchange?.answeredAt || account.endedAt) - account.receivedAt,
      waitedMs: queueMs + waitMs,
      execMs: exchange?.execMs ?? 0,
      objectiveMs: objective,
      items: exchange?.measured.items ?? 0,
      batch: exchange?.batch ?? 0,
      outcome: outcomeOf(account),
      protocol: exchange?.protocol.name ?? 'passed',
    };
  }

  /** FNV-1a over the salt and the key. */
  #hashOf(key: string): number {
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    let hash = 0x811c9dc5;
    const text = this.#salt + key;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    if (this.#lanes.size >= knownMax) this.#lanes.clear();
    this.#lanes.set(key, hash >>> 0);
    return hash >>> 0;
  }
}

function outcomeOf({ outcome, met }: Account): RecordedOutcome {
  if (outcome !== 'answered') return outcome;
  return met === false ? 'late' : 'in-time';
}
