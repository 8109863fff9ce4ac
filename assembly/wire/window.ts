import { HoleKind, WireStatus } from './codes';

/**
 * Linear memory, sized once:
 *
 * ```
 *  body    [4 MiB + 128]   the body, then zeros: a NUL ends every scan, because JSON has none outside an escape
 *  holes   [1024 x 16 B]   kind u32 | start u32 | end u32 | rows u32      offsets from the body's first byte
 *  styles  [1024 x u8]     of a hole with rows: in JSON 1 where they are numbers and nulls only, in a message an Elements
 *  skips   [1024 x u32]    bytes of a hole that are not in the window: what is behind them stands so much further back
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
export const styles: usize = heap.alloc(<usize>HOLES_MAX);
export const skips: usize = heap.alloc(<usize>HOLES_MAX * 4);
export const cuts: usize = heap.alloc(<usize>CUTS_MAX * 4);
export const ids: usize = heap.alloc(<usize>CUTS_MAX * 4);
export const found: usize = heap.alloc(6 * 4);

/** Why the last scan failed, and where. Set by the first failure only. */
export let failure: WireStatus = WireStatus.Ok;
export let failureAt: usize = 0;
export let holeCount: u32 = 0;
/** Bytes of the body that were skipped so far: offsets in it are larger by so much than those in the window. */
let skipped: u32 = 0;

export function beginScan(): void {
  failure = WireStatus.Ok;
  failureAt = 0;
  holeCount = 0;
  skipped = 0;
}

/** Notes a failure and returns 0, the position that means failure. */
export function fail(status: WireStatus, at: usize): usize {
  if (failure == WireStatus.Ok) {
    failure = status;
    failureAt = at - body + skipped;
  }
  return 0;
}

/** Appends a hole; false when there is no room. */
export function addHole(kind: u32, start: usize, end: usize, rows: u32, style: u32 = 0): bool {
  if (holeCount == HOLES_MAX) {
    fail(WireStatus.TooMany, start);
    return false;
  }
  const at = holes + (<usize>holeCount << 4);
  store<u32>(at, kind);
  store<u32>(at, <u32>(start - body) + skipped, 4);
  store<u32>(at, <u32>(end - body) + skipped, 8);
  store<u32>(at, rows, 12);
  store<u8>(styles + holeCount, <u8>style);
  store<u32>(skips + (<usize>holeCount << 2), 0);
  holeCount++;
  return true;
}

/** Of the hole that was appended last, `bytes` bytes do not come into the window. */
export function skipBytes(bytes: u32): void {
  store<u32>(skips + (<usize>(holeCount - 1) << 2), bytes);
  skipped += bytes;
}

/** What a length announces has been read: the holes in it are those from the next one up to here. */
export function closeHole(hole: u32): void {
  store<u32>(holes + (<usize>hole << 4), holeCount, 12);
}

/** Says of a raw tensor what it holds. */
export function setRaw(hole: u32, kind: HoleKind, elements: u32): void {
  store<u32>(holes + (<usize>hole << 4), kind);
  store<u32>(holes + (<usize>hole << 4), elements, 12);
}

/** Notes a failure that lies at a hole. */
export function failAtHole(status: WireStatus, hole: u32): void {
  fail(status, body);
  failureAt = load<u32>(holes + (<usize>hole << 4), 4);
}
