import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Provenance } from '../../bench/provenance.ts';

const titles = { chaos: 'Chaos', fuzz: 'Fuzzing', soak: 'Soak' };
type Name = keyof typeof titles;

/** Writes docs/reports/NAME.md: when, where and from what its figures come, and its parts. */
export function writeReport(name: Name, from: Provenance, parts: readonly string[]): void {
  changeReport(name, () => `${[headOf(name), origin(from), ...parts].join('\n\n')}\n`);
}

/** Writes docs/reports/NAME.md as `change` makes it of what is there: nothing where there is no page yet. */
export function changeReport(name: Name, change: (before: string) => string): void {
  const folder = new URL('../../docs/reports/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const file = fileURLToPath(new URL(`${name}.md`, folder));
  writeFileSync(file, change(read(file)));
  console.log(`wrote docs/reports/${name}.md`);
}

/** How a report begins. */
export function headOf(name: Name): string {
  return `<!-- Written by the command that it names: run it again instead of changing this. -->\n\n# ${titles[name]}`;
}

/** When, where and from what figures come. */
export function origin({ date, commit, node, machine }: Provenance): string {
  return `${date}, commit ${commit}, Node.js ${node}, ${machine}.`;
}

export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
