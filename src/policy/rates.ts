import { UnitError } from './units.ts';

/** Money over time. Without a currency it is in that of the PriceList. */
export interface Rate {
  readonly perHour: number;
  /** ISO 4217, such as `USD`. */
  readonly currency?: string;
}

/** A month as clouds bill it: 8,760 hours a year, in 12 parts. */
const hours: Readonly<Record<string, number>> = { h: 1, day: 24, month: 730 };

const amountMax = 1e9;

/** What `parseRate` takes, for schemas: JSON Schema and the API server know no named groups. */
export const ratePattern = '^[0-9]{1,9}(\\.[0-9]{1,20})? ?([A-Z]{3})?/(h|day|month)$';

/**
 * A rate such as `0.40/h`, `5 EUR/day` or `300 USD/month`.
 *
 * @throws {UnitError} without a unit of time, or with an amount outside [0, 1e9].
 */
export function parseRate(text: string): Rate {
  const match = new RegExp(ratePattern).exec(text.trim());
  const [, , currency, unit] = match ?? [];
  const amount = match ? Number.parseFloat(text.trim()) : Number.NaN;
  if (!(amount >= 0 && amount <= amountMax)) {
    throw new UnitError(`"${text}" is not a rate: write an amount per h, day or month, such as 0.40/h or 0.40 USD/h`);
  }
  const perHour = amount / (hours[unit as string] as number);
  return currency === undefined ? { perHour } : { perHour, currency };
}

/** Writes a rate so that `parseRate` reads the same one. */
export function formatRate({ perHour, currency }: Rate): string {
  return `${decimal(perHour)}${currency === undefined ? '' : ` ${currency}`}/h`;
}

/** A number without an exponent: exact from a millionth on, to twenty decimals below. */
function decimal(value: number): string {
  return value === 0 || value >= 1e-6 ? String(value) : value.toFixed(20).replace(/\.?0+$/, '');
}
