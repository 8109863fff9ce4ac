import { type Deadlines, type TurnTimes, timeTurns } from './kernel-turns.ts';
import { median, quantile } from './measure.ts';
import type { BenchReport, BenchRow } from './report.ts';
import { recordingUs, scrapeMs } from './telemetry-cost.ts';

/** Microseconds: KERNEL's budget of admitting one request, and of dispatching a batch and each of its items. */
const admitBudgetUs = 0.3;
const dispatchBudgetUs = (items: number) => 1 + 0.15 * items;
const waiting = [1_000, 10_000, 100_000] as const;
/** P99 at any of these depths is at most this many times that at any other. */
const spreadMax = 2;

/** What deciding costs: admission and dispatch over the depth of the queue, and the metrics beside them. */
export async function run(progress: (text: string) => void): Promise<BenchReport> {
  const rows: BenchRow[] = [];
  for (const deadlines of ['random', 'in order'] as const) {
    const depths = waiting.map((depth) => {
      progress(`kernel: ${deadlines} deadlines, ${depth} waiting`);
      return { depth, times: timeTurns(depth, deadlines) };
    });
    for (const { depth, times } of depths) rows.push(...costRows(deadlines, depth, times));
    rows.push(
      spread(
        `admit, ${deadlines} deadlines: P99`,
        depths.map(({ times }) => quantile(times.admitUs, 0.99)),
      ),
      spread(
        `dispatch, ${deadlines} deadlines: P99`,
        depths.map(({ times }) => quantile(times.dispatchUs, 0.99)),
      ),
    );
  }
  progress('kernel: metrics');
  rows.push(atMost('recording the metrics of a request that is a batch of its own', recordingUs(), 'us', 1));
  for (const [name, ms] of Object.entries(await scrapeMs())) {
    rows.push(atMost(`one scrape, ${name}, median`, median(ms), 'ms', 2));
    rows.push({ name: `one scrape, ${name}, P99`, value: quantile(ms, 0.99), unit: 'ms' });
  }
  return {
    name: 'kernel',
    title: 'The cost of deciding',
    rows,
    notes: [
      'Through the host’s class: event records written, `step`, verdicts read. The queue is kept at its depth by turns: a ' +
        'batch ends and the next one is dispatched (one timing), then as many requests arrive as it took (one timing, ' +
        'divided by them). The least of seven passes over the same turns. Medians against the budget; a dispatch includes learning from the batch that ended.',
    ],
  };
}

function costRows(deadlines: Deadlines, depth: number, { admitUs, dispatchUs, items }: TurnTimes): BenchRow[] {
  const label = `${depth} waiting, ${deadlines} deadlines`;
  const shares = dispatchUs.map((us, i) => us / dispatchBudgetUs(items[i] as number));
  return [
    atMost(`admit, ${label}`, median(admitUs), 'us', admitBudgetUs),
    { name: `admit, ${label}, P99`, value: quantile(admitUs, 0.99), unit: 'us' },
    atMost(
      `dispatch of ${Math.round(median(items))}, ${label}, share of 1 us + 0.15 us an item`,
      median(shares),
      '',
      1,
    ),
    { name: `dispatch of ${Math.round(median(items))}, ${label}`, value: median(dispatchUs), unit: 'us' },
    { name: `dispatch of ${Math.round(median(items))}, ${label}, P99`, value: quantile(dispatchUs, 0.99), unit: 'us' },
  ];
}

function spread(name: string, values: readonly number[]): BenchRow {
  return atMost(`${name}, worst depth over best`, Math.max(...values) / Math.min(...values), 'x', spreadMax);
}

function atMost(name: string, value: number, unit: string, bar: number): BenchRow {
  return { name, value, unit, bar: `<= ${bar}`, holds: value <= bar };
}
