/** A revision's part of a split: any weight of at least 0. */
export interface Weighted {
  readonly revision: string;
  readonly weight: number;
}

export interface SplitTarget {
  readonly revision: string;
  /** Whole percent. */
  readonly percent: number;
}

/**
 * Weights as whole percentages that sum to 100, by the largest remainder: none is more than 1 away from its exact
 * share. Of equal remainders the earlier one wins, so that the same weights give the same split. Empty where no weight
 * is above 0; targets of 0 % are left out.
 *
 * @throws {RangeError} for a weight that is negative or no number.
 */
export function percentages(weights: readonly Weighted[]): SplitTarget[] {
  for (const { revision, weight } of weights) {
    if (!(weight >= 0 && weight < Number.POSITIVE_INFINITY)) throw new RangeError(`weight ${weight} of ${revision}`);
  }
  const most = Math.max(...weights.map(({ weight }) => weight), 0);
  if (most === 0) return [];
  // Scaled first: a sum of huge weights would be infinite, and tiny ones would lose their digits.
  const total = weights.reduce((sum, { weight }) => sum + weight / most, 0);
  const exact = weights.map(({ revision, weight }) => ({ revision, share: (100 * (weight / most)) / total }));
  const parts = exact.map(({ revision, share }, index) => ({
    revision,
    percent: Math.floor(share),
    rest: share - Math.floor(share),
    index,
  }));
  const left = 100 - parts.reduce((sum, { percent }) => sum + percent, 0);
  // Remainders that differ by rounding only are equal.
  const byRest = [...parts].sort((one, other) =>
    Math.abs(other.rest - one.rest) > 1e-9 ? other.rest - one.rest : one.index - other.index,
  );
  for (const part of byRest.slice(0, Math.max(left, 0))) part.percent++;
  return parts.filter(({ percent }) => percent > 0).map(({ revision, percent }) => ({ revision, percent }));
}

/** How many points a split moves at once, so that what is given more has time to show that it holds. */
export const pointsAtOnce = 25;

/**
 * The next split on the way from the present one to the wanted one: at most `pointsAtOnce` points move, and a revision
 * gets no more than it has ready replicas for.
 *
 * @param room most percent that a revision's ready replicas serve; without an entry it gets no more than it has.
 */
export function nextSplit(
  present: readonly SplitTarget[],
  wanted: readonly SplitTarget[],
  room: ReadonlyMap<string, number>,
): SplitTarget[] {
  if (present.length === 0) return [...wanted];
  const has = new Map(present.map(({ revision, percent }) => [revision, percent]));
  const wants = new Map(wanted.map(({ revision, percent }) => [revision, percent]));
  const names = [...new Set([...wants.keys(), ...has.keys()])];
  let gain = 0;
  const gains = new Map<string, number>();
  for (const name of names) {
    const now = has.get(name) ?? 0;
    const may = Math.max(Math.min(wants.get(name) ?? 0, Math.floor(room.get(name) ?? now)) - now, 0);
    const points = Math.min(may, pointsAtOnce - gain);
    gain += points;
    gains.set(name, points);
  }
  // What is gained is taken from those that have more than they should, the one with most to give first.
  const givers = names
    .map((name) => ({ name, spare: Math.max((has.get(name) ?? 0) - (wants.get(name) ?? 0), 0) }))
    .sort((one, other) => other.spare - one.spare);
  for (const { name, spare } of givers) {
    const points = Math.min(spare, gain);
    gain -= points;
    gains.set(name, (gains.get(name) ?? 0) - points);
  }
  return names
    .map((revision) => ({ revision, percent: (has.get(revision) ?? 0) + (gains.get(revision) ?? 0) }))
    .filter(({ percent }) => percent > 0);
}
