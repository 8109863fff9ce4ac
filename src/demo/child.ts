import { type ChildProcess, spawn } from 'node:child_process';

/** A command of this program in a process of its own. */
export interface Child {
  readonly port: number;
  /** Settled when it has ended, by itself or not, with its exit code or signal. */
  readonly ended: Promise<number | string>;
  stop(): Promise<void>;
}

const startTimeoutMs = 15_000;

/**
 * Runs `paceline ARGUMENTS` and waits for the port that it names: `... ready on PORT`, or `"port":PORT` in a log line.
 *
 * @throws {Error} with what the process said, if it ends or stays silent.
 */
export function startChild(...args: string[]): Promise<Child> {
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1] as string, ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  return new Promise((resolve, reject) => {
    let said = '';
    const fail = (why: string) => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      reject(new Error(`paceline ${args[0]} ${why}\n${said}`));
    };
    const timer = setTimeout(() => fail('did not start in 15 s'), startTimeoutMs);
    // Its streams close after its last words.
    const onClose = (code: number | null, signal: string | null) => fail(`ended with ${signal ?? code}`);
    child.once('close', onClose);
    child.once('error', (error) => fail(`cannot run: ${error.message}`));
    const listen = (chunk: Buffer) => {
      said = (said + chunk).slice(-4096);
      const port = /ready on (\d+)|"port":(\d+)/.exec(said);
      if (!port) return;
      clearTimeout(timer);
      child.off('close', onClose);
      for (const stream of [child.stdout, child.stderr]) stream?.off('data', listen).resume();
      const ended = new Promise<number | string>((settle) => {
        child.once('exit', (code, signal) => settle(signal ?? code ?? 0));
      });
      resolve({ port: Number(port[1] ?? port[2]), ended, stop: () => stopChild(child) });
    };
    child.stdout?.on('data', listen);
    child.stderr?.on('data', listen);
  });
}

function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), 1500);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill('SIGTERM');
  });
}
