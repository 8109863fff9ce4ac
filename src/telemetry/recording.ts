import {
  blockAt,
  blockHeadBytes,
  nextMagic,
  type RecordedRequest,
  readRecord,
  recordBytes,
  type SegmentHead,
} from './recording-format.ts';

/** A file is no recording, or one that this version cannot read. */
export class RecordingError extends Error {
  readonly code = 'PL_RECORDING';
}

/** What a recording holds, in the order of arrival. Records stay as they are in the file until one is asked for. */
export class Recording {
  readonly segments: readonly SegmentHead[];
  /** Bytes that were not whole or not sound: the end of a file whose writer was killed. */
  readonly skippedBytes: number;
  readonly #blocks: readonly { readonly bytes: Buffer; readonly startMs: number; readonly first: number }[];
  readonly #order: Uint32Array;

  /** @throws {RecordingError} */
  constructor(bytes: Buffer) {
    const segments: SegmentHead[] = [];
    const blocks: { bytes: Buffer; startMs: number; first: number }[] = [];
    let skipped = 0;
    let records = 0;
    let startMs = Number.NaN;
    for (let at = 0; at < bytes.length; ) {
      const block = blockAt(bytes, at);
      if (!block) {
        const next = nextMagic(bytes, at + 1);
        skipped += next - at;
        at = next;
        continue;
      }
      at += blockHeadBytes + block.payload.length;
      if (block.kind === 'H') {
        const head = headOf(block.payload);
        startMs = Date.parse(head.startedAt);
        segments.push(head);
      } else if (Number.isNaN(startMs)) skipped += block.payload.length;
      else {
        blocks.push({ bytes: block.payload, startMs, first: records });
        records += Math.floor(block.payload.length / recordBytes);
      }
    }
    if (segments.length === 0) throw new RecordingError('the file is no recording: no part of it begins as one');
    this.segments = segments;
    this.skippedBytes = skipped;
    this.#blocks = blocks;
    const arrivals = new Float64Array(records);
    for (const { bytes: block, startMs: start, first } of blocks) {
      for (let i = 0; i < Math.floor(block.length / recordBytes); i++) {
        arrivals[first + i] = start + readRecord(block, i * recordBytes).atMs;
      }
    }
    this.#order = Uint32Array.from({ length: records }, (_, i) => i).sort(
      (one, other) => (arrivals[one] as number) - (arrivals[other] as number) || one - other,
    );
  }

  get length(): number {
    return this.#order.length;
  }

  /** The request that came at this place of the order; its `atMs` is since 1970. */
  at(place: number): RecordedRequest {
    const number = this.#order[place] as number;
    let low = 0;
    for (let high = this.#blocks.length - 1; low < high; ) {
      const middle = (low + high + 1) >> 1;
      if ((this.#blocks[middle]?.first ?? 0) <= number) low = middle;
      else high = middle - 1;
    }
    const block = this.#blocks[low] as { bytes: Buffer; startMs: number; first: number };
    const record = readRecord(block.bytes, (number - block.first) * recordBytes);
    return { ...record, atMs: block.startMs + record.atMs };
  }

  *[Symbol.iterator](): Generator<RecordedRequest> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }
}

function headOf(payload: Buffer): SegmentHead {
  const head = JSON.parse(payload.toString('utf8')) as Partial<SegmentHead>;
  if (head.version !== 1) {
    throw new RecordingError(`the recording is of version ${head.version}, and this program reads version 1`);
  }
  const { startedAt, sloMs } = head;
  if (typeof startedAt !== 'string' || Number.isNaN(Date.parse(startedAt)) || typeof sloMs !== 'number') {
    throw new RecordingError('the head of the recording says neither when it began nor what the SLO was');
  }
  return { version: 1, startedAt, sloMs };
}
