// Runs test files, each in a process of its own, and adds up what they say.
//
//   npm test                     every file under test/ but the slow suites
//   npm test -- batching wire    files whose path contains one of the words, but those of the slow suites
//
// The last line is `N passed, N failed`.
import { readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FileResult, runTestFile, summaryLine } from './support/run-file.ts';
import { selectFiles } from './support/select-files.ts';

const testRoot = fileURLToPath(new URL('.', import.meta.url));
const projectRoot = join(testRoot, '..');
const fileTimeoutMs = 240_000;

const words = process.argv.slice(2);
const all = (await readdir(testRoot, { recursive: true })).filter((file) => file.endsWith('.test.ts')).sort();
const { files, notes } = selectFiles(all, words);
const results: FileResult[] = [];
const queue = [...files];
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, runQueue));

const passed = sum((result) => result.passed);
const skipped = sum((result) => result.skipped);
let failed = sum((result) => result.failed);
for (const note of notes) console.error(note);
if (notes.length > 0) failed++;
console.log(summaryLine(passed, failed, skipped));
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

function sum(of: (result: FileResult) => number): number {
  return results.reduce((total, result) => total + of(result), 0);
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
