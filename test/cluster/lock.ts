import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startTimeOf } from './namespaces.ts';
import { directory } from './settings.ts';

/**
 * Does work that changes the cluster while nobody else does.
 *
 * @throws Error that names the process which is at it.
 */
export async function withLock<T>(work: () => Promise<T>): Promise<T> {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'lock');
  const mine = `${process.pid} ${startTimeOf(process.pid)}`;
  try {
    writeFileSync(file, mine, { flag: 'wx' });
  } catch {
    const [pid, startedAt] = readFileSync(file, 'utf8').split(' ') as [string, string];
    if (startTimeOf(Number(pid)) === startedAt) throw new Error(`process ${pid} is changing the cluster`);
    writeFileSync(file, mine);
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}
