import { Command, Option } from 'commander';
import { Baseline, type BaselineRule } from '../demo/baseline.ts';
import { upstream as upstreamKind } from '../policy/option-kinds.ts';
import { parseDuration, parseWhole } from '../policy/units.ts';
import { argument, portArgument } from './arguments.ts';

interface BaselineOptions {
  upstream: string;
  rule: BaselineRule;
  port: number;
  maxBatchSize: number;
  maxLatency: number;
}

/** `paceline baseline`: what `paceline demo` compares with. */
export function baselineCommand(): Command {
  return new Command('baseline')
    .description('forward requests without batching, or batch them by a fixed timer, to compare with')
    .requiredOption(
      '--upstream <url>',
      'the model server',
      argument((text) => String(upstreamKind.parse(text))),
    )
    .addOption(new Option('--rule <rule>', 'how to batch').choices(['none', 'fixed-timer']).default('fixed-timer'))
    .option('--port <port>', 'where to listen; 0 picks a free one', portArgument, 9091)
    .option(
      '--max-batch-size <n>',
      'send when so many wait',
      argument((text) => parseWhole(text, 1, 1024)),
      32,
    )
    .option(
      '--max-latency <duration>',
      'send when the first has waited so long',
      argument((text) => parseDuration(text)),
      50,
    )
    .action(async ({ upstream, rule, port, maxBatchSize, maxLatency }: BaselineOptions) => {
      const baseline = new Baseline(upstream, rule, { maxBatchSize, maxLatencyMs: maxLatency });
      const own = await baseline.listen(port, '127.0.0.1');
      const stop = async () => {
        await baseline.close();
        process.exit(0);
      };
      for (const event of ['SIGTERM', 'SIGINT', 'disconnect']) process.on(event, stop);
      console.log(`baseline ready on ${own}`);
    });
}
