// Runs the benchmarks, each in a process of its own, and writes docs/benchmarks.md.
//
//   npm run bench                                     all of them
//   npm run bench -- --only wire,kernel --json FILE   these; FILE gets the reports
//   npm run bench -- --check                          exit code 1 where something that must hold does not
import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { print, withReport } from './document.ts';
import { benchmarkNames, moduleOf, parseNames } from './modules.ts';
import { type Provenance, provenance } from './provenance.ts';
import type { BenchReport } from './report.ts';

interface RunOptions {
  only?: string[];
  json?: string;
  out: string;
  check?: boolean;
}

const child = fileURLToPath(new URL('./run-one.ts', import.meta.url));
const defaultDocument = fileURLToPath(new URL('../docs/benchmarks.md', import.meta.url));

const { only, json, out, check } = new Command('npm run bench --')
  .description(`Runs the benchmarks (${benchmarkNames.join(', ')}) and writes docs/benchmarks.md.`)
  .option('--only <names>', 'run these alone, comma-separated, and keep the other sections', parseNames)
  .option('--json <file>', 'write the reports to a file as well', parseFile)
  .option('--out <file>', 'write the document somewhere else', parseFile, defaultDocument)
  .option('--check', 'exit with 1 where something that must hold does not')
  .allowExcessArguments(false)
  .parse()
  .opts<RunOptions>();

const from = provenance();
const reports: BenchReport[] = [];
let failures = 0;
for (const name of only ?? benchmarkNames) {
  console.error(`${name}:`);
  try {
    const report = await runAlone(name);
    reports.push(report);
    await document(report, from);
    print(report);
  } catch (error) {
    failures++;
    console.error(`${name}: ${(error as Error).message}`);
  }
}
if (json) await writeFile(json, `${JSON.stringify({ ...from, reports }, null, 2)}\n`);

const short = reports.flatMap((report) => report.rows.filter((row) => row.holds === false));
if (short.length > 0) console.error(`${short.length} of the figures that must hold do not`);
process.exitCode = failures > 0 || (check && short.length > 0) ? 1 : 0;

/** A path whose folder exists: better said now than after minutes of measuring. */
function parseFile(text: string): string {
  const file = resolve(text);
  if (!existsSync(dirname(file))) throw new InvalidArgumentError(`There is no folder ${dirname(file)}.`);
  return file;
}

function runAlone(name: string): Promise<BenchReport> {
  return new Promise((resolve, reject) => {
    if (!moduleOf(name)) return reject(new Error(`this benchmark has no module yet (bench/${name}.ts)`));
    const running = fork(child, [name], { execArgv: ['--import', 'tsx'], stdio: ['ignore', 2, 2, 'ipc'] });
    let report: BenchReport | undefined;
    running.on('message', (message) => {
      report = message as BenchReport;
    });
    running.on('error', reject);
    running.on('close', (code) => {
      if (report && code === 0) resolve(report);
      else reject(new Error(`ended with code ${code} and ${report ? 'a' : 'no'} report`));
    });
  });
}

/** Written after each benchmark, so that an interruption loses only the one that runs. */
async function document(report: BenchReport, from: Provenance): Promise<void> {
  const before = await readFile(out, 'utf8').catch(() => '');
  await writeFile(out, withReport(before, report, from));
}
