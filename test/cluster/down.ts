import { existsSync, readFileSync, rmSync } from 'node:fs';
import { controlGroupsLeft, removeNamespaces } from './namespaces.ts';
import { networkNamespacePath, paths } from './settings.ts';

/**
 * Ends the cluster and removes all of its traces but what is built and the logs. Does nothing where none runs.
 *
 * @param force also when somebody runs something inside its network: that is ended too.
 * @throws Error, with nothing changed, when somebody does and `force` is not set.
 */
export async function down(force = false): Promise<void> {
  await removeNamespaces(force);
  rmSync(paths.run, { recursive: true, force: true });
}

/** What a cluster would leave on the machine: mounts, namespaces, control groups, files of its run. */
export function traces(): string[] {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(` ${paths.run}/`));
  return [
    ...mounts.map((line) => `mount ${line.split(' ')[1]}`),
    ...[networkNamespacePath, paths.run].filter(existsSync),
    ...controlGroupsLeft(),
  ];
}
