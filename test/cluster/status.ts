import { daemons } from './control-plane.ts';
import { runningPid } from './daemons.ts';
import { loadedImages } from './images.ts';
import { kubectl } from './kubectl.ts';
import { initProcess } from './namespaces.ts';
import { directory } from './settings.ts';
import { howToUse, running } from './up.ts';

/** Describes the cluster. @returns false when it does not run, or a program of it has died. */
export async function printStatus(): Promise<boolean> {
  console.log(`folder: ${directory}`);
  if (!initProcess()) {
    console.log('not running: npm run cluster:up');
    return false;
  }
  const choice = running();
  console.log(choice ? `running: level ${choice.level}, Knative ${choice.knative}` : 'started, but not completely');
  const dead = daemons.filter((daemon) => !runningPid(daemon.name)).map((daemon) => daemon.name);
  for (const { name } of daemons) console.log(`  ${name.padEnd(24)} ${runningPid(name) ?? 'not running'}`);
  if (dead.length === 0) {
    console.log((await kubectl(['get', 'pods', '--all-namespaces', '--output=wide'])).trim());
    console.log(`images: ${(await loadedImages()).join(' ')}`);
    console.log(howToUse());
  } else {
    console.log(`npm run cluster:up restarts ${dead.join(', ')}`);
  }
  return dead.length === 0 && choice !== undefined;
}
