import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { until } from '../../cluster/command.ts';

const keptBytes = 20_000;

export interface PeerOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Whether it serves; asked until it does. It gets what the process has written so far. */
  readonly isUp: (output: string) => Promise<boolean> | boolean;
  readonly timeoutMs?: number;
}

/** A program of somebody else in a process group of its own, and what it said last. */
export class PeerProcess {
  readonly name: string;
  output = '';
  readonly #child: ChildProcess;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output = (this.output + text).slice(-keptBytes);
      });
    }
  }

  /**
   * Starts it and waits until it is up.
   *
   * @throws Error with what it said last when it ends or the time is over.
   */
  static async start(command: readonly [string, ...string[]], options: PeerOptions): Promise<PeerProcess> {
    const [program, ...args] = command;
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const peer = new PeerProcess(command.join(' '), child);
    let failure = '';
    child.on('error', (error) => {
      failure = error.message;
    });
    running.add(peer);
    child.once('exit', () => running.delete(peer));
    try {
      await until(
        `${program} to serve`,
        () => {
          if (failure !== '' || child.exitCode !== null || child.signalCode !== null) return true;
          return options.isUp(peer.output);
        },
        options.timeoutMs ?? 90_000,
      );
      if (failure !== '' || child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`ended with ${failure || (child.exitCode ?? child.signalCode)}`);
      }
    } catch (error) {
      await peer.stop();
      throw new Error(`${peer.name}: ${(error as Error).message}\n${peer.output}`);
    }
    return peer;
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** To it and to all that it started, also where that has a process group of its own, as BentoML's workers have. */
  signal(name: NodeJS.Signals): void {
    for (const target of [...descendantsOf(this.pid), -this.pid]) {
      try {
        process.kill(target, name);
      } catch {}
    }
  }

  /** Ends it without waiting for a drain, and waits until it is gone. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.signal('SIGKILL');
    await ended;
  }
}

/** All processes that descend from this one now, as Linux lists them. */
export function descendantsOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const parent = /^\d+$/.test(entry) ? parentOf(entry) : undefined;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const found = [...(children.get(pid) ?? [])];
  for (const each of found) found.push(...(children.get(each) ?? []));
  return found;
}

function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name before it is in brackets, and may hold anything.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}

const running = new Set<PeerProcess>();
// A test file that ends early must not leave servers behind.
process.on('exit', () => {
  for (const peer of running) peer.signal('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

/** Ports that nobody listens on now; different from each other. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise<typeof server>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', () => resolve(server));
      });
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Whether a GET is answered with this status. */
export async function answers(url: string, status = 200, headers: Record<string, string> = {}): Promise<boolean> {
  const answer = await fetch(url, { headers, signal: AbortSignal.timeout(2000) }).catch(() => undefined);
  await answer?.arrayBuffer();
  return answer?.status === status;
}
