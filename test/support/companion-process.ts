import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What a companion holds, after a collection. */
export interface ProcessState {
  readonly heapUsed: number;
  readonly external: number;
  /** Of the heap, what is compiled code: it grows for minutes as more of the program has run often, whatever is held. */
  readonly code: number;
  readonly rss: number;
  readonly handles: number;
  /** Descriptors of the process; 0 where the system does not show them. */
  readonly files: number;
}

const pathOf = (file: string) => fileURLToPath(new URL(file, import.meta.url));

/** A companion in a process of its own, as it is shipped, which says what it holds. */
export class CompanionProcess {
  readonly port: number;
  readonly adminPort: number;
  readonly #child: ChildProcess;
  /** The latest of what it wrote to standard error. */
  #said: string[] = [];
  #exit: string | undefined;
  /** Never resolves. */
  readonly #exited: Promise<never>;

  private constructor(child: ChildProcess, port: number, adminPort: number) {
    this.#child = child;
    this.port = port;
    this.adminPort = adminPort;
    child.stderr?.on('data', (chunk) => {
      this.#said.push(String(chunk));
      if (this.#said.length > 50) this.#said = this.#said.slice(-25);
    });
    this.#exited = once(child, 'exit').then(([code, signal]) => {
      this.#exit = `${code ?? signal}`;
      throw new Error(this.gone);
    });
    this.#exited.catch(() => {});
    child.stdout?.resume();
  }

  /** @param flags as on the command line; the ports are free ones. @throws where it does not start. */
  static async start(flags: readonly string[]): Promise<CompanionProcess> {
    const child = spawn(
      process.execPath,
      [
        ...['--expose-gc', '--import', pathOf('memory-probe.mjs'), pathOf('../../dist/paceline.mjs'), 'companion'],
        ...['--host', '127.0.0.1', '--port', '0', '--admin-port', '0', ...flags],
      ],
      { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] },
    );
    let said = '';
    await new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.stderr?.on('data', (chunk) => {
        if (!listening.test(said)) said += chunk;
        if (listening.test(said)) resolve();
      });
    });
    const [, port, adminPort] = listening.exec(said) ?? [];
    if (port === undefined) throw new Error(`the companion did not start:\n${said}`);
    return new CompanionProcess(child, Number(port), Number(adminPort));
  }

  /** Why it is gone, or undefined while it runs. */
  get gone(): string | undefined {
    return this.#exit === undefined ? undefined : `the companion ended with ${this.#exit}:\n${this.#said.join('')}`;
  }

  /** @throws where the companion is gone. */
  async state(): Promise<ProcessState> {
    if (this.gone) throw new Error(this.gone);
    const answer = once(this.#child, 'message');
    this.#child.send({ ask: 'state' });
    const state = (await Promise.race([answer, this.#exited]))[0] as Omit<ProcessState, 'files'>;
    return { ...state, files: filesOf(this.#child.pid as number) };
  }

  /** A page of the admin port. */
  async page(path: string): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.adminPort}${path}`)).text();
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}

/**
 * What a companion holds once it has let go of connections that have nothing to do, so that it has no more than so many handles and
 * files above those of before, or after so long.
 */
export async function settled(
  companion: CompanionProcess,
  before: ProcessState,
  keptMax: number,
  withinMs: number,
): Promise<ProcessState> {
  const until = performance.now() + withinMs;
  for (;;) {
    const state = await companion.state();
    const isBack = state.files <= before.files + keptMax && state.handles <= before.handles + keptMax;
    if (isBack || performance.now() > until) return state;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

const listening = /"port":(\d+),"adminPort":(\d+).*the companion listens.*\n/;

function filesOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}
