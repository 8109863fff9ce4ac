// Installs the peers, then runs the test files against them.
//
//   npm run test:peers                 every file below test/peers/
//   npm run test:peers -- kserve       files whose name contains one of the words (--only WORD,WORD says the same)
//   npm run test:peers -- --install    only installs
//
// A file says in its first line what it needs. The last line is `N passed, N failed`; where the machine lacks Python or Go,
// the files that need it are reported as skipped, with the reason before the summary.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { progress } from '../cluster/command.ts';
import { runCommand } from '../support/run-command.ts';
import { type FileResult, runTestFile, summaryLine } from '../support/run-file.ts';
import { buildPrograms, whyNoPrograms } from './programs.ts';
import { findPython, installEnvironment } from './python.ts';
import { type EnvironmentName, environments, projectRoot, sources } from './settings.ts';

const fileTimeoutMs = 300_000;

/** What a test file may need: an environment of Python, or the Go programs. */
const needed = [...environments, 'go'] as const;
type Need = (typeof needed)[number];

const command = runCommand('test:peers', "Runs the companion among other people's servers, clients and proxies.")
  .argument('[words...]', 'files whose name contains one of them, in the place of all')
  .option('--only <words>', 'the same, comma-separated')
  .option('--install', 'only install what they need')
  .parse();
const { only, install: installsOnly } = command.opts<{ only?: string; install?: true }>();
const words = [...command.args, ...(only === undefined ? [] : [only])].flatMap((word) => word.split(','));
const files = readdirSync(sources)
  .filter((name) => name.endsWith('.test.ts'))
  .filter((name) => words.length === 0 || words.some((word) => name.includes(word)))
  .sort();
const result = { passed: 0, failed: 0, skipped: 0 };
if (files.length === 0) {
  console.error(`no test file matches ${words.join(' ')}`);
  process.exit(2);
}

const wanted = new Set(files.flatMap(needsOf));
const missing = await install(wanted);
if (!installsOnly) for (const file of files) await runOne(file);
console.log(summaryLine(result.passed, result.failed, result.skipped));
process.exitCode = result.failed > 0 ? 1 : 0;

function needsOf(file: string): Need[] {
  const said = /^\/\/ needs: (.+)$/m.exec(readFileSync(join(sources, file), 'utf8'))?.[1] ?? '';
  const needs = said === 'nothing' ? [] : said.split(', ');
  const unknown = needs.find((need) => !needed.includes(need as Need));
  if (unknown !== undefined) throw new Error(`${file} needs one or more of ${needed.join(', ')}, not "${unknown}"`);
  return needs as Need[];
}

/** Installs what is wanted. Returns why something cannot be had on this machine; what fails to install fails its files. */
async function install(needs: ReadonlySet<Need>): Promise<Map<Need, { reason: string; fails: boolean }>> {
  const without = new Map<Need, { reason: string; fails: boolean }>();
  const python = await findPython();
  for (const need of needs) {
    const reason = need === 'go' ? await whyNoPrograms() : 'reason' in python ? python.reason : undefined;
    if (reason) without.set(need, { reason, fails: false });
    else {
      await (need === 'go' ? buildPrograms() : installEnvironment(need as EnvironmentName, pythonOf(python))).catch(
        (error: Error) => without.set(need, { reason: error.message, fails: true }),
      );
    }
  }
  return without;
}

function pythonOf(found: Awaited<ReturnType<typeof findPython>>): string {
  if ('reason' in found) throw new Error(found.reason);
  return found.python;
}

async function runOne(file: string): Promise<void> {
  const lacks = needsOf(file)
    .map((need) => missing.get(need))
    .find((lack) => lack !== undefined);
  if (lacks && !lacks.fails) {
    console.log(`skip test/peers/${file}: ${lacks.reason}`);
    result.skipped++;
    return;
  }
  if (lacks) {
    console.log(`FAIL test/peers/${file}: what it needs cannot be installed\n${lacks.reason}`);
    result.failed++;
    return;
  }
  progress(`test/peers/${file}`);
  const outcome: FileResult = await runTestFile([process.execPath, '--import', 'tsx', join(sources, file)], {
    cwd: projectRoot,
    timeoutMs: fileTimeoutMs,
  });
  result.passed += outcome.passed;
  result.failed += outcome.failed;
  result.skipped += outcome.skipped;
  const verdict = outcome.failed > 0 ? 'FAIL' : 'ok  ';
  console.log(`${verdict} test/peers/${file} (${outcome.passed} passed, ${outcome.seconds.toFixed(1)} s)`);
  for (const line of outcome.output.split('\n')) if (line.startsWith('figure: ')) console.log(`     ${line.slice(8)}`);
  if (outcome.failed > 0) console.log(outcome.output);
}
