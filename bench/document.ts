import { benchmarkNames } from './modules.ts';
import type { Provenance } from './provenance.ts';
import type { BenchReport, BenchRow } from './report.ts';

/** A document of figures: how it begins, and which sections it has in which order. */
export interface Page {
  readonly head: string;
  readonly names: readonly string[];
  /** What the marks around a section begin with. */
  readonly mark?: string;
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
  return withSection(document, report.name, sectionOf(report, from), page);
}

/** The same for a section that is written already. */
export function withSection(document: string, name: string, section: string, page: Page): string {
  const { head, names, mark = 'bench' } = page;
  const sections = new Map(sectionsOf(document, mark));
  sections.set(name, section);
  const marked = (each: string) => `<!-- ${mark}:${each} -->\n${sections.get(each)}\n<!-- /${mark}:${each} -->\n`;
  return [head, ...names.filter((each) => sections.has(each)).map(marked)].join('\n');
}

/** Every section by its name, without its marks. */
function sectionsOf(document: string, mark: string): [string, string][] {
  const marks = new RegExp(`<!-- ${mark}:([\\w-]+) -->\\n([\\s\\S]*?)\\n<!-- /${mark}:\\1 -->`, 'g');
  return [...document.matchAll(marks)].map((match) => [match[1] as string, match[2] as string]);
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
