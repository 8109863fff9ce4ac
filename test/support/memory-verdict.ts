import type { ProcessState } from './companion-process.ts';

/** How much more of something may be held at the end than at the beginning. */
const growthMax = 0.05;
/** One or two more are nothing: a timer, a connection that is kept. */
const handlesMore = 4;

/** One kind of what a process holds, at the beginning and at the end. */
export interface Growth {
  readonly what: string;
  readonly from: number;
  readonly to: number;
  readonly fits: boolean;
}

/** Compares the last third of what was seen with the third before it: the first one is that in which everything is built up. */
export function growths(states: readonly ProcessState[]): Growth[] {
  const third = Math.max(1, Math.floor(states.length / 3));
  const [early, late] = [states.slice(third, 2 * third), states.slice(-third)];
  const growth = (what: string, read: (state: ProcessState) => number, more: number): Growth => {
    const [from, to] = [medianOf(early, read), medianOf(late, read)];
    return { what, from, to, fits: to <= from * (1 + growthMax) + more };
  };
  return [
    growth('heap and external bytes after a collection', ({ heapUsed, external }) => heapUsed + external, 0),
    growth('resident bytes', ({ rss }) => rss, 0),
    growth('handles', ({ handles }) => handles, handlesMore),
    growth('files', ({ files }) => files, handlesMore),
  ];
}

export function growthLine({ what, from, to, fits }: Growth): string {
  return `${fits ? 'ok  ' : 'FAIL'} ${what}: ${from} -> ${to} (${((100 * (to - from)) / Math.max(1, from)).toFixed(1)} %)`;
}

function medianOf(states: readonly ProcessState[], read: (state: ProcessState) => number): number {
  return states.map(read).sort((one, other) => one - other)[states.length >> 1] as number;
}
