import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What a process has used since it started, and how late its event loop was since the last `resetDelay`. */
export interface Usage {
  readonly cpuUs: number;
  readonly rssBytes: number;
  readonly delayP999Ms: number;
  readonly delayMaxMs: number;
}

/** A process of its own that is measured from inside: CPU time, memory, event loop. */
export class MeasuredProcess {
  readonly port: number;
  /** Where a companion shows its metrics; 0 for others. */
  readonly adminPort: number;
  /** From spawning until it said that it listens, in ms. */
  readonly startMs: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number, adminPort: number, startMs: number) {
    this.#child = child;
    this.port = port;
    this.adminPort = adminPort;
    this.startMs = startMs;
  }

  /** Runs `paceline ARGUMENTS` and waits for its port. */
  static paceline(args: readonly string[], options: { prefix?: string[] } = {}): Promise<MeasuredProcess> {
    return MeasuredProcess.#start([join(root, 'dist/paceline.mjs'), ...args], options);
  }

  /** Runs a TypeScript module of the benchmark and waits for its port. */
  static module(name: string, args: readonly string[]): Promise<MeasuredProcess> {
    return MeasuredProcess.#start(['--import', 'tsx', join(root, 'bench/support', name), ...args], {});
  }

  static #start(args: string[], { prefix = [] }: { prefix?: string[] }): Promise<MeasuredProcess> {
    const startedAt = performance.now();
    const command = [...prefix, process.execPath, '--import', join(root, 'bench/support/probe-hook.mjs'), ...args];
    const child = spawn(command[0] as string, command.slice(1), {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    return new Promise((resolve, reject) => {
      let said = '';
      const onExit = (code: number | null) => reject(new Error(`${args.join(' ')} ended with ${code}:\n${said}`));
      const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
      const listen = (chunk: Buffer) => {
        said += chunk;
        const port = /ready on (\d+)|"port":(\d+)/.exec(said);
        if (!port) return;
        clearTimeout(timer);
        child.off('exit', onExit);
        for (const stream of [child.stdout, child.stderr]) stream?.off('data', listen).resume();
        const adminPort = Number(/"adminPort":(\d+)/.exec(said)?.[1] ?? 0);
        resolve(new MeasuredProcess(child, Number(port[1] ?? port[2]), adminPort, performance.now() - startedAt));
      };
      child.once('exit', onExit);
      child.stdout?.on('data', listen);
      child.stderr?.on('data', listen);
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  resetDelay(): void {
    this.#child.send({ ask: 'reset' });
  }

  usage(): Promise<Usage> {
    return new Promise((resolve, reject) => {
      this.#child.once('message', (usage) => resolve(usage as Usage));
      this.#child.send({ ask: 'measure' }, (error) => error && reject(error));
    });
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Ends it, and waits. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(timer);
  }
}
