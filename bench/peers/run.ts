// Measures Paceline beside KServe's agent, Knative's queue-proxy, MLServer and BentoML, and writes docs/peers-comparison.md.
//
//   npm run bench:peers                                     everything, about 27 minutes on a quiet machine
//   npm run bench:peers -- --only cpu,idle --seconds 10     these parts, each turn so long; the other sections stay
//   npm run bench:peers -- --json FILE                      FILE gets the reports too
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { showDefaults } from '../../src/cli/arguments.ts';
import { progress } from '../../test/cluster/command.ts';
import { buildPrograms, whyNoPrograms } from '../../test/peers/programs.ts';
import { findPython, installEnvironment } from '../../test/peers/python.ts';
import { environments } from '../../test/peers/settings.ts';
import { type Page, print, withReport } from '../document.ts';
import { provenance } from '../provenance.ts';
import type { BenchReport } from '../report.ts';
import { batchingCpu } from './batching-cpu.ts';
import { goodput } from './goodput.ts';
import { idle } from './idle.ts';
import { passThrough } from './pass-through.ts';
import { scheduling } from './scheduling.ts';
import { realSmallModel } from './small-model.ts';
import type { PeersRun } from './turns.ts';

const parts: Readonly<Record<string, (run: PeersRun) => Promise<BenchReport>>> = {
  goodput,
  scheduling,
  cpu: batchingCpu,
  'pass-through': passThrough,
  'small-model': realSmallModel,
  idle,
};
const names = Object.keys(parts);

const page: Page = {
  names,
  head: `# Beside other servers and proxies

Written by \`npm run bench:peers\`; do not edit. \`npm run bench:peers -- --only cpu\` measures one part again and leaves the others.
All of a part is measured in one run and in turns (A B C A B C ...), each alone on the machine; figures are medians of the rounds,
and ratios are taken round by round. KServe's agent is v0.17, Knative's queue-proxy v1.23, MLServer 1.7.1, BentoML 1.4.40, KServe's
Python server 0.21, all of them as they are published. Absolute figures belong to the machine that is named with them.
A commit with \`+\` had changes that were not committed.
`,
};

interface Options {
  seconds: number;
  only: string[];
  json?: string;
  out: string;
  check?: boolean;
}

const command = new Command('npm run bench:peers --')
  .description('Measures Paceline beside its peers in turns, and writes docs/peers-comparison.md.')
  .option('--seconds <n>', 'how long a turn is counted', parseSeconds, 3)
  .option('--only <parts>', `these alone, comma-separated: ${names.join(', ')}`, parseParts, names)
  .option('--json <file>', 'write the reports to a file as well', (file) => resolve(file))
  .option('--out <file>', 'write the page somewhere else', (file) => resolve(file), pageFile())
  .option('--check', 'exit with 1 where something that must hold does not')
  .allowExcessArguments(false);
const { seconds, only, json, out, check } = showDefaults(command, { only: 'all', out: 'docs/peers-comparison.md' })
  .parse()
  .opts<Options>();

await install();
const from = provenance();
const reports: BenchReport[] = [];
for (const name of only) {
  const part = parts[name] as (run: PeersRun) => Promise<BenchReport>;
  const report = await part({ seconds, progress });
  reports.push(report);
  // After each part, so that an interruption loses only the one that runs.
  await writeFile(out, withReport(await readFile(out, 'utf8').catch(() => ''), report, from, page));
  print(report);
}
if (json) await writeFile(json, `${JSON.stringify({ ...from, seconds, reports }, null, 2)}\n`);
const short = reports.flatMap((report) => report.rows.filter((row) => row.holds === false));
if (short.length > 0) console.error(`${short.length} of the figures that must hold do not`);
process.exit(check && short.length > 0 ? 1 : 0);

async function install(): Promise<void> {
  const python = await findPython();
  if ('reason' in python) throw new Error(python.reason);
  const noGo = await whyNoPrograms();
  if (noGo) throw new Error(noGo);
  for (const environment of environments) await installEnvironment(environment, python.python);
  await buildPrograms();
}

function pageFile(): string {
  return fileURLToPath(new URL('../../docs/peers-comparison.md', import.meta.url));
}

function parseSeconds(text: string): number {
  const value = Number(text);
  if (!(value >= 1 && value <= 600)) throw new InvalidArgumentError('A turn takes 1 to 600 seconds.');
  return value;
}

function parseParts(text: string): string[] {
  const wanted = text.split(',').map((name) => name.trim());
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`There is no part "${unknown}"; there are ${names.join(', ')}.`);
  return names.filter((name) => wanted.includes(name));
}
