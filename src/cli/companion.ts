import { Command, InvalidArgumentError } from 'commander';
import { Companion } from '../companion/companion.ts';
import { boundYoungGeneration } from '../companion/young-generation.ts';
import {
  type CompanionOptions,
  companionOptionSpecs,
  environmentName,
  OptionsError,
  resolveCompanionOptions,
} from '../policy/companion-options.ts';
import { createLog } from '../telemetry/log.ts';

/** `paceline companion`: batches requests in front of one model server. */
export function companionCommand(): Command {
  const command = new Command('companion').description('batch requests in front of a model server, to meet an SLO');
  for (const each of companionOptionSpecs) {
    const fallback =
      each.fallback === undefined ? '' : each.fallback === '' ? ', default none' : `, default ${each.fallback}`;
    command.option(
      `--${each.flag} <${each.placeholder}>`,
      `${each.description} (${environmentName(each.flag)}${fallback})`,
    );
  }
  return command.action((flags: Record<string, string>) => runCompanion(read(flags, command)));
}

/** Commander names flags in camel case; the options are known by their flags. */
function read(flags: Record<string, string>, command: Command): CompanionOptions {
  const byFlag: Record<string, string | undefined> = {};
  for (const { flag } of companionOptionSpecs) {
    byFlag[flag] = flags[flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())];
  }
  try {
    return resolveCompanionOptions(byFlag, process.env);
  } catch (error) {
    if (error instanceof OptionsError)
      command.error(`error (${error.code}):\n${error.problems.join('\n')}`, { exitCode: 2 });
    throw new InvalidArgumentError(String(error));
  }
}

async function runCompanion(options: CompanionOptions): Promise<void> {
  boundYoungGeneration();
  const log = createLog(options.logLevel);
  const companion = new Companion(options, { log });
  let ports: { port: number; adminPort: number };
  try {
    ports = await companion.start();
  } catch (error) {
    log.error({ code: 'PL_LISTEN', detail: String(error) }, 'cannot listen: choose another --port or --admin-port');
    process.exit(1);
  }
  log.info({ ...ports, upstream: options.upstream.origin, sloMs: options.sloMs }, 'the companion is ready');
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, async () => {
      if (stopping) return;
      stopping = true;
      log.info({ signal }, 'draining');
      const clean = await companion.drain();
      log.info({ clean }, clean ? 'drained' : 'the drain timeout passed before all was answered');
      process.exit(clean ? 0 : 1);
    });
  }
}
