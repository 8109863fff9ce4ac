import { type Scan, WireStatus } from '../kernels/wire.ts';
import type { BodyRefusal } from './protocol.ts';

const refusals: Partial<Record<WireStatus, { code: string; message: string }>> = {
  [WireStatus.Syntax]: { code: 'PL_BODY_SYNTAX', message: 'the body is not valid JSON' },
  [WireStatus.Depth]: { code: 'PL_BODY_DEPTH', message: 'the body nests deeper than 64 levels' },
  [WireStatus.Encoding]: { code: 'PL_BODY_ENCODING', message: 'the body is not valid UTF-8' },
  [WireStatus.DuplicateKey]: { code: 'PL_BODY_DUPLICATE_KEY', message: 'a key occurs twice in one object' },
  [WireStatus.Type]: { code: 'PL_BODY_TYPE', message: 'a field is missing or has the wrong type' },
  [WireStatus.Shape]: { code: 'PL_BODY_SHAPE', message: 'shape and data of a tensor do not agree' },
  [WireStatus.Raw]: { code: 'PL_BODY_BINARY', message: 'sizes, shapes and bytes of the binary tensors do not agree' },
  [WireStatus.Message]: { code: 'PL_BODY_MESSAGE', message: 'the body is not a valid protobuf message' },
};

/** What a caller is told of a body that did not pass; `pass-through` where the model is to see it all the same. */
export function refusalOf(scan: Scan, detail?: (code: string) => string | undefined): BodyRefusal | 'pass-through' {
  const known = refusals[scan.status];
  if (!known) return 'pass-through';
  const { code, message } = known;
  const { failedAt: offset } = scan;
  return { refused: true, code, message: `${detail?.(code) ?? message} (at byte ${offset})`, offset };
}
