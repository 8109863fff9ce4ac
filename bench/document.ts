import { benchmarkNames } from './modules.ts';
import type { Provenance } from './provenance.ts';
import type { BenchReport, BenchRow } from './report.ts';

/** A document of figures: how it begins, and which sections it has in which order. */
export interface Page {
  readonly head: string;
  readonly names: readonly string[];
}

const benchmarks: Page = {
  names: benchmarkNames,
  head: `# Benchmarks

Written by \`npm run bench\`; do not edit. \`npm run bench -- --only wire\` measures one part again and leaves the others.
Ratios are of things measured side by side in one run; absolute figures belong to the machine that is named with them.
A commit with \`+\` had changes that were not committed.
`,
};

/** The document with this report's section put in or replaced, and all others kept as they are. */
export function withReport(document: string, report: BenchReport, from: Provenance, page: Page = benchmarks): string {
  const sections = new Map(sectionsOf(document));
  sections.set(report.name, sectionOf(report, from));
  const names = page.names.filter((name) => sections.has(name));
  return [page.head, ...names.map((name) => mark(name, sections.get(name) as string))].join('\n');
}

/** Every section by its name, without its marks. */
function sectionsOf(document: string): [string, string][] {
  const marks = /<!-- bench:([\w-]+) -->\n([\s\S]*?)\n<!-- \/bench:\1 -->/g;
  return [...document.matchAll(marks)].map((match) => [match[1] as string, match[2] as string]);
}

function mark(name: string, section: string): string {
  return `<!-- bench:${name} -->\n${section}\n<!-- /bench:${name} -->\n`;
}

function sectionOf(report: BenchReport, from: Provenance): string {
  const lines = [
    `## ${report.title} (\`${report.name}\`)`,
    '',
    `${from.date}, commit ${from.commit}, Node ${from.node}, ${from.machine}`,
    '',
    '| what | value | unit | must hold | holds |',
    '| --- | ---: | --- | --- | --- |',
    ...report.rows.map(rowOf),
  ];
  for (const note of report.notes ?? []) lines.push('', note);
  return lines.join('\n');
}

function rowOf(row: BenchRow): string {
  const holds = row.holds === undefined ? '' : row.holds ? 'yes' : '**no**';
  return `| ${[cell(row.name), figure(row.value), cell(row.unit), cell(row.bar ?? ''), holds].join(' | ')} |`;
}

/** Three digits or more: 0.0123, 4.56, 123, 12345. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return String(Number(value.toPrecision(3)));
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

/** The figures of a report on the terminal. */
export function print(report: BenchReport): void {
  console.log(`\n${report.title} (${report.name})`);
  const width = Math.max(...report.rows.map((row) => row.name.length));
  for (const row of report.rows) {
    console.log(`  ${row.name.padEnd(width)}  ${figure(row.value).padStart(8)} ${row.unit.padEnd(12)} ${verdict(row)}`);
  }
}

function verdict(row: BenchRow): string {
  if (row.bar === undefined) return '';
  return row.holds === undefined ? row.bar : `${row.bar}: ${row.holds ? 'holds' : 'DOES NOT HOLD'}`;
}
