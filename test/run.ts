// Runs test files, each in a process of its own, and adds up what they say.
//
//   npm test                     every file under test/ but the slow suites
//   npm test -- batching wire    files whose path contains one of the words
//
// The last line is `N passed, N failed`.
import { readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FileResult, runTestFile, summaryLine } from './support/run-file.ts';

const testRoot = fileURLToPath(new URL('.', import.meta.url));
const projectRoot = join(testRoot, '..');
const slowSuites = ['peers/', 'cluster/', 'browser/', 'full/'];
const fileTimeoutMs = 240_000;

const words = process.argv.slice(2);
const files = await selectFiles(words);
const results: FileResult[] = [];
const queue = [...files];
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, runQueue));

const passed = sum((result) => result.passed);
const skipped = sum((result) => result.skipped);
let failed = sum((result) => result.failed);
if (files.length === 0) {
  console.error(`no test file matches ${words.join(' ')}`);
  failed = 1;
}
console.log(summaryLine(passed, failed, skipped));
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

function sum(of: (result: FileResult) => number): number {
  return results.reduce((total, result) => total + of(result), 0);
}

async function selectFiles(wanted: string[]): Promise<string[]> {
  const all = (await readdir(testRoot, { recursive: true })).filter((file) => file.endsWith('.test.ts')).sort();
  if (wanted.length > 0) return all.filter((file) => wanted.some((word) => file.includes(word)));
  return all.filter((file) => !slowSuites.some((folder) => file.startsWith(folder)));
}

async function runQueue(): Promise<void> {
  for (let file = queue.shift(); file; file = queue.shift()) {
    const result = await runFile(file);
    results.push(result);
    const verdict = result.failed > 0 ? 'FAIL' : 'ok  ';
    console.log(
      `${verdict} ${relative(projectRoot, join(testRoot, file))} (${result.passed} passed, ${result.seconds.toFixed(1)} s)`,
    );
    // What a file could not try here, and why.
    for (const line of result.output.split('\n')) if (line.startsWith('skip ')) console.log(line);
    if (result.failed > 0) console.log(result.output);
  }
}

function runFile(file: string): Promise<FileResult> {
  const command = [process.execPath, '--import', 'tsx', join(testRoot, file)] as const;
  return runTestFile([...command], { cwd: projectRoot, timeoutMs: fileTimeoutMs });
}
