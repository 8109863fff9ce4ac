import { Command } from 'commander';
import manifest from '../../package.json' with { type: 'json' };
import { agentCommand } from './agent.ts';
import { baselineCommand } from './baseline.ts';
import { companionCommand } from './companion.ts';
import { completionCommand } from './completion.ts';
import { controllerCommand } from './controller.ts';
import { demoCommand } from './demo.ts';
import { digitsCommand } from './digits.ts';
import { lintCommand } from './lint.ts';
import { replayCommand } from './replay.ts';
import { simulateCommand } from './simulate.ts';
import { startCommand } from './start.ts';
import { offCommand, onCommand } from './switch.ts';
import { uninstallCommand } from './uninstall.ts';
import { variantsCommand } from './variants.ts';

/** The whole command line: its help is the map of the product. */
export function program(): Command {
  const root = new Command('paceline')
    .description(
      'Keeps a latency promise for model serving on KServe and Knative, at the lowest cost the promise allows.',
    )
    .version(manifest.version)
    // Long names leave less room beside them; their descriptions are wrapped all the same.
    .configureHelp({ minWidthToWrap: 20 })
    .showSuggestionAfterError()
    .showHelpAfterError('(--help lists what there is)')
    // Whatever is wrong on the command line ends with 2, as docs/configuration.md says.
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
  root.commandsGroup('Try it:').addCommand(startCommand()).addCommand(demoCommand()).addCommand(simulateCommand());
  root
    .commandsGroup('Put it in front of your model:')
    .addCommand(companionCommand())
    .addCommand(agentCommand())
    .addCommand(replayCommand());
  root
    .commandsGroup('Run it in a cluster:')
    .addCommand(controllerCommand())
    .addCommand(lintCommand())
    .addCommand(offCommand())
    .addCommand(onCommand())
    .addCommand(uninstallCommand());
  root
    .commandsGroup('The parts of the demonstration:')
    .addCommand(digitsCommand())
    .addCommand(variantsCommand())
    .addCommand(baselineCommand());
  root
    .commandsGroup('Your shell:')
    .addCommand(completionCommand(root))
    .helpCommand('help [command]', 'display help for command');
  for (const command of root.commands) command.copyInheritedSettings(root);
  return root.addHelpText(
    'after',
    `
Examples:
  paceline start                                                       a real model within 200 ms, to try with curl
  paceline companion --upstream http://127.0.0.1:8081 --slo 200ms      the same for a model of yours
  paceline companion --upstream http://127.0.0.1:8081 --slo 200ms --dry-run
  paceline replay FILE --target URL --body BODY.json                   what companion --record FILE recorded, again
  paceline simulate --slo 100ms --load 50,90,130                       what the same decisions do in virtual time
  paceline lint manifests/samples/digits-knative.yaml                  what admission would say

Every option of the companion can be given as a variable too: --max-waiting is PACELINE_MAX_WAITING.
docs/cluster.md is about clusters; docs/configuration.md, docs/errors.md, docs/metrics.md and docs/reasons.md say more.`,
  );
}
