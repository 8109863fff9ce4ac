import { Command } from 'commander';
import { Companion } from '../companion/companion.ts';
import { boundYoungGeneration } from '../companion/young-generation.ts';
import { type CompanionOptions, shownOptions, unknownVariables } from '../policy/companion-options.ts';
import { createServingLog, type Log } from '../telemetry/log.ts';
import { addCompanionOptions, companionOptions } from './arguments.ts';

/** `paceline companion`: batches requests in front of one model server. */
export function companionCommand(): Command {
  const command = new Command('companion')
    .description('batch requests in front of a model server, to meet an SLO')
    .option('--dry-run', 'print the configuration that these flags and variables give, and exit');
  addCompanionOptions(command);
  return command.action(async ({ dryRun }: { dryRun?: boolean }) => {
    const options = companionOptions(command);
    if (dryRun) {
      for (const warning of unknownVariableWarnings()) console.error(`warning: ${warning.message}`);
      console.log(JSON.stringify(shownOptions(options), null, 2));
    } else await runCompanion(options);
  });
}

/** What the command that starts a companion has found out beside its options. */
export interface StartNotes {
  readonly warnings?: readonly string[];
  /** Why it must not be ready. */
  readonly unfit?: string | undefined;
}

/** Runs a companion until a signal ends it. */
export async function runCompanion(
  options: CompanionOptions,
  { warnings = [], unfit }: StartNotes = {},
): Promise<void> {
  boundYoungGeneration();
  let companion: Companion | undefined;
  const log = createServingLog(options.logLevel, (result, lines) => companion?.metrics.logLines.add(lines, result));
  warnOfUnknownVariables(log);
  for (const warning of warnings) log.warn({ code: 'PL_AGENT' }, warning);
  if (unfit !== undefined) log.error({ code: 'PL_AGENT' }, unfit);
  for (const { note } of options.readinessProbe ?? []) if (note) log.warn({ code: 'PL_READINESS_PROBE' }, note);
  companion = new Companion(options, { log, unfit });
  let ports: { port: number; adminPort: number };
  try {
    ports = await companion.start();
  } catch (error) {
    log.error({ code: 'PL_LISTEN', detail: String(error) }, 'cannot listen: choose another --port or --admin-port');
    await log.close();
    process.exit(1);
  }
  let stopping = false;
  const stop = async (event: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ event }, 'draining');
    const clean = await companion.drain();
    log.info({ clean }, clean ? 'drained' : 'the drain timeout passed before all was answered');
    await log.close();
    process.exit(clean ? 0 : 1);
  };
  // A parent that started it and is gone disconnects: nobody else would stop it.
  for (const event of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.on(event, () => void stop(event));
  log.info({ ...ports, upstream: options.upstream.origin, sloMs: options.sloMs }, 'the companion listens');
  const from = performance.now();
  if (await companion.modelReady((reason) => log.info({ reason }, 'the model is not ready yet'))) {
    log.info({ afterMs: Math.round(performance.now() - from) }, 'the model is ready');
  }
}

function warnOfUnknownVariables(log: Log): void {
  for (const { name, message } of unknownVariableWarnings()) {
    log.warn({ code: 'PL_CONFIG_UNKNOWN', variable: name }, message);
  }
}

/** What is said of variables that look like options and are none. */
export function unknownVariableWarnings(): { name: string; message: string }[] {
  return unknownVariables(process.env).map(({ name, meant }) => ({
    name,
    message: `${name} is no option and is ignored${meant === undefined ? '' : `: did you mean ${meant}?`}`,
  }));
}
