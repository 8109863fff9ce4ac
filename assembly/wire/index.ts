// wire.wasm: validates JSON inference bodies in its window and says where their parts lie. It returns offsets; bodies
// stay with the host.
//
// A measured body is a template with holes: rows, first dimensions, the id. Bodies whose templates are equal byte for
// byte (and whose rows have one form) may be merged by filling the holes of the first with the rows of all; a reply is
// split by filling its holes with each caller's rows. Nothing outside the holes is ever touched.
import { WireAbi, WireStatus } from './codes';
import { resetKeys } from './fields';
import { cutElements } from './elements';
import { beginMessage, endMessage, nextAt, stepMessage } from './message';
import { beginRaws, cutStrings, placeRaws } from './raw';
import { renderParts, renderStart } from './render';
import { cutRows } from './rows';
import { placeTemplate } from './template';
import { formOfContents } from './tensor';
import { skipSpace } from './text';
import { formV1, itemsV1, measureV1 } from './v1';
import { formV2, itemsV2, measureV2 } from './v2';
import { scanValue } from './value';
import { beginScan, body, BODY_MAX, cuts, CUTS_MAX, fail, failure, failureAt, found, holeCount, holes, ids, styles } from './window';

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

/** What the last scan found, six u32: items, form of the rows (0: mixed), failure, holes, template, first part. */
export function found_at(): usize {
  return found;
}

/** The table that `cut` reads and writes. */
export function cuts_at(): usize {
  return cuts;
}

export function cuts_max(): u32 {
  return CUTS_MAX;
}

/** The table of ids that `render` reads and writes. */
export function ids_at(): usize {
  return ids;
}

/** Whether `length` bytes in the window are one JSON text by RFC 8259, nested no deeper than 64. */
export function validate(length: u32): u32 {
  open(length);
  finish(scanValue(skipSpace(body), 0), length);
  store<u32>(found, <u32>failureAt, 8);
  return failure;
}

/** Validates and measures a V1 body, or a V1 reply. Returns a WireStatus; the rest is then in the table of findings. */
export function measure_v1(length: u32, reply: u32): u32 {
  open(length);
  finish(measureV1(skipSpace(body), reply != 0), length);
  return settle(length, itemsV1, formV1, reply != 0);
}

/** The same for V2. */
export function measure_v2(length: u32, reply: u32): u32 {
  open(length);
  finish(measureV2(skipSpace(body), reply != 0, false), length);
  return settle(length, itemsV2, formV2, reply != 0);
}

/** The same for a V2 body of `length` bytes of JSON in the window and `raw` bytes of tensors behind it, which are not. */
export function measure_raw(length: u32, raw: u32, reply: u32): u32 {
  open(length);
  beginRaws();
  finish(measureV2(skipSpace(body), reply != 0, true), length);
  if (failure == WireStatus.Ok) placeRaws(length, raw);
  return settle(length, itemsV2, formV2, reply != 0, raw);
}

/**
 * Cuts the list in hole `hole` of the measured body into `parts`, whose rows stand in `cuts`; a row has `per_row`
 * elements of the list. Afterwards `cuts` holds where each part ends. 0: the list has another length.
 */
export function cut(hole: u32, parts: u32, per_row: u32): u32 {
  assert(hole < holeCount && parts <= CUTS_MAX && per_row >= 1);
  const at = holes + (<usize>hole << 4);
  const numbers = load<u8>(styles + hole) != 0;
  return cutRows(body, body + load<u32>(at, 4), body + load<u32>(at, 8), numbers, parts, per_row) ? 1 : 0;
}

/** Cuts a BYTES tensor of `length` bytes at `at` of the window, as `cut` does. 0: its lengths do not fill it so. */
export function cut_strings(at: u32, length: u32, parts: u32, per_row: u32): u32 {
  assert(<usize>at + length <= BODY_MAX && parts <= CUTS_MAX);
  return cutStrings(body + at, body + at + length, parts, per_row) ? 1 : 0;
}

/**
 * Writes the parts of the measured reply of `length` bytes behind it. `cuts` holds the items of each part and `ids` the
 * bytes of its id; afterwards they hold where the part ends and where its id belongs. 0: it has to be cut, not rendered.
 */
export function render(length: u32, parts: u32): u32 {
  assert(<usize>length <= BODY_MAX && parts <= CUTS_MAX);
  store<u32>(found, <u32>(renderStart(length) - body), 20);
  return renderParts(length, parts) ? 1 : 0;
}

/** Starts a ModelInferRequest, or with `reply` a ModelInferResponse. */
export function message_begin(reply: u32): void {
  beginScan();
  beginMessage(reply != 0);
}

/**
 * Reads the piece of `bytes` bytes at `at` of the window, the next one of a message of which `left` bytes are still to
 * come. Returns how many of them are done with, or u32.MAX_VALUE where the message is none; the table of findings then
 * says where in the window the rest goes on.
 */
export function message_step(at: u32, bytes: u32, left: u32): u32 {
  assert(<usize>at + bytes <= BODY_MAX);
  const done = stepMessage(body + at, bytes, left);
  store<u32>(found, <u32>(nextAt - body), 20);
  return done;
}

/** Ends a message of `length` bytes and writes the findings down. Returns a WireStatus. */
export function message_end(length: u32, reply: u32): u32 {
  const items = endMessage();
  if (failure == WireStatus.Ok) {
    store<u32>(found, items);
    store<u32>(found, formOfContents, 4);
    store<u32>(found, holeCount, 12);
    if (reply == 0) store<u32>(found, placeTemplate(length, formOfContents), 16);
  } else store<u32>(found, <u32>failureAt, 8);
  return failure;
}

/** As `cut`, for the elements in hole `hole` of a message that is all in the window. */
export function cut_elements(hole: u32, parts: u32, per_row: u32): u32 {
  assert(hole < holeCount && parts <= CUTS_MAX && per_row >= 1);
  const at = holes + (<usize>hole << 4);
  const style = load<u8>(styles + hole);
  return cutElements(body, body + load<u32>(at, 4), body + load<u32>(at, 8), style, parts, per_row) ? 1 : 0;
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
 * Writes the findings down. A scan that stopped early because of what the body says, not because of its syntax, has not
 * seen the rest: what is forwarded or refused for another reason must be JSON all the same.
 */
function settle(length: u32, items: u32, form: u32, reply: bool, raw: u32 = 0): u32 {
  let status = failure;
  if (status == WireStatus.Ok) {
    store<u32>(found, items);
    store<u32>(found, form, 4);
    store<u32>(found, holeCount, 12);
    if (!reply) store<u32>(found, placeTemplate(length + raw, form), 16);
    return status;
  }
  if (status != WireStatus.Syntax && status != WireStatus.Depth && status != WireStatus.Encoding) {
    const at = failureAt;
    if (validate(length) == WireStatus.Ok) fail(status, body + at);
    else status = failure;
  }
  store<u32>(found, <u32>failureAt, 8);
  return status;
}
