import { Command } from 'commander';
import {
  type ControllerOptions,
  controllerOptionSpecs,
  resolveControllerOptions,
} from '../controller/controller-options.ts';
import { environmentName, OptionsError } from '../policy/companion-options.ts';

/** `paceline controller`: webhooks and decisions for a cluster. */
export function controllerCommand(): Command {
  const command = new Command('controller')
    .description('serve the webhooks of a cluster and decide for its annotated services')
    .option('--dry-run', 'print the configuration that these flags and variables give, and exit');
  for (const { flag, kind, description, fallback, also } of controllerOptionSpecs) {
    const otherwise = also ? `${also}, else ${fallback}` : fallback || 'none';
    const names = `default: ${flag === 'identity' ? 'POD_NAME, else the host name' : otherwise}`;
    command.option(
      `--${flag} <${kind.placeholder}>`,
      `${description} (${kind.accepts}; ${names}; ${environmentName(flag)})`,
    );
  }
  return command.action(async ({ dryRun }: { dryRun?: boolean }) => {
    const options = optionsOf(command);
    if (dryRun) return console.log(JSON.stringify(options, null, 2));
    // Express and the Kubernetes client are read only here: a companion in a pod never loads them.
    const { runController } = await import('../controller/run.ts');
    await runController(options);
  });
}

function optionsOf(command: Command): ControllerOptions {
  const flags: Record<string, string> = {};
  for (const { flag } of controllerOptionSpecs) {
    const value = command.getOptionValue(flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()));
    if (typeof value === 'string') flags[flag] = value;
  }
  try {
    return resolveControllerOptions(flags, process.env);
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    const problems = error.problems.map((problem) => `  ${problem}`).join('\n');
    command.error(`error (${error.code}):\n${problems}`, { exitCode: 2 });
  }
}
