// Fuzzing of what reads what others send: `wire.wasm`, and the companion's HTTP/1.1 and HTTP/2. test/fuzz/README.md says
// how. The last line is `N passed, N failed`.
//
//   npm run fuzz                                            10^6 bodies, 20,000 connections of each kind
//   npm run fuzz -- --only wire --runs 10000000 --seed 5    one target, longer, with another seed
//   npm run fuzz -- --seconds 60                            a minute for each target at most
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { provenance } from '../../bench/provenance.ts';
import { Progress } from '../support/progress.ts';
import { table, writeReport } from '../support/reports.ts';
import type { FuzzResult, FuzzSettings } from './settings.ts';
import { fuzzSockets } from './sockets.ts';
import { fuzzWire } from './wire.ts';

const targets = { wire: 1_000_000, http: 20_000, grpc: 20_000 };
type Target = keyof typeof targets;

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    runs: { type: 'string' },
    seconds: { type: 'string', default: '86400' },
    seed: { type: 'string', default: '1' },
    full: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    report: { type: 'boolean', default: false },
  },
});
const names = Object.keys(targets) as Target[];
const wrong = values.only.filter((name) => !names.includes(name as Target));
if (wrong.length > 0) {
  console.error(`there is no ${wrong.join(', ')}: --only is ${names.join(', ')}`);
  process.exit(2);
}
const from = provenance();
const seed = Number(values.seed);
const results: (FuzzResult & { took: number })[] = [];
for (const name of names) {
  if (values.only.length > 0 && !values.only.includes(name)) continue;
  const started = performance.now();
  let progress: Progress | undefined;
  const settings: FuzzSettings = {
    runs: Number(values.runs ?? targets[name] * (values.full ? 10 : 1)),
    seconds: Number(values.seconds),
    seed,
    progress: (line) => {
      progress = new Progress(line);
    },
  };
  const result = name === 'wire' ? await fuzzWire(settings) : await fuzzSockets(name, settings);
  progress?.end();
  const took = Math.round((performance.now() - started) / 1000);
  results.push({ ...result, took });
  console.log(
    `${name}: ${result.runs} of ${settings.runs} tried in ${took} s, seed ${seed}, ${result.findings.length} findings`,
  );
  for (const [what, figure] of result.figures) console.log(`     ${figure} x ${what}`);
  for (const finding of result.findings) console.log(`FAIL ${finding}`);
  if (values.keep && 'kept' in result) keep(result.kept as string[]);
}
if (values.report) {
  writeReport('fuzz', from, [
    `\`npm run fuzz -- ${process.argv.slice(2).join(' ')}\`, seed ${seed}. What must hold is in test/fuzz/README.md.`,
    table(
      ['target', 'tried', 'seconds', 'findings'],
      results.map(({ name, runs, took, findings }) => [name, runs, took, findings.length]),
    ),
    ...results.flatMap(({ name, figures }) => [`## ${name}`, table(['what', 'how many'], figures)]),
  ]);
}
const failed = results.filter(({ findings }) => findings.length > 0).length;
console.log(`${results.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

/** Adds cases of new traits to the corpus. */
function keep(lines: readonly string[]): void {
  const file = new URL('corpus/wire.jsonl', import.meta.url);
  const all = [...new Set([...readFileSync(file, 'utf8').split('\n'), ...lines])].filter((line) => line !== '');
  writeFileSync(file, `${all.join('\n')}\n`);
  console.log(`the corpus has ${all.length} cases`);
}
