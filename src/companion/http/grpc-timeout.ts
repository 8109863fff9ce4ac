/** Milliseconds of the units of `grpc-timeout`. */
const units: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
/** A value has at most eight digits. */
const digitsMax = 99_999_999;

/** The time that a caller allows, in ms; undefined where it sets none, NaN where its value is none. */
export function grpcTimeoutIn(value: string | string[] | undefined): number | undefined {
  if (value === undefined) return undefined;
  const [, digits, unit] = (typeof value === 'string' ? /^(\d{1,8})([HMSmun])$/.exec(value) : null) ?? [];
  return digits === undefined || unit === undefined ? Number.NaN : Number(digits) * (units[unit] as number);
}

/** The header's value for so many ms; at least one, as nothing is done in less. */
export function grpcTimeoutOf(ms: number): string {
  const whole = Math.max(1, Math.ceil(ms));
  return whole <= digitsMax ? `${whole}m` : `${Math.min(digitsMax, Math.ceil(whole / 1000))}S`;
}
