import { Command } from 'commander';
import { Companion } from '../companion/companion.ts';
import { startChild } from '../demo/child.ts';
import { weightsFile } from '../digits/variants.ts';
import { resolveCompanionOptions } from '../policy/companion-options.ts';
import { createLog } from '../telemetry/log.ts';
import { portArgument } from './arguments.ts';

/** `paceline start`: the embedded model server with a companion in front, to try things out. */
export function startCommand(): Command {
  return new Command('start')
    .description('start the embedded digit model and a companion in front of it')
    .option('--port <port>', 'where requests arrive; 0 picks a free one', portArgument, 9081)
    .option('--admin-port <port>', 'where metrics are; 0 picks a free one', portArgument, 9082)
    .option('--slo <duration>', 'latency objective of one request', '200ms')
    .action(runStart);
}

async function runStart(options: { port: number; adminPort: number; slo: string }): Promise<void> {
  const model = await startChild('digits', '--port', '0');
  const settings = resolveCompanionOptions(
    {
      host: '127.0.0.1',
      port: String(options.port),
      'admin-port': String(options.adminPort),
      slo: options.slo,
      upstream: `http://127.0.0.1:${model.port}`,
    },
    process.env,
  );
  const companion = new Companion(settings, { log: createLog('warn') });
  try {
    const { port, adminPort } = await companion.start();
    console.log(`Paceline serves handwritten digits at http://127.0.0.1:${port} within ${options.slo} (model on port ${model.port}).

Ask it what a real digit is:

  curl -s -H 'content-type: application/json' -d @${weightsFile('seven.json')} http://127.0.0.1:${port}/v1/models/digits:predict

Metrics: http://127.0.0.1:${adminPort}/metrics   what it has learned: http://127.0.0.1:${adminPort}/signals
Ctrl-C stops both.`);
  } catch (error) {
    console.error(`cannot listen: ${error}. Choose others with --port and --admin-port, or 0 for free ones.`);
    await model.stop();
    process.exit(1);
  }
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
}
