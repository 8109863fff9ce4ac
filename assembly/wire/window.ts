import { WireStatus } from './codes';

/**
 * Linear memory, sized once:
 *
 * ```
 *  body    [4 MiB + 128]   the body, then zeros: a NUL ends every scan, because JSON has none outside an escape
 *  holes   [1024 x 16 B]   kind u32 | start u32 | end u32 | rows u32      offsets from the body's first byte
 *  plain   [1024 x u8]     1 where a hole holds numbers and nulls only
 *  cuts    [65536 x u32]   in: rows of each part; out: the offset at which each part ends
 *  ids     [65536 x u32]   in: bytes of the id of each part; out: the offset at which it belongs
 *  found   [6 x u32]       items | form | offset of the failure | holes | template | offset of the first part
 * ```
 */
// @ts-ignore: decorator
@inline export const BODY_MAX: usize = 4 << 20;
// @ts-ignore: decorator
@inline export const HOLES_MAX: u32 = 1024;
// @ts-ignore: decorator
@inline export const CUTS_MAX: u32 = 65536;

export const body: usize = heap.alloc(BODY_MAX + 128);
export const holes: usize = heap.alloc(<usize>HOLES_MAX * 16);
export const plain: usize = heap.alloc(<usize>HOLES_MAX);
export const cuts: usize = heap.alloc(<usize>CUTS_MAX * 4);
export const ids: usize = heap.alloc(<usize>CUTS_MAX * 4);
export const found: usize = heap.alloc(6 * 4);

/** Why the last scan failed, and where. Set by the first failure only. */
export let failure: WireStatus = WireStatus.Ok;
export let failureAt: usize = 0;
export let holeCount: u32 = 0;

export function beginScan(): void {
  failure = WireStatus.Ok;
  failureAt = 0;
  holeCount = 0;
}

/** Notes a failure and returns 0, the position that means failure. */
export function fail(status: WireStatus, at: usize): usize {
  if (failure == WireStatus.Ok) {
    failure = status;
    failureAt = at - body;
  }
  return 0;
}

/** Appends a hole; false when there is no room. */
export function addHole(kind: u32, start: usize, end: usize, rows: u32, numbers: bool = false): bool {
  if (holeCount == HOLES_MAX) {
    fail(WireStatus.TooMany, start);
    return false;
  }
  const at = holes + (<usize>holeCount << 4);
  store<u32>(at, kind);
  store<u32>(at, <u32>(start - body), 4);
  store<u32>(at, <u32>(end - body), 8);
  store<u32>(at, rows, 12);
  store<u8>(plain + holeCount, numbers ? 1 : 0);
  holeCount++;
  return true;
}
