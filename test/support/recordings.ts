import { blockOf, type RecordedRequest, recordBytes, writeRecord } from '../../src/telemetry/recording-format.ts';

const one: RecordedRequest = {
  ...{ atMs: 0, status: 200, lane: 1, requestBytes: 100, responseBytes: 50, totalMs: 30, waitedMs: 5, execMs: 20 },
  ...{ objectiveMs: 200, items: 1, batch: 2, outcome: 'in-time', protocol: 'v1' },
};

/** The bytes of a recording with these requests, whose segment began at the given time. */
export function recordingOf(
  requests: readonly Partial<RecordedRequest>[],
  { startedAt = '2026-01-01T00:00:00.000Z', sloMs = 200 } = {},
): Buffer {
  const records = Buffer.alloc(requests.length * recordBytes);
  for (const [i, request] of requests.entries()) writeRecord(records, i * recordBytes, { ...one, ...request });
  const head = blockOf('H', Buffer.from(JSON.stringify({ version: 1, startedAt, sloMs })));
  return requests.length === 0 ? head : Buffer.concat([head, blockOf('R', records)]);
}
