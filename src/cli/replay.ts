import { Command, InvalidArgumentError } from 'commander';
import { parseDuration } from '../policy/units.ts';
import { argument, parseSpeed, showDefaults } from './arguments.ts';
import type { ReplayOptions } from './run-replay.ts';

/** `paceline replay`: sends a recording of `--record` again. */
export function replayCommand(): Command {
  const command = new Command('replay')
    .description('send what `companion --record` recorded again, at the recorded times, and compare')
    .argument('<file>', 'a recording')
    .option(
      '--target <url>',
      'where to, with the path of the model: http://127.0.0.1:9081/v1/models/m:predict',
      parseTarget,
    )
    .option('--body <file>', 'a JSON body that the model takes; it is given the recorded numbers of items and bytes')
    .option('--speed <factor>', 'how much faster than recorded', parseSpeed, 1)
    .option(
      '--slo <duration>',
      "objective of every request, which the target is asked for (default: each one's recorded one)",
      argument((text) => parseDuration(text)),
    )
    .option(
      '--timeout <duration>',
      'when a request that has no answer is given up',
      argument((text) => parseDuration(text)),
      30_000,
    )
    .option('--all', 'replay what passed through unbatched too')
    .option('--dry-run', 'say what the recording holds and send nothing')
    .option('--json', 'print the report as JSON');
  showDefaults(command, { timeout: '30s' });
  return command.action(async (file: string, options: ReplayOptions) => {
    const { runReplay } = await import('./run-replay.ts');
    await runReplay(command, file, options);
  });
}

function parseTarget(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new InvalidArgumentError('give an address such as http://127.0.0.1:9081/v1/models/m:predict.');
  }
  return url;
}
