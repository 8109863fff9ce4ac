// Brings the cluster up, runs the test files against it and takes it down again.
//
//   npm run test:cluster                 every file below test/cluster/
//   npm run test:cluster -- serving      files whose name contains one of the words
//   npm run test:cluster -- --keep       leaves the cluster running, without the tests of its end
//   npm run test:cluster -- --full       the long forms too (PACELINE_FULL=1 for the files)
//
// Files directly below test/cluster/ run inside the cluster's network, some at the same time (schedule.ts); in the full run
// one after the other. Those below lifecycle/ run outside it, after them and in the order of their names: they start and end
// clusters.
//
// The last line is `N passed, N failed`; the one before names what failed at the first try. Where the machine cannot run a
// cluster, the files are reported as skipped, with the reason before the summary.
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type FileResult, runTestFile, summaryLine } from '../support/run-file.ts';
import { progress } from './command.ts';
import { down } from './down.ts';
import { fetchOperators } from './install/operators.ts';
import { enterNetwork } from './kubectl.ts';
import { lastState } from './last-state.ts';
import { withLock } from './lock.ts';
import { whyNot } from './requirements.ts';
import { scheduleOf } from './schedule.ts';
import { paths, projectRoot, sources } from './settings.ts';
import { running, up } from './up.ts';

type Command = [string, ...string[]];

const fileTimeoutMs = { usual: 600_000, full: 1_800_000 };

const args = process.argv.slice(2);
const full = args.includes('--full');
const keep = args.includes('--keep');
const words = args.filter((word) => !word.startsWith('--'));
const inside = testFilesIn(sources);
const lifecycle = keep ? [] : testFilesIn(join(sources, 'lifecycle'));
const result = { passed: 0, failed: 0, skipped: 0 };
/** Files that failed at first. */
const unsteady: string[] = [];

const reason = await whyNot();
if (reason) {
  for (const file of [...inside, ...lifecycle]) console.log(`skip test/cluster/${basename(file)}: ${reason}`);
  result.skipped = inside.length + lifecycle.length;
} else {
  await runAll();
}
if (unsteady.length > 0) console.log(`failed at the first try: ${unsteady.join(', ')}`);
console.log(summaryLine(result.passed, result.failed, result.skipped));
process.exitCode = result.failed > 0 ? 1 : 0;

async function runAll(): Promise<void> {
  const ranBefore = running() !== undefined;
  try {
    if (inside.length > 0) {
      await withLock(() => up({ level: 'kserve', knative: running()?.knative ?? '1.23' }));
      await fetchOperators();
    }
    await runInside();
    for (const file of lifecycle) await runTwice(file, [process.execPath, '--import', 'tsx', file]);
  } catch (error) {
    console.log(`FAIL the cluster does not come up\n${(error as Error).message}`);
    result.failed++;
  }
  if (keep || ranBefore || result.failed > 0) {
    if (running()) progress('the cluster is left running: npm run cluster:down ends it');
    return;
  }
  // Somebody else may have begun to use it.
  await withLock(() => down()).catch((error: Error) => progress(error.message));
}

/** Those inside the cluster's network as they are scheduled. What fails among others runs once more in the end, alone. */
async function runInside(): Promise<void> {
  const fileOf = (name: string) => join(sources, `${name}.test.ts`);
  const commandOf = (file: string): Command => [...enterNetwork, process.execPath, '--import', 'tsx', file];
  const again: string[] = [];
  for (const lists of scheduleOf(
    inside.map((file) => basename(file, '.test.ts')),
    full,
  )) {
    await Promise.all(
      lists.map(async (list) => {
        for (const file of list.map(fileOf)) {
          const outcome = await run(commandOf(file));
          if (outcome.failed > 0) {
            again.push(file);
            await tellAgain(file, outcome);
          } else await tell(file, outcome);
        }
      }),
    );
  }
  for (const file of again) await tell(file, await run(commandOf(file)));
}

/** Runs a file, and where it fails once more: a node of two cores stalls at times. Both runs are shown, the last counts. */
async function runTwice(file: string, command: Command): Promise<void> {
  let outcome = await run(command);
  if (outcome.failed > 0) {
    await tellAgain(file, outcome);
    outcome = await run(command);
  }
  await tell(file, outcome);
}

function run(command: Command): Promise<FileResult> {
  return runTestFile(command, {
    cwd: projectRoot,
    env: { KUBECONFIG: paths.kubeconfig, ...(full ? { PACELINE_FULL: '1' } : {}) },
    timeoutMs: full ? fileTimeoutMs.full : fileTimeoutMs.usual,
  });
}

async function tellAgain(file: string, { output, seconds }: FileResult): Promise<void> {
  unsteady.push(basename(file));
  console.log(`AGAIN ${basename(file)} failed after ${seconds.toFixed(1)} s and is run once more; what it said:`);
  console.log(output.replaceAll(/^(figure: |skip )/gm, '  $1'));
  console.log(await lastState());
}

async function tell(file: string, outcome: FileResult): Promise<void> {
  result.passed += outcome.passed;
  result.failed += outcome.failed;
  result.skipped += outcome.skipped;
  const verdict = outcome.failed > 0 ? 'FAIL' : 'ok  ';
  const name = file.slice(projectRoot.length + 1);
  console.log(`${verdict} ${name} (${outcome.passed} passed, ${outcome.seconds.toFixed(1)} s)`);
  // Tests of the cluster say what they measured on lines of their own.
  const figures = outcome.output.split('\n').filter((line) => line.startsWith('figure: '));
  for (const line of figures) console.log(`     ${line.slice('figure: '.length)}`);
  // What a file could not try here, and why.
  for (const line of outcome.output.split('\n')) if (line.startsWith('skip ')) console.log(line);
  if (outcome.failed > 0) {
    console.log(outcome.output);
    console.log(await lastState());
  }
}

function testFilesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.test.ts'))
    .filter((name) => words.length === 0 || words.some((word) => name.includes(word)))
    .sort()
    .map((name) => join(folder, name));
}
