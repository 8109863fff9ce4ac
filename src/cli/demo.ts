import { Command, Option } from 'commander';
import { type ComparisonRow, compare, fixedTimer, ways } from '../demo/comparison.ts';
import { variantNames } from '../digits/variants.ts';
import { parseDuration, parseWhole } from '../policy/units.ts';
import { argument, showDefaults } from './arguments.ts';
import { showProgress } from './progress.ts';

interface DemoOptions {
  model: string;
  slo: number;
  seconds: number;
  loads: number[];
  seed: number;
}

/** `paceline demo`: real digits at a rising load to three ways of serving the same model. */
export function demoCommand(): Command {
  const command = new Command('demo')
    .description('send real digits at a rising load through no batching, a fixed-timer batcher and Paceline')
    .addOption(
      new Option('--model <name>', 'which variant of the model').choices(Object.keys(variantNames)).default('digits'),
    )
    .option(
      '--slo <duration>',
      'latency objective of one request',
      argument((text) => parseDuration(text)),
      200,
    )
    .option(
      '--seconds <n>',
      'seconds of each load',
      argument((text) => parseWhole(text, 1, 3600)),
      8,
    )
    .option(
      '--loads <percents>',
      'loads in percent of what the model can do in full batches',
      argument(parseLoads),
      [5, 25, 50, 75, 95],
    )
    .option(
      '--seed <n>',
      'seed of the arrivals',
      argument((text) => parseWhole(text, 0, 2 ** 31)),
      1,
    )
    .action(runDemo);
  return showDefaults(command, { slo: '200ms', loads: '5,25,50,75,95' });
}

async function runDemo(options: DemoOptions): Promise<void> {
  const rows: ComparisonRow[] = [];
  const plan = {
    model: options.model,
    sloMs: options.slo,
    loads: options.loads.map((percent) => percent / 100),
    secondsPerLoad: options.seconds,
    seed: options.seed,
  };
  const measured = await compare(
    plan,
    (row) => rows.push(row),
    (text) => {
      showProgress(text, / 100 %$|^measuring/.test(text));
    },
  );
  showProgress('', false);
  const { singleMs, fullMs, capacity } = measured;
  console.log(
    `${options.model}: one image ${singleMs.toFixed(0)} ms, ${fixedTimer.maxBatchSize} images ${fullMs.toFixed(0)} ms: ` +
      `${(1000 / singleMs).toFixed(0)}/s one by one, ${capacity.toFixed(0)}/s in full batches. SLO ${options.slo} ms.\n`,
  );
  console.log('load            way            goodput      P50      P99   batch   model busy   busy ms/good   wrong');
  for (const load of plan.loads) {
    for (const way of ways) {
      const row = rows.find((each) => each.load === load && each.way === way);
      if (row) console.log(line(row));
    }
  }
  console.log(
    `\nGoodput: right answers within the SLO. Latency from the intended send time. Fixed timer: ${fixedTimer.maxBatchSize} images or ${fixedTimer.maxLatencyMs} ms.`,
  );
}

function line(row: ComparisonRow): string {
  return [
    `${(row.load * 100).toFixed(0)} % ${row.ratePerSecond.toFixed(0)}/s`.padEnd(14),
    row.way.padEnd(13),
    `${(100 * row.goodput).toFixed(1)} %`.padStart(8),
    ms(row.p50).padStart(8),
    ms(row.p99).padStart(8),
    row.meanBatch.toFixed(1).padStart(7),
    `${(100 * row.busyShare).toFixed(0)} %`.padStart(12),
    (row.goodput > 0 ? row.busyMsPerGood.toFixed(2) : '-').padStart(14),
    String(row.wrong).padStart(7),
  ].join(' ');
}

function ms(value: number): string {
  return Number.isNaN(value) ? '-' : `${value.toFixed(0)} ms`;
}

function parseLoads(text: string): number[] {
  return text.split(',').map((each) => parseWhole(each.trim(), 1, 300));
}
