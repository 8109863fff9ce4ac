import type { KubeObject } from '../../kube/objects.ts';

// Reads fields of objects that came from the API: a field of another type than the API's counts as absent.

/** A condition of an object's status. */
export function conditionOf(
  object: KubeObject,
  type: string,
): { status: string; since: string | undefined } | undefined {
  const { conditions } = record(object.status);
  if (!Array.isArray(conditions)) return undefined;
  const condition = conditions.map(record).find((each) => each.type === type);
  return condition && { status: text(condition.status) ?? 'Unknown', since: text(condition.lastTransitionTime) };
}

/** The annotations whose keys are wanted. */
export function kept(annotations: Readonly<Record<string, string>> | undefined, which: RegExp): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [key, value] of Object.entries(annotations ?? {})) if (which.test(key)) result[key] = value;
  return result;
}

/** An object's fields; of anything else none. */
export function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** A text that says something. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A number of things. */
export function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31 ? value : undefined;
}

/** A time of the API, in ms since 1970. */
export function timeMs(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isFinite(ms) ? ms : undefined;
}

const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** A duration as Go writes it (`90s`, `1h30m`), in ms. */
export function durationMs(value: unknown): number | undefined {
  const parts = typeof value === 'string' ? value.match(/\d+(?:\.\d+)?(?:h|ms|m|s)/g) : null;
  if (!parts || parts.join('') !== value) return undefined;
  return parts.reduce((sum, part) => {
    const unit = part.replace(/[\d.]+/, '');
    return sum + Number(part.slice(0, -unit.length)) * (unitMs[unit] as number);
  }, 0);
}
