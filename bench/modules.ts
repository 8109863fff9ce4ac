import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError } from 'commander';
import type { BenchReport } from './report.ts';

/** The benchmarks, in the order in which they run and are documented. */
export const benchmarkNames = ['wire', 'kernel', 'companion', 'policy', 'planner'] as const;

/** What each module of that name exports. */
export interface BenchModule {
  run(progress: (text: string) => void): Promise<BenchReport>;
}

/**
 * Reads `NAME[,NAME]`.
 *
 * @throws {InvalidArgumentError} if a name is of no benchmark, or there is none.
 */
export function parseNames(text: string): string[] {
  const wanted = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const known: readonly string[] = benchmarkNames;
  for (const name of wanted) {
    if (!known.includes(name)) {
      throw new InvalidArgumentError(`There is no benchmark "${name}"; there are ${known.join(', ')}.`);
    }
  }
  if (wanted.length === 0) throw new InvalidArgumentError(`Name one or more of ${known.join(', ')}.`);
  return known.filter((name) => wanted.includes(name));
}

/** Where a benchmark's module is, or null while nobody has written it. */
export function moduleOf(name: string): string | null {
  const file = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  return existsSync(file) ? file : null;
}
