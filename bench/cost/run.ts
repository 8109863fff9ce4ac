// Counts the WebAssembly instructions that the kernels execute a request or a plan, and compares them with bench/kernel-cost.json.
//
//   npm run bench:cost                  exit code 1 where a scenario costs more than 10 % above the baseline
//   npm run bench:cost -- --accept      write the baseline anew
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { compareCosts, growthMax } from './compare.ts';
import { measureCosts } from './scenarios.ts';

const file = fileURLToPath(new URL('../kernel-cost.json', import.meta.url));
const { accept } = new Command('npm run bench:cost --')
  .description('Executed WebAssembly instructions a request or a plan, against the baseline in bench/kernel-cost.json.')
  .option('--accept', 'make what is measured now the baseline')
  .allowExcessArguments(false)
  .parse()
  .opts<{ accept?: boolean }>();

const now = measureCosts();
const { lines, failed } = compareCosts(now, await readBaseline());
console.log('executed WebAssembly instructions a request or a plan: baseline -> now');
for (const line of lines) console.log(line);
if (accept) {
  const rounded = Object.fromEntries(Object.entries(now).map(([name, value]) => [name, Number(value.toFixed(2))]));
  await writeFile(file, `${JSON.stringify(rounded, null, 2)}\n`);
  console.log('this is the baseline now: commit bench/kernel-cost.json and say in the commit why the cost changed');
} else if (failed) {
  console.log(`more than ${100 * growthMax} % above the baseline, or a baseline that does not fit.`);
  console.log('If the cost is worth it: npm run bench:cost -- --accept');
  process.exitCode = 1;
}

async function readBaseline(): Promise<Record<string, number>> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Record<string, number>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}
