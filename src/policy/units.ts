/** A value that a user wrote is not what was asked for. The message says what would be right. */
export class UnitError extends Error {
  readonly code = 'PL_CONFIG_VALUE';
}

const durations: Record<string, number> = { us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const sizes: Record<string, number> = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/**
 * A duration in ms, such as `200ms`, `1.5s` or `2m`.
 *
 * @throws {UnitError} without a unit, or outside [low, high] ms.
 */
export function parseDuration(text: string, low = 1, high = 3_600_000): number {
  const ms = parseWithUnit(text, durations);
  if (!(ms >= low && ms <= high)) {
    throw new UnitError(`"${text}" is not a duration from ${low} ms to ${high} ms: write it as 200ms, 1.5s or 2m`);
  }
  return ms;
}

/** Writes a duration in ms so that `parseDuration` reads exactly the same one: `200ms`, `2s`. */
export function formatDuration(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

/**
 * A size in bytes, such as `64MB` or `64MiB`.
 *
 * @throws {UnitError} without a unit, or outside [low, high] bytes.
 */
export function parseSize(text: string, low = 1, high = 2 ** 40): number {
  const bytes = parseWithUnit(text, sizes);
  if (!(bytes >= low && bytes <= high)) {
    throw new UnitError(`"${text}" is not a size from ${low} to ${high} bytes: write it as 500KB, 64MB or 64MiB`);
  }
  return Math.round(bytes);
}

/**
 * A whole number.
 *
 * @throws {UnitError} if it is not one, or outside [low, high].
 */
export function parseWhole(text: string, low: number, high: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= low && value <= high)) throw new UnitError(`"${text}" is not a whole number from ${low} to ${high}`);
  return value;
}

/**
 * Patience: 0 (dispatch at once) to 1 (use all slack), or `auto`, which is -1.
 *
 * @throws {UnitError} for anything else.
 */
export function parsePatience(text: string): number {
  if (text === 'auto') return -1;
  const value = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 0 && value <= 1))
    throw new UnitError(`"${text}" is not a patience: write auto, or a number from 0 to 1`);
  return value;
}

/**
 * A percentile as a share: `99` is 0.99.
 *
 * @throws {UnitError} outside [50, 99.99].
 */
export function parsePercentile(text: string): number {
  const value = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 50 && value <= 99.99))
    throw new UnitError(`"${text}" is not a percentile from 50 to 99.99, such as 99`);
  return value / 100;
}

function parseWithUnit(text: string, units: Record<string, number>): number {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim());
  return match ? Number(match[1]) * (units[match[2] as string] ?? Number.NaN) : Number.NaN;
}
