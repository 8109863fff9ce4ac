import { readdirSync, readFileSync } from 'node:fs';
import { descendantsOf } from '../../test/peers/support/process.ts';

/**
 * CPU time in microseconds of processes and of all that they have started, over all threads that are there: to the
 * nanosecond, where the usual count goes in hundredths of a second. Linux only.
 */
export function cpuUsOf(pids: readonly number[]): number {
  let nanoseconds = 0;
  for (const pid of new Set(pids.flatMap((root) => [root, ...descendantsOf(root)]))) {
    for (const thread of threadsOf(pid)) {
      nanoseconds += Number(readOrEmpty(`/proc/${pid}/task/${thread}/schedstat`).split(' ', 1)[0]);
    }
  }
  return nanoseconds / 1000;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** A process may end while it is looked at. */
function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
