// wire.wasm: validates JSON inference bodies in its window and says where their parts lie. It returns offsets; bodies
// stay with the host.
//
// A measured body is a template with holes: rows, first dimensions, the id. Bodies whose templates are equal byte for
// byte (and whose rows have one form) may be merged by filling the holes of the first with the rows of all; a reply is
// split by filling its holes with each caller's rows. Nothing outside the holes is ever touched.
import { WireAbi, WireStatus } from './codes';
import { resetKeys } from './fields';
import { cutRows } from './rows';
import { skipSpace } from './text';
import { formV1, itemsV1, measureV1 } from './v1';
import { formV2, itemsV2, measureV2 } from './v2';
import { scanValue } from './value';
import { beginScan, body, BODY_MAX, cuts, CUTS_MAX, fail, failure, failureAt, holeCount, holes, plain } from './window';

let items: u32 = 0;
let form: u32 = 0;

export function abi_version(): u32 {
  return WireAbi.Version;
}

/** Where the host writes a body, and how large it may be. */
export function body_at(): usize {
  return body;
}

export function body_max(): usize {
  return BODY_MAX;
}

/** The table of holes: kind, start, end, rows; 16 bytes each. */
export function holes_at(): usize {
  return holes;
}

export function hole_count(): u32 {
  return holeCount;
}

/** The table that `cut` reads and writes. */
export function cuts_at(): usize {
  return cuts;
}

export function cuts_max(): u32 {
  return CUTS_MAX;
}

/** Offset of the last failure. */
export function failed_at(): u32 {
  return <u32>failureAt;
}

/** Items of the body that was measured last. */
export function measured_items(): u32 {
  return items;
}

/** A hash of the form of its rows; 0 where they differ among themselves. */
export function measured_form(): u32 {
  return form;
}

/** Whether `length` bytes in the window are one JSON text by RFC 8259, nested no deeper than 64. */
export function validate(length: u32): u32 {
  open(length);
  finish(scanValue(skipSpace(body), 0), length);
  return failure;
}

/** Validates and measures a V1 body, or a V1 reply. Returns a WireStatus; the items are then in `measured_items`. */
export function measure_v1(length: u32, reply: u32): u32 {
  open(length);
  finish(measureV1(skipSpace(body), reply != 0), length);
  items = itemsV1;
  form = formV1;
  return settle(length);
}

/** The same for V2. */
export function measure_v2(length: u32, reply: u32): u32 {
  open(length);
  finish(measureV2(skipSpace(body), reply != 0), length);
  items = itemsV2;
  form = formV2;
  return settle(length);
}

/**
 * Cuts the list in hole `hole` of the measured body into `parts`, whose rows stand in `cuts`; a row has `per_row`
 * elements of the list. Afterwards `cuts` holds where each part ends. 0: the list has another length.
 */
export function cut(hole: u32, parts: u32, per_row: u32): u32 {
  assert(hole < holeCount && parts <= CUTS_MAX && per_row >= 1);
  const at = holes + (<usize>hole << 4);
  const numbers = load<u8>(plain + hole) != 0;
  return cutRows(body, body + load<u32>(at, 4), body + load<u32>(at, 8), numbers, parts, per_row) ? 1 : 0;
}

/** Starts a scan: the zeros behind the body end it wherever it is cut off. */
function open(length: u32): void {
  assert(<usize>length <= BODY_MAX);
  memory.fill(body + length, 0, 128);
  resetKeys();
  beginScan();
}

function finish(end: usize, length: u32): void {
  if (end != 0 && skipSpace(end) != body + length) fail(WireStatus.Syntax, skipSpace(end));
}

/**
 * A scan that stopped early because of what the body says, not because of its syntax, has not seen the rest: what is
 * forwarded or refused for another reason must be JSON all the same.
 */
function settle(length: u32): u32 {
  const found = failure;
  if (found == WireStatus.Ok || found == WireStatus.Syntax || found == WireStatus.Depth || found == WireStatus.Encoding)
    return found;
  const at = failureAt;
  if (validate(length) != WireStatus.Ok) return failure;
  fail(found, body + at);
  return found;
}
