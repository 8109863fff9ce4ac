import type { ProcessState } from './companion-process.ts';

/** How much more of something may be held at the end than at the beginning, when it was warm. */
const growthMax = 0.05;
/** One or two more are nothing: a timer, a connection that is kept. */
const handlesMore = 4;

/** One kind of what a process holds. */
export interface Growth {
  readonly what: string;
  /** When it was looked at first, warm or not. */
  readonly first: number;
  /** Medians of the thirds of what came after the warm-up. The last one may not be more than the first. */
  readonly thirds: readonly [number, number, number];
  readonly fits: boolean;
}

/**
 * Compares the end of a run with its beginning: the last third of what was seen after the warm-up with the first. A comparison
 * with the second third would not see what is built up before it.
 *
 * @param warmUp how many of the states are of the time in which everything is built up
 */
export function growths(states: readonly ProcessState[], warmUp: number): Growth[] {
  const warm = states.slice(warmUp);
  const third = Math.max(1, Math.floor(warm.length / 3));
  const parts = [warm.slice(0, third), warm.slice(third, -third), warm.slice(-third)] as const;
  const growth = (what: string, read: (state: ProcessState) => number, more: number): Growth => {
    const [from, between, to] = [medianOf(parts[0], read), medianOf(parts[1], read), medianOf(parts[2], read)];
    const fits = to <= from * (1 + growthMax) + more;
    return { what, first: medianOf(states.slice(0, 1), read), thirds: [from, between, to], fits };
  };
  return [
    growth('heap and external bytes after a collection', ({ heapUsed, external }) => heapUsed + external, 0),
    growth('resident bytes', ({ rss }) => rss, 0),
    growth('handles', ({ handles }) => handles, handlesMore),
    growth('files', ({ files }) => files, handlesMore),
  ];
}

export function growthLine(growth: Growth): string {
  const { what, first, thirds, fits } = growth;
  return `${fits ? 'ok  ' : 'FAIL'} ${what}: ${first} at first, then ${thirds.join(' -> ')} (${changeOf(growth)})`;
}

/** The cells of a report's table, with what they are. */
export const growthHead = [
  'what',
  'at first',
  'first third after the warm-up',
  'second third',
  'last third',
  'change',
] as const;

export function growthCells(growth: Growth): (string | number)[] {
  return [growth.what, growth.first, ...growth.thirds, changeOf(growth)];
}

function changeOf({ thirds: [from, , to] }: Growth): string {
  return `${((100 * (to - from)) / Math.max(1, from)).toFixed(1)} %`;
}

/** NaN where nothing was seen, which fits nowhere. */
function medianOf(states: readonly ProcessState[], read: (state: ProcessState) => number): number {
  return states.map(read).sort((one, other) => one - other)[states.length >> 1] ?? Number.NaN;
}
