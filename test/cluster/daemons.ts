import { spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { join } from 'node:path';
import { until } from './command.ts';
import { childOf, enterAll, startTimeOf } from './namespaces.ts';
import { paths } from './settings.ts';

/** A program of the cluster that runs until `down`. */
export interface Daemon {
  name: string;
  command: readonly [string, ...string[]];
}

/**
 * Starts a program in the cluster's namespaces unless it runs; its output goes to logs/NAME.log.
 *
 * @returns whether it had to be started.
 */
export async function start(daemon: Daemon): Promise<boolean> {
  if (runningPid(daemon.name)) return false;
  const log = openSync(logOf(daemon.name), 'a');
  const [program, ...prefix] = enterAll() as [string, ...string[]];
  const entering = atNormalPriority(() =>
    spawn(program, [...prefix, ...daemon.command], { detached: true, stdio: ['ignore', log, log], cwd: paths.run }),
  );
  entering.unref();
  // The program itself is the child of what entered the process namespace for it.
  await until(`the start of ${daemon.name}`, () => childOf(entering.pid as number) !== undefined, 5_000);
  const pid = childOf(entering.pid as number) as number;
  writeFileSync(pidFileOf(daemon.name), `${pid} ${startTimeOf(pid)}\n`);
  return true;
}

/** Whoever starts the cluster at a low priority, to build it, means the building and not what runs afterwards. */
function atNormalPriority<T>(work: () => T): T {
  const own = getPriority();
  setPriority(0);
  try {
    return work();
  } finally {
    setPriority(own);
  }
}

/** Ends a program as a crash would, and waits until it is gone. */
export async function kill(name: string): Promise<void> {
  const pid = runningPid(name);
  if (!pid) return;
  process.kill(pid, 'SIGKILL');
  await until(`the end of ${name}`, () => runningPid(name) === undefined, 10_000);
  rmSync(pidFileOf(name), { force: true });
}

export function runningPid(name: string): number | undefined {
  if (!existsSync(pidFileOf(name))) return undefined;
  const [pid, startedAt] = readFileSync(pidFileOf(name), 'utf8').trim().split(' ') as [string, string];
  return startTimeOf(Number(pid)) === startedAt ? Number(pid) : undefined;
}

export function logOf(name: string): string {
  return join(paths.logs, `${name}.log`);
}

function pidFileOf(name: string): string {
  return join(paths.run, `${name}.pid`);
}
