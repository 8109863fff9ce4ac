import { Template } from './codes';
import { body, holeCount, holes, skips } from './window';

/**
 * The templates of late: what bodies have outside their holes. Bodies of one lane share theirs, so a host that has seen
 * a template once knows it by its place in this table instead of building a key of it for each body.
 *
 * ```
 *  own      [1 KiB + 32]            of the body measured last: holes u32 | of each, bytes before it u24 and kind u8 | all these
 *                                   bytes, joined
 *  rows     [64 x 1 KiB + 32]       templates seen, each where its hash says; a newcomer takes the place of the last
 *  lengths  [64 x u32]              0: none yet
 *  forms    [64 x u32]              the form of the rows belongs to the key
 * ```
 *
 * The lengths are there because in a message any byte may follow any other: without them, one without a hole could be
 * written so that it joins as one that has it. Bytes behind a template's length are zeros up to a multiple of 16. Equal means equal byte for byte; the hash only
 * chooses the place.
 */
// @ts-ignore: decorator
@inline const LENGTH_MAX: u32 = 1024;
// @ts-ignore: decorator
@inline const STRIDE: usize = 1056;

const own: usize = heap.alloc(STRIDE);
const rows: usize = heap.alloc(STRIDE * <usize>Template.Places);
const lengths: usize = heap.alloc(<usize>Template.Places * 4);
const forms: usize = heap.alloc(<usize>Template.Places * 4);
memory.fill(lengths, 0, <usize>Template.Places * 4);

// @ts-ignore: decorator
@inline const NONE: u32 = 0xffffffff;

/** Finds the template of the measured body, `length` bytes long and with rows of `form`, or puts it in. Returns a Template. */
export function placeTemplate(length: u32, form: u32): u32 {
  const size = join(length);
  if (size == NONE) return Template.TooLong;
  const padded = (size + 15) & ~15;
  let hash: u64 = <u64>form * 0x9e3779b97f4a7c15 + size;
  for (let i: u32 = 0; i < padded; i += 8) hash = rotl(hash ^ load<u64>(own + i), 29) * 0x9e3779b97f4a7c15;
  const place = <u32>(hash >> 58);
  const row = rows + <usize>place * STRIDE;
  const note = <usize>place << 2;
  let same = load<u32>(lengths + note) == size && load<u32>(forms + note) == form;
  for (let i: u32 = 0; same && i < padded; i += 8) same = load<u64>(own + i) == load<u64>(row + i);
  if (same) return place;
  memory.copy(row, own, padded);
  store<u32>(lengths + note, size);
  store<u32>(forms + note, form);
  return Template.Places + place;
}

/** Joins holes and bytes in `own`, padded with zeros. Returns their length, or NONE. */
function join(length: u32): u32 {
  let note: u32 = 4;
  let to: u32 = note + (holeCount << 2);
  if (to > LENGTH_MAX) return NONE;
  store<u32>(own, holeCount);
  let from: u32 = 0;
  // Offsets in the window are smaller by what was skipped.
  let skipped: u32 = 0;
  for (let i: u32 = 0; i < holeCount; i++) {
    const hole = holes + (<usize>i << 4);
    const start = load<u32>(hole, 4) - skipped;
    if (to + (start - from) > LENGTH_MAX) return NONE;
    copyShort(own + to, body + from, start - from);
    to += start - from;
    store<u32>(own + note, ((start - from) << 8) | load<u32>(hole));
    note += 4;
    from = load<u32>(hole, 8) - skipped;
    const skip = load<u32>(skips + (<usize>i << 2));
    from -= skip;
    skipped += skip;
  }
  length -= skipped;
  if (to + (length - from) > LENGTH_MAX) return NONE;
  copyShort(own + to, body + from, length - from);
  to += length - from;
  store<u64>(own + to, 0);
  store<u64>(own + to, 0, 8);
  return to;
}

/** Eight bytes at a time, so up to seven beyond the end: both sides have room for them. */
// @ts-ignore: decorator
@inline
function copyShort(to: usize, from: usize, length: u32): void {
  for (let i: u32 = 0; i < length; i += 8) store<u64>(to + i, load<u64>(from + i));
}
