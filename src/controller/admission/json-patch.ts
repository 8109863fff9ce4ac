import { isRecord } from '../../policy/is-record.ts';

/** One step of a JSON patch (RFC 6902). */
export type PatchStep =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/**
 * The steps that turn one document into another: deterministic (fields in alphabetical order), and none where the two
 * are equal. Arrays are compared place by place; what is longer is appended, or taken off from its end.
 */
export function patchBetween(before: unknown, after: unknown, path = ''): PatchStep[] {
  if (before === after) return [];
  if (Array.isArray(before) && Array.isArray(after)) return arrayPatch(before, after, path);
  if (isRecord(before) && isRecord(after)) return objectPatch(before, after, path);
  return [{ op: 'replace', path, value: after }];
}

function arrayPatch(before: readonly unknown[], after: readonly unknown[], path: string): PatchStep[] {
  const shared = Math.min(before.length, after.length);
  const steps: PatchStep[] = [];
  for (let i = 0; i < shared; i++) steps.push(...patchBetween(before[i], after[i], `${path}/${i}`));
  for (let i = before.length - 1; i >= shared; i--) steps.push({ op: 'remove', path: `${path}/${i}` });
  for (let i = shared; i < after.length; i++) steps.push({ op: 'add', path: `${path}/${i}`, value: after[i] });
  return steps;
}

function objectPatch(before: Record<string, unknown>, after: Record<string, unknown>, path: string): PatchStep[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.flatMap((name): PatchStep[] => {
    const at = `${path}/${name.replace(/~/g, '~0').replace(/\//g, '~1')}`;
    const was = Object.hasOwn(before, name) ? before[name] : undefined;
    const is = Object.hasOwn(after, name) ? after[name] : undefined;
    if (is === undefined) return was === undefined ? [] : [{ op: 'remove', path: at }];
    return was === undefined ? [{ op: 'add', path: at, value: is }] : patchBetween(was, is, at);
  });
}
