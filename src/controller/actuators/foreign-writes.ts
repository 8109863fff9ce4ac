import type { Holding } from './originals.ts';

/** After so many reverts by somebody else we leave an object alone. */
export const revertsMax = 3;

/** What to write to an object whose fields we want to hold, after a look at what is there. */
export interface Claim {
  /** Undefined: nothing has to be written. */
  readonly write: Holding | undefined;
  /** Fields whose value is somebody else's although we wrote them. */
  readonly foreign: readonly string[];
  /** Somebody else changed our fields so often that we leave them. */
  readonly lost: boolean;
}

/**
 * Compares what is there with what we wrote last and what we want. A value that we did not write is somebody's wish: it
 * becomes the original that is restored later. Pure.
 *
 * @param present the fields' values now; null where a field is absent
 */
export function claim(
  held: Holding | undefined,
  present: Readonly<Record<string, string | null>>,
  wanted: Readonly<Record<string, string>>,
): Claim {
  const before: Holding = held ?? { original: {}, applied: {}, reverts: 0 };
  const foreign = Object.keys(before.applied).filter((field) => (present[field] ?? null) !== before.applied[field]);
  const reverts = before.reverts + (foreign.length > 0 ? 1 : 0);
  if (before.reverts >= revertsMax) return { write: undefined, foreign, lost: true };
  const lost = reverts >= revertsMax;
  const applied = lost ? {} : wanted;
  const same = foreign.length === 0 && sameFields(applied, before.applied);
  if (same) return { write: undefined, foreign, lost };
  const original: Record<string, string | null> = {};
  for (const [field, value] of Object.entries(before.original)) {
    if (foreign.includes(field) || Object.hasOwn(applied, field)) continue;
    // What we let go of earlier is ours to keep only as long as nobody changed it.
    const letGoNow = Object.hasOwn(before.applied, field);
    if (letGoNow || (present[field] ?? null) === value) original[field] = value;
  }
  for (const field of Object.keys(applied)) {
    // Only for what is ours at this moment do we know better than what is there.
    const known = Object.hasOwn(before.applied, field) && !foreign.includes(field);
    original[field] = known ? (before.original[field] ?? null) : (present[field] ?? null);
  }
  return { write: { original, applied, reverts }, foreign, lost };
}

function sameFields(one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean {
  const fields = Object.keys(one);
  return fields.length === Object.keys(other).length && fields.every((field) => one[field] === other[field]);
}
