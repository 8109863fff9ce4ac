// The test cluster, by hand:
//
//   npm run cluster:up [-- --level k8s|knative|kserve] [--knative 1.23|1.21]
//   npm run cluster:load                 loads the project's image, made of dist/ as it is now
//   npm run cluster:load -- ARCHIVE      loads another image
//   npm run cluster:status
//   npm run cluster:down [-- --force]    --force also ends what runs inside its network
import { resolve } from 'node:path';
import { progress } from './command.ts';
import { down } from './down.ts';
import { loadArchive, loadPacelineImage } from './images.ts';
import { withLock } from './lock.ts';
import { whyNot } from './requirements.ts';
import { readChoice } from './settings.ts';
import { printStatus } from './status.ts';
import { howToUse, up } from './up.ts';

const [command, ...args] = process.argv.slice(2);
try {
  process.exitCode = await perform();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}

async function perform(): Promise<number> {
  if (command === 'status') return (await printStatus()) ? 0 : 1;
  if (command !== 'up' && command !== 'load' && command !== 'down') {
    console.error('usage: up [--level LEVEL] [--knative LINE] | load [ARCHIVE] | status | down [--force]');
    return 2;
  }
  return withLock(async () => {
    if (command === 'down') {
      await down(args.includes('--force'));
      progress('down: nothing is left but what is built and the logs');
      return 0;
    }
    if (command === 'load') {
      if (args[0]) await loadArchive(resolve(args[0]));
      else await loadPacelineImage();
      return 0;
    }
    const choice = readChoice(args);
    const reason = await whyNot();
    if (reason) {
      console.error(`the cluster cannot run here: ${reason}`);
      return 1;
    }
    const { built, started } = await up(choice);
    progress(`up: ${built} sets of programs built, ${started} programs started`);
    console.log(howToUse());
    return 0;
  });
}
