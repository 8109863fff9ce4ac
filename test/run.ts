// Runs test files, each in a process of its own, and adds up what they say.
//
//   npm test                     every file under test/ but the slow suites
//   npm test -- batching wire    files whose path contains one of the words
//
// The last line is `N passed, N failed`. A file fails as a whole when it registers no test, when a hook throws (uvu
// itself would exit with 0), when it hangs or when it leaves without a summary.
import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const testRoot = fileURLToPath(new URL('.', import.meta.url));
const projectRoot = join(testRoot, '..');
const slowSuites = ['peers/', 'cluster/', 'browser/', 'full/'];
const fileTimeoutMs = 240_000;

interface FileResult {
  file: string;
  passed: number;
  failed: number;
  skipped: number;
  seconds: number;
  output: string;
}

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
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
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
    if (result.failed > 0) console.log(result.output);
  }
}

function runFile(file: string): Promise<FileResult> {
  return new Promise((resolve) => {
    const started = Date.now();
    const child = spawn(process.execPath, ['--import', 'tsx', join(testRoot, file)], {
      cwd: projectRoot,
      env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const collect = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const timer = setTimeout(() => {
      output += `\ntimed out after ${fileTimeoutMs / 1000} s`;
      child.kill('SIGKILL');
    }, fileTimeoutMs);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ file, seconds: (Date.now() - started) / 1000, output, ...judge(output, code) });
    });
  });
}

/** Reads uvu's summary. Anything short of "all that were registered passed" is a failure. */
function judge(output: string, code: number | null): { passed: number; failed: number; skipped: number } {
  const read = (label: string) => Number(new RegExp(`^\\s*${label}:\\s+(\\d+)`, 'm').exec(output)?.[1] ?? Number.NaN);
  const total = read('Total');
  const passed = read('Passed');
  const skipped = read('Skipped') || 0;
  if (!Number.isFinite(total) || total + skipped === 0) return { passed: 0, failed: 1, skipped: 0 };
  const failed = total - passed;
  return { passed, failed: failed === 0 && code !== 0 ? 1 : failed, skipped };
}
