import { type KubeObject, kinds, type ResourceKind } from '../../kube/objects.ts';
import { isRecord } from '../../policy/is-record.ts';

/**
 * Where an object's original values are kept while we hold some of its fields.
 *
 * Knative copies every Revision annotation into the pod template, and so rolls all pods when one appears, except those
 * whose key begins with `autoscaling.knative.dev` (pkg/reconciler/revision/resources/meta.go, 1.21 and 1.23). A
 * Revision therefore has ours under that prefix.
 */
export function originalKey(kind: ResourceKind): string {
  return kind.plural === kinds.revision.plural && kind.group === kinds.revision.group
    ? 'autoscaling.knative.dev/paceline-original'
    : 'paceline.dev/original';
}

/** What we hold of an object. The text form is JSON with these names. */
export interface Holding {
  /** The values before our first write, by field; null where the field was not there. */
  readonly original: Readonly<Record<string, string | null>>;
  /** What we wrote last. A different value there is somebody else's. */
  readonly applied: Readonly<Record<string, string>>;
  /** How often somebody else has changed our fields. */
  readonly reverts: number;
}

/** What we hold of this object, if anything. A text that is not ours (edited by hand) counts as nothing. */
export function holdingOf(kind: ResourceKind, object: KubeObject): Holding | undefined {
  return parseHolding(object.metadata.annotations?.[originalKey(kind)]);
}

/** Reads the text form. */
export function parseHolding(text: string | undefined): Holding | undefined {
  if (text === undefined || text.length > 4096) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (!isRecord(value) || !isRecord(value.original) || !isRecord(value.applied)) return undefined;
    const original: Record<string, string | null> = {};
    for (const [field, before] of Object.entries(value.original)) {
      if (before !== null && typeof before !== 'string') return undefined;
      original[field] = before;
    }
    const applied: Record<string, string> = {};
    for (const [field, written] of Object.entries(value.applied)) {
      if (typeof written !== 'string') return undefined;
      applied[field] = written;
    }
    const { reverts } = value;
    return { original, applied, reverts: typeof reverts === 'number' && reverts >= 0 ? Math.floor(reverts) : 0 };
  } catch {
    return undefined;
  }
}

/** The text form. Fields are sorted, so that the same holding is the same text. */
export function holdingText(holding: Holding): string {
  const { original, applied, reverts } = holding;
  return JSON.stringify({ original: sorted(original), applied: sorted(applied), reverts });
}

function sorted<T>(fields: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(fields).sort(([one], [other]) => (one < other ? -1 : 1)));
}
