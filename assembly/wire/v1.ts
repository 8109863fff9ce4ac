import { scanBeside } from './beside';
import { WireStatus } from './codes';
import { closed, closeObject, keyIs, nextKey, nextMember, openObject } from './fields';
import { formOf, rowCount, rowKinds, rowsOfOneKind, rowStructure, scanRows } from './rows';
import { skipSpace } from './text';
import { scanValue } from './value';
import { fail } from './window';

/** Items of the body that was measured last, and the form of its rows (0: mixed). */
export let itemsV1: u32 = 0;
export let formV1: u32 = 0;

/**
 * A V1 request (`instances`, or `inputs` as a row list) or, with `reply`, a V1 reply (`predictions`). One hole: the rows.
 * Returns the position behind the object.
 */
export function measureV1(p: usize, reply: bool): usize {
  if (load<u8>(p) != 0x7b) {
    const end = scanValue(p, 0);
    return end == 0 ? 0 : fail(WireStatus.PassThrough, p);
  }
  const mark = openObject();
  const start = p;
  let lists: u32 = 0;
  let columnar = false;
  p = skipSpace(p + 1);
  if (load<u8>(p) == 0x7d) return fail(WireStatus.PassThrough, start);
  while (true) {
    p = nextKey(p, mark);
    if (p == 0) return 0;
    const rows = reply ? keyIs('predictions') : keyIs('instances') || keyIs('inputs');
    if (rows && load<u8>(p) == 0x5b) {
      p = scanRows(p, 1);
      itemsV1 = rowCount;
      formV1 = rowStructure != 0 && rowsOfOneKind ? formOf(rowStructure, rowKinds) : 0;
      lists++;
    } else if (rows && (reply || keyIs('instances'))) {
      p = scanValue(p, 1);
      if (p != 0) return fail(WireStatus.Type, start);
    } else {
      if (rows) columnar = true;
      p = reply ? scanBeside(p, 1) : scanValue(p, 1);
    }
    if (p == 0) return 0;
    p = nextMember(p);
    if (p == 0) return 0;
    if (closed) break;
  }
  closeObject(mark);
  if (lists != 1 || columnar) return fail(WireStatus.PassThrough, start);
  return p;
}
