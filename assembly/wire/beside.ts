import { WireStatus } from './codes';
import { skipSpace } from './text';
import { scanValue } from './value';
import { fail } from './window';

/**
 * The value of a reply's member that lies beside the rows. Every caller of a batch gets it, so it must speak of the batch
 * as a whole: numbers, strings and objects of them do; a list with elements may have one for each item.
 */
export function scanBeside(p: usize, depth: i32): usize {
  const end = scanValue(p, depth);
  if (end == 0) return 0;
  const first = load<u8>(p);
  if (first != 0x5b && first != 0x7b) return end;
  for (let at = p; at < end; at++) {
    const byte = load<u8>(at);
    if (byte == 0x22) at = endOfString(at);
    else if (byte == 0x5b && load<u8>(skipSpace(at + 1)) != 0x5d) return fail(WireStatus.ListBeside, at);
  }
  return end;
}

/** The closing quote of a valid string. */
function endOfString(p: usize): usize {
  for (p++; load<u8>(p) != 0x22; p++) if (load<u8>(p) == 0x5c) p++;
  return p;
}
