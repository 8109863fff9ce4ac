// Everything in its long form, one suite after the other, each by its own command. It goes on after a failure. The last line
// is `N passed, N failed`: the sum of what the suites say.
//
//   npm run test:full                    all of it: hours
//   npm run test:full -- chaos soak      these suites
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const hour = 3_600_000;

interface Suite {
  readonly name: string;
  /** What `npm run` is given. */
  readonly command: readonly string[];
  readonly timeoutMs: number;
}

const suites: readonly Suite[] = [
  { name: 'test', command: ['test'], timeoutMs: hour },
  { name: 'chaos', command: ['chaos', '--', '--requests', '1000000', '--report'], timeoutMs: 2 * hour },
  { name: 'fuzz', command: ['fuzz', '--', '--full', '--report'], timeoutMs: 3 * hour },
  { name: 'soak', command: ['soak', '--', '--seconds', '1800', '--report'], timeoutMs: hour },
  { name: 'peers', command: ['test:peers'], timeoutMs: 2 * hour },
  { name: 'cluster', command: ['test:cluster', '--', '--full'], timeoutMs: 4 * hour },
  { name: 'compare', command: ['cluster:compare', '--', '--up'], timeoutMs: hour },
];

const root = fileURLToPath(new URL('../..', import.meta.url));
const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  scripts: Record<string, string>;
};
const words = process.argv.slice(2);
const unknown = words.filter((word) => !suites.some(({ name }) => name === word));
if (unknown.length > 0) {
  console.error(`there is no suite ${unknown.join(', ')}: ${suites.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

let [passed, failed] = [0, 0];
const lines: string[] = [];
for (const suite of suites) {
  if (words.length > 0 ? !words.includes(suite.name) : !((suite.command[0] as string) in scripts)) continue;
  console.log(`\n=== npm run ${suite.command.join(' ')}`);
  const started = Date.now();
  const output = await outputOf(suite);
  const summary = [...output.matchAll(/^(\d+) passed, (\d+) failed.*$/gm)].at(-1);
  passed += Number(summary?.[1] ?? 0);
  failed += summary ? Number(summary[2]) : 1;
  lines.push(`${suite.name}: ${summary?.[0] ?? 'no result'} (${Math.round((Date.now() - started) / 1000)} s)`);
}
console.log(`\n${lines.join('\n')}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

function outputOf({ command, timeoutMs }: Suite): Promise<string> {
  return new Promise((resolve) => {
    // A group of its own, so that all of it ends where it hangs.
    const child = spawn('npm', ['run', ...command], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        process.stdout.write(chunk);
        output += chunk;
      });
    }
    const timer = setTimeout(() => {
      console.log(`it is ended after ${timeoutMs / 60_000} minutes`);
      process.kill(-(child.pid as number), 'SIGKILL');
    }, timeoutMs);
    child.on('close', () => {
      clearTimeout(timer);
      resolve(output);
    });
  });
}
