import { type Hole, HoleKind, type WireKernel } from '../kernels/wire.ts';
import type { MergeInput, SplitFailure } from './protocol.ts';

// What all protocols do with the holes of a template, however their numbers are written.

/** Whether a hole holds a tensor in raw bytes. */
export function isRaw({ kind }: Hole): boolean {
  return kind === HoleKind.Raw || kind === HoleKind.RawStrings;
}

/** The place of the first raw tensor among the holes. */
export function firstRaw(holes: readonly Hole[]): number {
  let at = holes.length;
  while (at > 0 && isRaw(holes[at - 1] as Hole)) at--;
  return at;
}

export function sizeOf({ start, end }: { readonly start: number; readonly end: number }): number {
  return end - start;
}

/** Bytes that one hole has in all requests. */
export function sumOfHoles(requests: readonly MergeInput[], index: number): number {
  let sum = 0;
  for (const { measured } of requests) sum += sizeOf(measured.holes[index] as Hole);
  return sum;
}

export function sumItems(requests: readonly MergeInput[]): number {
  let sum = 0;
  for (const { measured } of requests) sum += measured.items;
  return sum;
}

/**
 * Where the parts of a raw tensor end, in bytes from its start, if its `total` rows can be shared out as `rows` says; else
 * null. `windowed` bytes of the window are still needed.
 */
export function cutRaw(
  kernel: WireKernel,
  reply: Buffer,
  { kind, start, end, rows: elements }: Hole,
  rows: readonly number[],
  total: number,
  windowed: number,
): readonly number[] | null {
  const perRow = (kind === HoleKind.RawStrings ? elements : end - start) / total;
  if (!Number.isInteger(perRow)) return null;
  if (kind === HoleKind.RawStrings) return kernel.cutStrings(reply.subarray(start, end), windowed, rows, perRow);
  let at = 0;
  return rows.map((each) => {
    at += each * perRow;
    return at;
  });
}

/**
 * Whose timeout or priority a batch is given: the longest timeout and the most urgent priority (1); 0 says nothing in
 * either. `read` reads that hole of a request.
 */
export function strictest(
  kind: HoleKind,
  requests: readonly MergeInput[],
  read: (request: MergeInput) => number,
): MergeInput {
  const rankOf = (request: MergeInput) => {
    const value = read(request) || Number.POSITIVE_INFINITY;
    return kind === HoleKind.Timeout ? value : -value;
  };
  return requests.reduce((best, each) => (rankOf(each) > rankOf(best) ? each : best));
}

export function failure(failed: SplitFailure['failed'], message: string): SplitFailure {
  return { failed, message };
}
