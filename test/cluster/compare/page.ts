import { chartSvg, escapeHtml } from '../../../loadtests/report/chart.ts';
import { pageOf } from '../../../loadtests/report/html.ts';
import type { Bar, Outcome } from './bars.ts';
import { podsMax, sloMs } from './ways.ts';

/** Where and of what the figures are. */
export interface Setting {
  readonly machine: string;
  readonly commit: string;
  readonly date: string;
  /** Some ways were measured by a run before this one. */
  readonly kept: boolean;
}

const note = '<!-- Written by `npm run cluster:compare`: figures are measured, not typed. -->';

/** The comparison as a page of the documentation. */
export function markdownPage(
  outcomes: readonly Outcome[],
  bars: readonly Bar[],
  { machine, commit, date, kept }: Setting,
): string {
  const [first] = outcomes;
  const phases = first?.report.sides[0]?.phases ?? [];
  const rates = phases.map(({ name, rate, tally }) => `${name} (${rate}/s, ${tally.seconds.toFixed(0)} s)`).join(', ');
  const percent = (value: number) => `${(Math.floor(value * 1000) / 10).toFixed(1)} %`;
  const rows = outcomes.map(({ way, report }) => {
    const side = report.sides[0];
    const replicas = side?.replicas;
    const starts = replicas?.coldStartsMs ?? [];
    const middle = starts[Math.floor(starts.length / 2)];
    return [
      way.name,
      ...(side?.phases ?? []).map(({ tally }) => percent(tally.attainment)),
      side?.whole.p99Ms?.toFixed(0) ?? '',
      `${(side?.whole.failed ?? 0) + (side?.whole.refused ?? 0) + (side?.whole.unsent ?? 0)}`,
      replicas?.replicaSeconds.toFixed(0) ?? '',
      `${replicas?.most ?? ''}`,
      middle === undefined ? 'none' : `${starts.length}, ${(middle / 1000).toFixed(1)} s`,
    ];
  });
  const head = [
    '',
    ...phases.map(({ name }) => name),
    'P99 ms',
    'failed',
    'replica-seconds',
    'most replicas',
    'pods started, median',
  ];
  return `${note}

# A step of five times the load, five ways

A serial model takes 50 ms a call and 5 ms an item. The promise is ${sloMs} ms. Load comes at a constant rate whether or not
answers do: ${rates}. Each way begins with one ready pod, may have ${podsMax} and has the cluster for itself; all were run one after the other${kept ? ', in several runs' : ' by one command'}. Shares are of all requests that were due; a request that fails, is refused or cannot be sent is missed.

${tableOf(head, rows)}

${outcomes.map(({ way }) => `- **${way.name}**: ${way.tells}.`).join('\n')}

## What is asked

${tableOf(
  ['', 'measured', ''],
  bars.map(({ asked, measured, held }) => [asked, measured, held ? 'held' : '**missed**']),
)}

Requests and replicas over time: [load-comparison.html](load-comparison.html), which opens by itself. Measured on ${machine}, ${date}, commit ${commit}.
`;
}

/** The same over time, as one page that needs nothing else. */
export function htmlPage(outcomes: readonly Outcome[], { machine, commit, date }: Setting): string {
  let from = 0;
  const bands = (outcomes[0]?.report.sides[0]?.phases ?? []).map(({ name, tally }) => {
    const band = { name, from, to: from + tally.seconds };
    from = band.to;
    return band;
  });
  const lines = (key: 'good' | 'ready' | 'p99Ms') =>
    outcomes.map(({ way, report }, at) => ({
      label: way.name,
      values: (report.sides[0]?.seconds ?? []).map((second) => second[key]),
      colour: at + 1,
      dashed: at > 0,
    }));
  return pageOf(
    'A step of five times the load, five ways',
    `
<h1>A step of five times the load, five ways</h1>
<p>${escapeHtml(`${machine}, ${date}, commit ${commit}`)}. What the rows mean is said in load-comparison.md.</p>
${chartSvg({ title: 'Answers within the SLO', unit: 'per second, by when they were due', bands, lines: lines('good') })}
${chartSvg({ title: 'Ready replicas', unit: 'pods', bands, lines: lines('ready') })}
${chartSvg({ title: 'P99', unit: 'ms, by when they were sent', bands, lines: lines('p99Ms'), level: { label: `SLO ${sloMs} ms`, value: sloMs } })}`,
  );
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
