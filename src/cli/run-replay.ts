import type { Command } from 'commander';
import { BodyTemplate } from '../replay/body-template.ts';
import { type ReplayResult, replay } from '../replay/replay.ts';
import { type RecordingSummary, summaryOf } from '../replay/summary.ts';
import { showProgress } from './progress.ts';
import { readGiven, readRecording } from './recording-file.ts';

/** The options of `paceline replay`. */
export interface ReplayOptions {
  target?: URL;
  body?: string;
  speed: number;
  slo?: number;
  timeout: number;
  all?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

/** What `paceline replay` does. */
export async function runReplay(command: Command, file: string, options: ReplayOptions): Promise<void> {
  const recording = readRecording(command, file);
  const recorded = summaryOf(recording);
  if (options.dryRun) return print(options, { recorded });
  const { target, body } = options;
  if (!target || !body) return command.error('error: --target and --body are needed, or --dry-run', { exitCode: 2 });
  const template = readGiven(command, body, (bytes) => new BodyTemplate(bytes.toString('utf8')));
  const result = await replay(recording, {
    target,
    template,
    speed: options.speed,
    sloMs: options.slo,
    timeoutMs: options.timeout,
    all: options.all === true,
    progress: (share, sent, good) => {
      const goodput = sent > 0 ? `, ${((100 * good) / sent).toFixed(1)} % in time so far` : '';
      showProgress(`replaying ${Math.floor(100 * share)} %: ${sent} sent${goodput}`, share === 1);
    },
  });
  showProgress('', false);
  print(options, { recorded, replayed: result });
  if (result.sent === 0 || Object.keys(result.statuses).some((name) => /^\d+$/.test(name))) return;
  console.error(`nobody answered at ${target.origin}${target.pathname}: is it the address of a companion or a model?`);
  process.exitCode = 1;
}

function print({ json }: ReplayOptions, report: { recorded: RecordingSummary; replayed?: ReplayResult }): void {
  if (json) return console.log(JSON.stringify(report, null, 2));
  const { recorded, replayed } = report;
  const outcomes = Object.entries(recorded.outcomes).map(([name, count]) => `${count} ${name}`);
  console.log(
    `${recorded.requests} requests from ${recorded.startedAt} in ${recorded.seconds} s: ${recorded.perSecond}/s, at most ${recorded.peakPerSecond} in a second`,
  );
  console.log(
    `${recorded.batchable} of them may share batches: ${recorded.items} items, ${recorded.lanes} lanes, SLO ${recorded.sloMs} ms; bodies of ${recorded.meanRequestBytes} bytes on average`,
  );
  console.log(`Outcomes: ${outcomes.join(', ') || 'none'}`);
  if (recorded.skippedBytes > 0) console.log(`${recorded.skippedBytes} bytes were not whole and were left out`);
  console.log(`\n           ${'goodput'.padStart(9)}${'P50'.padStart(11)}${'P99'.padStart(11)}`);
  for (const [name, each] of [['recorded', recorded] as const, ['replayed', replayed] as const]) {
    if (!each) continue;
    const goodput = each.goodput === null ? '-' : `${(100 * each.goodput).toFixed(2)} %`;
    console.log(`${name.padEnd(11)}${goodput.padStart(9)}${ms(each.p50Ms).padStart(11)}${ms(each.p99Ms).padStart(11)}`);
  }
  if (!replayed) return;
  const statuses = Object.entries(replayed.statuses).map(([status, count]) => `${count} x ${status}`);
  console.log(
    `\n${replayed.sent} sent in ${replayed.seconds} s, the latest ${replayed.latestMs} ms after its time; answers: ${statuses.join(', ') || 'none'}`,
  );
}

function ms(value: number | null): string {
  return value === null ? '-' : `${value.toFixed(1)} ms`;
}
