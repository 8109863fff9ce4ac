import { execFileSync } from 'node:child_process';
import { arch, cpus, platform, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

/** Where and from what a figure comes. */
export interface Provenance {
  readonly machine: string;
  readonly node: string;
  /** With `+` where tracked files differ from it. */
  readonly commit: string;
  /** ISO, to the second. */
  readonly date: string;
}

export function provenance(): Provenance {
  const processors = cpus();
  const model = (processors[0]?.model ?? 'unknown processor').trim();
  const memory = Math.round(totalmem() / 2 ** 30);
  return {
    machine: `${processors.length} x ${model}, ${memory} GiB, ${platform()} ${arch()}`,
    node: process.version,
    commit: commitNow(),
    date: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
  };
}

function commitNow(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    // The documents themselves change with every run.
    const documents = [':!docs/benchmarks.md', ':!docs/peers-comparison.md', ':!docs/reports'];
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', '.', ...documents) !== '';
    return `${git('rev-parse', '--short=10', 'HEAD')}${changed ? '+' : ''}`;
  } catch {
    return 'unknown';
  }
}
