import { Command } from 'commander';
import { isAgentFlag, parseAgentArguments, planAgent } from '../policy/agent-flags.ts';
import { OptionsError, shownOptions } from '../policy/companion-options.ts';
import { failOptions, optionsFrom } from './arguments.ts';
import { runCompanion, unknownVariableWarnings } from './companion.ts';

/** `paceline agent`: the companion in the place of KServe's agent, with its flags and variables. */
export function agentCommand(): Command {
  const command = new Command('agent')
    .description("the companion with the flags and variables of KServe's agent, whose image it can replace")
    .argument('[flags...]', "flags of KServe's agent, and the companion's own")
    .option('--dry-run', 'print the configuration that these flags and variables give, and exit')
    .allowUnknownOption()
    .addHelpText(
      'after',
      '\nThe flags of the agent, and what becomes of each: docs/configuration.md, "In a pod". Of the companion: paceline companion --help',
    );
  return command.action(async (given: string[], { dryRun }: { dryRun?: boolean }) => {
    try {
      const plan = planAgent(parseAgentArguments(given), process.env);
      const options = optionsFrom(plan.flags, plan.otherwise);
      if (dryRun) {
        const warnings = [...plan.warnings, ...unknownVariableWarnings().map(({ message }) => message)];
        console.log(JSON.stringify({ ...shownOptions(options), warnings }, null, 2));
      } else await runCompanion(options, plan);
    } catch (error) {
      if (!(error instanceof OptionsError)) throw error;
      failOptions(command, error);
    }
  });
}

/**
 * The command line, with the command put in that it is meant for: KServe's ConfigMap can swap the agent's image, but not
 * its arguments, so the image is started with the agent's flags and no command.
 */
export function withAgentCommand(argv: readonly string[]): string[] {
  const [node = '', script = '', first, ...rest] = argv;
  if (first === undefined) return [...argv];
  return isAgentFlag(first) ? [node, script, 'agent', first, ...rest] : [...argv];
}
