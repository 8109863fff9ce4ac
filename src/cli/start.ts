import { Command } from 'commander';
import { Companion } from '../companion/companion.ts';
import { startChild } from '../demo/child.ts';
import { weightsFile } from '../digits/variants.ts';
import type { CompanionOptions } from '../policy/companion-options.ts';
import { createServingLog } from '../telemetry/log.ts';
import { addCompanionOptions, companionOptions } from './arguments.ts';

const otherwise = { slo: '200ms', host: '127.0.0.1', 'log-level': 'warn', upstream: 'http://127.0.0.1:8081' };
const shown = ['port', 'admin-port', 'slo', 'patience', 'max-batch-size', 'late', 'late-timeout'];

/** `paceline start`: the embedded model server with a companion in front, to try things out. */
export function startCommand(): Command {
  const command = new Command('start').description('start the embedded digit model and a companion in front of it');
  addCompanionOptions(command, otherwise, shown);
  return command
    .addHelpText('after', '\nThe other options of the companion can be given as variables: paceline companion --help')
    .action(() => runStart(companionOptions(command, otherwise)));
}

async function runStart(settings: CompanionOptions): Promise<void> {
  const model = await startChild('digits', '--port', '0');
  const upstream = new URL(`http://127.0.0.1:${model.port}`);
  const log = createServingLog(settings.logLevel, (result, lines) => companion.metrics.logLines.add(lines, result));
  const companion: Companion = new Companion({ ...settings, drainQuietMs: 0, upstream }, { log });
  let ports: { port: number; adminPort: number };
  try {
    ports = await companion.start();
  } catch (error) {
    await model.stop();
    throw new Error(`cannot listen (${error}): choose others with --port and --admin-port, or 0 for free ones`);
  }
  const { port, adminPort } = ports;
  const curl = `curl -s -H 'content-type: application/json' -d '@${weightsFile('seven.json')}'`;
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, async () => {
      if (stopping) return;
      stopping = true;
      const clean = await companion.drain();
      await model.stop();
      process.exit(clean ? 0 : 1);
    });
  }
  void model.ended.then(async (how) => {
    if (stopping) return;
    stopping = true;
    console.error(`error: the model's process ended (${how}): the companion ends with it`);
    await companion.stop();
    process.exit(1);
  });
  console.log(`Paceline serves handwritten digits at http://127.0.0.1:${port} within ${settings.sloMs} ms (model on port ${model.port}).

Ask it what a real digit is (a seven):

  ${curl} http://127.0.0.1:${port}/v1/models/digits:predict

Metrics: http://127.0.0.1:${adminPort}/metrics   what it has learned: http://127.0.0.1:${adminPort}/signals
Ctrl-C stops both.`);
}
