import { spawn } from 'node:child_process';

export interface FileResult {
  passed: number;
  failed: number;
  skipped: number;
  seconds: number;
  output: string;
}

/**
 * Runs a test file in a process of its own and reads uvu's summary. A file fails as a whole when it registers no test,
 * when a hook throws (uvu itself would exit with 0), when it hangs or when it leaves without a summary.
 *
 * @param command what starts the file, such as `node --import tsx FILE`.
 */
export function runTestFile(
  command: readonly [string, ...string[]],
  options: { cwd: string; env?: NodeJS.ProcessEnv; timeoutMs: number },
): Promise<FileResult> {
  return new Promise((resolve) => {
    const started = Date.now();
    const [program, ...args] = command;
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env, FORCE_COLOR: '0', NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const collect = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const timer = setTimeout(() => {
      output += `\ntimed out after ${options.timeoutMs / 1000} s`;
      child.kill('SIGKILL');
      // What the file started may live on and hold the pipes open: the end of the file is what counts.
      child.stdout.destroy();
      child.stderr.destroy();
    }, options.timeoutMs);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ seconds: (Date.now() - started) / 1000, output, ...judge(output, code) });
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

/** The line that a run ends with. */
export function summaryLine(passed: number, failed: number, skipped: number): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
