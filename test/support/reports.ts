import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Provenance } from '../../bench/provenance.ts';

const titles = { chaos: 'Chaos', fuzz: 'Fuzzing', soak: 'Soak' };

/** Writes docs/reports/NAME.md: when, where and from what its figures come, and its parts. */
export function writeReport(name: keyof typeof titles, from: Provenance, parts: readonly string[]): void {
  const folder = new URL('../../docs/reports/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const file = fileURLToPath(new URL(`${name}.md`, folder));
  const head = [
    '<!-- Written by the command that it names: run it again instead of changing this. -->',
    `# ${titles[name]}`,
    `${from.date}, commit ${from.commit}, Node.js ${from.node}, ${from.machine}.`,
  ];
  writeFileSync(file, `${[...head, ...parts].join('\n\n')}\n`);
  console.log(`wrote docs/reports/${name}.md`);
}

export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
