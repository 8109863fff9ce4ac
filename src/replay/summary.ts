import { quantileOf } from '../load/timed-call.ts';
import type { Recording } from '../telemetry/recording.ts';
import type { RecordedOutcome, RecordedRequest } from '../telemetry/recording-format.ts';

/** What a recording holds. Times in ms. */
export interface RecordingSummary {
  readonly requests: number;
  /** Those that may share a batch: what is replayed unless all are asked for. */
  readonly batchable: number;
  readonly startedAt: string;
  readonly seconds: number;
  readonly perSecond: number;
  /** Of the second with most. */
  readonly peakPerSecond: number;
  readonly lanes: number;
  readonly items: number;
  readonly meanRequestBytes: number;
  readonly sloMs: number;
  readonly skippedBytes: number;
  readonly outcomes: Readonly<Partial<Record<RecordedOutcome, number>>>;
  /** Share answered in time, of those with an objective. */
  readonly goodput: number | null;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

/** Whether a request is one that may share a batch. */
export function isBatchable({ protocol }: RecordedRequest): boolean {
  return protocol !== 'passed';
}

export function summaryOf(recording: Recording): RecordingSummary {
  const outcomes: Partial<Record<RecordedOutcome, number>> = {};
  const lanes = new Set<number>();
  const latencies: number[] = [];
  const seconds = new Map<number, number>();
  let [batchable, items, bytes, good, judged] = [0, 0, 0, 0, 0];
  for (const record of recording) {
    outcomes[record.outcome] = (outcomes[record.outcome] ?? 0) + 1;
    const second = Math.floor(record.atMs / 1000);
    seconds.set(second, (seconds.get(second) ?? 0) + 1);
    bytes += record.requestBytes;
    if (!isBatchable(record)) continue;
    batchable++;
    items += record.items;
    lanes.add(record.lane);
    if (record.outcome !== 'passed' && record.outcome !== 'left') judged++;
    if (record.outcome === 'in-time') good++;
    if (record.outcome === 'in-time' || record.outcome === 'late') latencies.push(record.totalMs);
  }
  latencies.sort((one, other) => one - other);
  const requests = recording.length;
  const first = requests > 0 ? recording.at(0).atMs : 0;
  const spanned = requests > 1 ? (recording.at(requests - 1).atMs - first) / 1000 : 0;
  return {
    requests,
    batchable,
    startedAt: new Date(requests > 0 ? first : Date.parse(recording.segments[0]?.startedAt ?? '')).toISOString(),
    seconds: rounded(spanned),
    perSecond: rounded(spanned > 0 ? (requests - 1) / spanned : requests),
    peakPerSecond: [...seconds.values()].reduce((most, each) => Math.max(most, each), 0),
    lanes: lanes.size,
    items,
    meanRequestBytes: requests > 0 ? Math.round(bytes / requests) : 0,
    sloMs: recording.segments[0]?.sloMs ?? 0,
    skippedBytes: recording.skippedBytes,
    outcomes,
    goodput: judged > 0 ? good / judged : null,
    p50Ms: figure(quantileOf(latencies, 0.5)),
    p99Ms: figure(quantileOf(latencies, 0.99)),
  };
}

/** A figure, or null where there is none: JSON knows no other. */
export function figure(value: number): number | null {
  return Number.isFinite(value) ? rounded(value) : null;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
