import { HoleKind } from './codes';
import { cutPart } from './rows';
import { skipSpace } from './text';
import { body, BODY_MAX, cuts, holeCount, holes, ids, styles } from './window';

/**
 * Writes out the replies of all callers behind the measured reply: its template, filled with each caller's rows, number
 * of rows and room for its id. For small replies only: a large one is given back as offsets and never copied.
 *
 * ```
 *  body    reply | zeros [128] | part 0 | part 1 | ... ]   parts end at BODY_MAX at the latest
 *  cuts    in: items of each part                     out: where it ends
 *  ids     in: bytes of its id                        out: where they belong
 *  next    [16 x u32]   of each list: where the next part's rows begin
 * ```
 */
// @ts-ignore: decorator
@inline const LISTS_MAX: u32 = 16;
const next: usize = heap.alloc(<usize>LISTS_MAX * 4);

/** Where the first part begins. */
export function renderStart(length: u32): usize {
  return (body + length + 143) & ~15;
}

/**
 * Writes `parts` parts of a reply of `length` bytes. False: a list cannot be shared as the parts ask, or there is no
 * room. Copies go sixteen bytes at a time and beyond the end, where the next piece overwrites them.
 */
export function renderParts(length: u32, parts: u32): bool {
  let total: u32 = 0;
  for (let i: u32 = 0; i < parts; i++) total += load<u32>(cuts + (<usize>i << 2));
  if (total == 0 || !beginLists(total)) return false;
  let to = renderStart(length);
  for (let i: u32 = 0; i < parts; i++) {
    const entry = <usize>i << 2;
    const items = load<u32>(cuts + entry);
    let from = body;
    let list: u32 = 0;
    for (let h: u32 = 0; h < holeCount; h++) {
      const hole = holes + (<usize>h << 4);
      const start = body + load<u32>(hole, 4);
      const end = body + load<u32>(hole, 8);
      if (to + (end - from) + load<u32>(ids + entry) + 48 > body + BODY_MAX) return false;
      to = copy(to, from, start);
      from = end;
      const kind = load<u32>(hole);
      if (kind == HoleKind.Count) to = writeNumber(to, items);
      else if (kind == HoleKind.Id) {
        const room = load<u32>(ids + entry);
        store<u32>(ids + entry, <u32>(to - body));
        to += room;
      } else {
        const cursor = next + (<usize>list << 2);
        const rows = body + load<u32>(cursor);
        const stop = cutPart(rows, end, items * (load<u32>(hole, 12) / total), load<u8>(styles + h) != 0);
        if (stop == 0) return false;
        to = copy(to, rows, stop);
        list++;
        let after = skipSpace(stop);
        if (i + 1 < parts) {
          if (load<u8>(after) != 0x2c) return false;
          after = skipSpace(after + 1);
        } else if (after < end) return false;
        store<u32>(cursor, <u32>(after - body));
      }
    }
    if (to + (length - (from - body)) + 16 > body + BODY_MAX) return false;
    to = copy(to, from, body + length);
    store<u32>(cuts + entry, <u32>(to - body));
  }
  return true;
}

/** Puts every list's cursor on its first row. A list must have the same number of elements for each of `total` items. */
function beginLists(total: u32): bool {
  let list: u32 = 0;
  for (let h: u32 = 0; h < holeCount; h++) {
    const hole = holes + (<usize>h << 4);
    if (load<u32>(hole) != HoleKind.Rows) continue;
    const rows = load<u32>(hole, 12);
    if (rows == 0 || rows % total != 0 || list == LISTS_MAX) return false;
    store<u32>(next + (<usize>list << 2), <u32>(skipSpace(body + load<u32>(hole, 4)) - body));
    list++;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function copy(to: usize, from: usize, end: usize): usize {
  const after = to + (end - from);
  if (ASC_FEATURE_SIMD) {
    while (from < end) {
      v128.store(to, v128.load(from));
      to += 16;
      from += 16;
    }
  } else {
    while (from < end) {
      store<u64>(to, load<u64>(from));
      to += 8;
      from += 8;
    }
  }
  return after;
}

function writeNumber(to: usize, value: u32): usize {
  let digits: u32 = 1;
  for (let rest = value; rest >= 10; rest /= 10) digits++;
  for (let i = digits; i > 0; i--) {
    store<u8>(to + i - 1, 0x30 + (value % 10));
    value /= 10;
  }
  return to + digits;
}
