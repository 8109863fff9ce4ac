import { spawn } from 'node:child_process';

export interface CommandOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  input?: string;
  /** Called with each line of stdout, as it comes. */
  onLine?: (line: string) => void;
  /** Called with each line of stderr, as it comes. */
  onErrorLine?: (line: string) => void;
}

const keptLines = 25;

/**
 * Runs a program to its end.
 *
 * @returns what it wrote to stdout.
 * @throws Error with the last lines of stderr when it cannot start or ends with anything but 0.
 */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: options.cwd, env: options.env, stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    const errorLines: string[] = [];
    const outputLines = new Lines((line) => options.onLine?.(line));
    const errors = new Lines((line) => {
      options.onErrorLine?.(line);
      errorLines.push(line);
      if (errorLines.length > keptLines) errorLines.shift();
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      outputLines.add(text);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => errors.add(text));
    // A program that ends early without reading its input is judged by its exit code, not by our broken pipe.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    child.on('error', (error) => reject(new Error(`${command} cannot be started: ${error.message}`)));
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(output);
      const said = [...errorLines, errors.rest].join('\n').trim() || output.trim().slice(-2000);
      reject(new Error(`${command} ${args.slice(0, 6).join(' ')} ended with ${code ?? signal}:\n${said}`));
    });
  });
}

/** Text as it comes, in lines. */
class Lines {
  /** What has no end of line yet. */
  rest = '';
  readonly #each: (line: string) => void;

  constructor(each: (line: string) => void) {
    this.#each = each;
  }

  add(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() as string;
    for (const line of lines) this.#each(line);
  }
}

/** Asks until the answer is yes. Rejects with the last error, or what was awaited, when the time is over. */
export async function until(what: string, check: () => Promise<boolean> | boolean, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    let problem: unknown;
    try {
      if (await check()) return;
    } catch (error) {
      problem = error;
    }
    if (Date.now() > deadline) {
      const cause = problem instanceof Error ? `: ${problem.message}` : '';
      throw new Error(`waited ${timeoutMs / 1000} s in vain for ${what}${cause}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const startedAt = Date.now();

/** A line of progress, with the time since the command began. */
export function progress(message: string): void {
  console.log(`${((Date.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${message}`);
}
