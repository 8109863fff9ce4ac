// Fuzzing of what reads what others send: `wire.wasm`, and the companion's HTTP/1.1 and HTTP/2. test/fuzz/README.md says
// how. The last line is `N passed, N failed`.
//
//   npm run fuzz                                            10^6 bodies, 20,000 connections of each kind
//   npm run fuzz -- --only wire --runs 10000000 --seed 5    one target, longer, with another seed
//   npm run fuzz -- --seconds 60                            a minute for each target at most
import { readFileSync, writeFileSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';
import { provenance } from '../../bench/provenance.ts';
import { Progress } from '../support/progress.ts';
import { changeReport } from '../support/reports.ts';
import { runCommand, wholeFrom } from '../support/run-command.ts';
import { withTarget } from './report.ts';
import type { FuzzResult, FuzzSettings } from './settings.ts';
import { fuzzSockets } from './sockets.ts';
import { fuzzWire } from './wire.ts';

const targets = { wire: 1_000_000, http: 20_000, grpc: 20_000 };
type Target = keyof typeof targets;

interface Options {
  only?: Target[];
  runs?: number;
  seconds: number;
  seed: number;
  full?: true;
  keep?: true;
  report?: true;
}

const names = Object.keys(targets) as Target[];
const { only, runs, seconds, seed, full, keep, report } = runCommand('fuzz', 'Fuzzes what reads what others send.')
  .option('--only <targets>', `these alone, comma-separated: ${names.join(', ')}`, parseTargets)
  .option('--runs <n>', `how often each is tried (default: ${Object.values(targets).join(', ')})`, wholeFrom(1))
  .option('--seconds <n>', 'a target ends after so long though not all is done', wholeFrom(1), 86_400)
  .option('--seed <n>', 'of what is tried', wholeFrom(0), 1)
  .option('--full', 'ten times as often')
  .option('--keep', 'add what is read in a new way to the corpus')
  .option('--report', 'write these targets into docs/reports/fuzz.md')
  .parse()
  .opts<Options>();
const from = provenance();
const results: (FuzzResult & { seconds: number })[] = [];
for (const name of names) {
  if (only && !only.includes(name)) continue;
  const started = performance.now();
  let progress: Progress | undefined;
  const settings: FuzzSettings = {
    runs: runs ?? targets[name] * (full ? 10 : 1),
    seconds,
    seed,
    progress: (line) => {
      progress = new Progress(line);
    },
  };
  const result = name === 'wire' ? await fuzzWire(settings) : await fuzzSockets(name, settings);
  progress?.end();
  const took = Math.round((performance.now() - started) / 1000);
  results.push({ ...result, seconds: took });
  console.log(
    `${name}: ${result.runs} of ${settings.runs} tried in ${took} s, seed ${seed}, ${result.findings.length} findings`,
  );
  for (const [what, figure] of result.figures) console.log(`     ${figure} x ${what}`);
  for (const finding of result.findings) console.log(`FAIL ${finding}`);
  if (keep && 'kept' in result) addToCorpus(result.kept as string[]);
}
if (report) {
  const asked = process.argv.slice(2).join(' ');
  changeReport('fuzz', (before) =>
    results.reduce((page, result) => withTarget(page, { ...result, asked, seed }, from, names), before),
  );
}
const failed = results.filter(({ findings }) => findings.length > 0).length;
console.log(`${results.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

/** Those that are named, beside those that were named before. */
function parseTargets(text: string, before: readonly Target[] = []): Target[] {
  const wanted = text.split(',').map((name) => name.trim());
  const unknown = wanted.find((name) => !names.includes(name as Target));
  if (unknown !== undefined) throw new InvalidArgumentError(`There is no "${unknown}"; there are ${names.join(', ')}.`);
  return [...before, ...(wanted as Target[])];
}

/** Adds cases of new traits to the corpus. */
function addToCorpus(lines: readonly string[]): void {
  const file = new URL('corpus/wire.jsonl', import.meta.url);
  const all = [...new Set([...readFileSync(file, 'utf8').split('\n'), ...lines])].filter((line) => line !== '');
  writeFileSync(file, `${all.join('\n')}\n`);
  console.log(`the corpus has ${all.length} cases`);
}
