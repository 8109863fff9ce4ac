import { crc32 } from 'node:zlib';

// The form of a recording: docs/observing.md draws it. All numbers are little-endian.

/** How a recorded request ended. */
export const recordedOutcomes = ['', 'in-time', 'late', 'refused', 'failed', 'left', 'passed'] as const;
export type RecordedOutcome = Exclude<(typeof recordedOutcomes)[number], ''>;

/** What a recorded request spoke; `passed`: something that is not batched. */
export const recordedProtocols = ['passed', 'v1', 'v2', 'grpc'] as const;
export type RecordedProtocol = (typeof recordedProtocols)[number];

/** One request without its payload. Times in ms, sizes in bytes. */
export interface RecordedRequest {
  /** When its head was read, since the beginning of its segment. */
  readonly atMs: number;
  readonly status: number;
  /** Equal for requests that may share a batch, within one segment. */
  readonly lane: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly totalMs: number;
  /** Of it, waiting for the model or for company, and the call to the model. */
  readonly waitedMs: number;
  readonly execMs: number;
  /** From its arrival; 0 where it had none. */
  readonly objectiveMs: number;
  readonly items: number;
  /** Requests in the call that answered it; 0 where there was none. */
  readonly batch: number;
  readonly outcome: RecordedOutcome;
  readonly protocol: RecordedProtocol;
}

/** How a segment begins: a companion's start, or a new file. */
export interface SegmentHead {
  readonly version: 1;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly sloMs: number;
}

export const recordBytes = 44;
/** Three letters that begin each block, and a fourth that says what is in it. */
const magic = 'PLR';
export const blockHeadBytes = 12;
/** No block is longer: what says otherwise is damaged. */
export const blockBytesMax = 1 << 20;
export type BlockKind = 'H' | 'R';

/** The head of a block and what is in it. */
export function blockOf(kind: BlockKind, payload: Buffer): Buffer {
  const head = Buffer.alloc(blockHeadBytes);
  head.write(magic + kind, 0, 'latin1');
  head.writeUInt32LE(payload.length, 4);
  head.writeUInt32LE(crc32(payload), 8);
  return Buffer.concat([head, payload]);
}

/** The block at a place, or undefined where there is no whole and sound one. */
export function blockAt(bytes: Buffer, at: number): { kind: BlockKind; payload: Buffer } | undefined {
  if (at + blockHeadBytes > bytes.length || bytes.toString('latin1', at, at + 3) !== magic) return undefined;
  const kind = String.fromCharCode(bytes[at + 3] as number);
  const length = bytes.readUInt32LE(at + 4);
  const end = at + blockHeadBytes + length;
  if ((kind !== 'H' && kind !== 'R') || length > blockBytesMax || end > bytes.length) return undefined;
  const payload = bytes.subarray(at + blockHeadBytes, end);
  return crc32(payload) === bytes.readUInt32LE(at + 8) ? { kind, payload } : undefined;
}

/** Where the next block may begin, from a place on; the end where none does. */
export function nextMagic(bytes: Buffer, from: number): number {
  const at = bytes.indexOf(magic, from, 'latin1');
  return at < 0 ? bytes.length : at;
}

export function writeRecord(to: Buffer, at: number, record: RecordedRequest): void {
  to.writeUIntLE(Math.min(Math.max(0, Math.round(record.atMs * 1000)), 2 ** 48 - 1), at, 6);
  to.writeUInt16LE(record.status & 0xffff, at + 6);
  to.writeUInt32LE(record.lane >>> 0, at + 8);
  to.writeUInt32LE(bounded(record.requestBytes), at + 12);
  to.writeUInt32LE(bounded(record.responseBytes), at + 16);
  to.writeUInt32LE(microseconds(record.totalMs), at + 20);
  to.writeUInt32LE(microseconds(record.waitedMs), at + 24);
  to.writeUInt32LE(microseconds(record.execMs), at + 28);
  to.writeUInt32LE(microseconds(record.objectiveMs), at + 32);
  to.writeUInt16LE(Math.min(record.items, 0xffff), at + 36);
  to.writeUInt16LE(Math.min(record.batch, 0xffff), at + 38);
  to.writeUInt8(recordedOutcomes.indexOf(record.outcome), at + 40);
  to.writeUInt8(recordedProtocols.indexOf(record.protocol), at + 41);
  to.writeUInt16LE(0, at + 42);
}

export function readRecord(from: Buffer, at: number): RecordedRequest {
  return {
    atMs: from.readUIntLE(at, 6) / 1000,
    status: from.readUInt16LE(at + 6),
    lane: from.readUInt32LE(at + 8),
    requestBytes: from.readUInt32LE(at + 12),
    responseBytes: from.readUInt32LE(at + 16),
    totalMs: from.readUInt32LE(at + 20) / 1000,
    waitedMs: from.readUInt32LE(at + 24) / 1000,
    execMs: from.readUInt32LE(at + 28) / 1000,
    objectiveMs: from.readUInt32LE(at + 32) / 1000,
    items: from.readUInt16LE(at + 36),
    batch: from.readUInt16LE(at + 38),
    // What a later version knows and this one does not.
    outcome: recordedOutcomes[from.readUInt8(at + 40)] || 'failed',
    protocol: recordedProtocols[from.readUInt8(at + 41)] ?? 'passed',
  };
}

/** 71 minutes at most. */
function microseconds(ms: number): number {
  return bounded(Math.round(ms * 1000));
}

function bounded(value: number): number {
  return Math.min(Math.max(0, value), 0xffffffff);
}
