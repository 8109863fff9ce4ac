import { type Chance, type Clock, jittered } from './clock.ts';
import { isConflict } from './kube-error.ts';
import type { KubeLog } from './kube-log.ts';

/** What a worker wants next for its key: to be called again after this many ms, to be forgotten, or nothing. */
export interface Again {
  readonly afterMs?: number | undefined;
  /** Without a reason but the time: where keys wait for workers, those that have one go before. */
  readonly routine?: boolean;
  readonly forget?: boolean;
}

export interface WorkQueueOptions {
  /** Handles one key. What it throws leads to another try with back-off. */
  readonly work: (key: string) => Promise<Again | undefined>;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly log: KubeLog;
  /** Keys in work at once. Default 4. */
  readonly parallel?: number;
  /** Shortest time between two runs of one key in ms: changes in between are taken together. Default 250. */
  readonly intervalMs?: number;
  /** First and longest delay after a failure. Default 500 ms and 60 s. */
  readonly backOffMs?: { readonly first: number; readonly most: number };
}

interface Entry {
  /** When it is to run, on the monotonic clock; undefined while it is not to. */
  dueMs: number | undefined;
  running: boolean;
  startedMs: number;
  /** The back-off ends here: changes that arrive before do not shorten it. */
  notBeforeMs: number;
  failures: number;
  cancel: (() => void) | undefined;
  /** Nobody but the time asks for it. */
  routine: boolean;
  /** Where it waits for a worker. */
  line: string[] | undefined;
}

/** So many keys with a reason go before each one of routine, which is late then, but not forgotten. */
const routineEvery = 8;

/**
 * Keys that want work. A key is in it once, never runs twice at a time, and not more often than each `intervalMs`;
 * what fails comes again with exponential back-off and jitter. Where thousands wait, those of which something changed go before
 * those that are looked at once in a while.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #parallel: number;
  readonly #intervalMs: number;
  readonly #backOffMs: { readonly first: number; readonly most: number };
  readonly #entries = new Map<string, Entry>();
  readonly #ready: string[] = [];
  readonly #readyOfRoutine: string[] = [];
  #sinceRoutine = 0;
  #running = 0;
  #stopped = false;
  #whenIdle: (() => void)[] = [];

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#parallel = options.parallel ?? 4;
    this.#intervalMs = options.intervalMs ?? 250;
    this.#backOffMs = options.backOffMs ?? { first: 500, most: 60_000 };
  }

  /** Keys that wait for a free worker now. */
  get waiting(): number {
    return this.#ready.length + this.#readyOfRoutine.length;
  }

  /** Wants this key to run, soon or after a delay in ms. The earlier of two wishes wins. */
  add(key: string, afterMs = 0): void {
    this.#add(key, afterMs, false);
  }

  /** Keys that it knows. */
  get size(): number {
    return this.#entries.size;
  }

  /** Takes no more keys and waits for those in work. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const entry of this.#entries.values()) entry.cancel?.();
    this.#ready.length = 0;
    this.#readyOfRoutine.length = 0;
    if (this.#running > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  #add(key: string, afterMs: number, routine: boolean): void {
    if (this.#stopped) return;
    const now = this.#options.clock.monotonicMs();
    const entry = this.#entries.get(key) ?? this.#open(key);
    const dueMs = Math.max(now + afterMs, entry.startedMs + this.#intervalMs, entry.notBeforeMs);
    const sooner = entry.dueMs === undefined || dueMs < entry.dueMs;
    const nowWithReason = entry.routine && !routine;
    if (!sooner && !nowWithReason) return;
    entry.routine = routine && (entry.dueMs === undefined || entry.routine);
    if (sooner) entry.dueMs = dueMs;
    if (!entry.running) this.#schedule(key, entry, now);
  }

  #open(key: string): Entry {
    const entry: Entry = {
      dueMs: undefined,
      running: false,
      startedMs: Number.NEGATIVE_INFINITY,
      notBeforeMs: Number.NEGATIVE_INFINITY,
      failures: 0,
      cancel: undefined,
      routine: false,
      line: undefined,
    };
    this.#entries.set(key, entry);
    return entry;
  }

  #schedule(key: string, entry: Entry, now: number): void {
    entry.cancel?.();
    entry.cancel = undefined;
    if (entry.dueMs! <= now) return this.#enqueue(key, entry);
    entry.cancel = this.#options.clock.after(entry.dueMs! - now, () => {
      entry.cancel = undefined;
      this.#enqueue(key, entry);
    });
  }

  #enqueue(key: string, entry: Entry): void {
    entry.line = entry.routine ? this.#readyOfRoutine : this.#ready;
    entry.line.push(key);
    this.#pump();
  }

  #nextLine(): string[] {
    const routine = this.#ready.length === 0 || (this.#sinceRoutine >= routineEvery && this.#readyOfRoutine.length > 0);
    this.#sinceRoutine = routine ? 0 : this.#sinceRoutine + 1;
    return routine ? this.#readyOfRoutine : this.#ready;
  }

  #pump(): void {
    while (!this.#stopped && this.#running < this.#parallel) {
      const line = this.#nextLine();
      const key = line.shift();
      if (key === undefined) return;
      const entry = this.#entries.get(key);
      // It went on to the other line.
      if (entry?.line !== line) continue;
      entry.line = undefined;
      void this.#run(key, entry);
    }
  }

  async #run(key: string, entry: Entry): Promise<void> {
    const { clock, chance, log } = this.#options;
    entry.running = true;
    entry.dueMs = undefined;
    entry.startedMs = clock.monotonicMs();
    this.#running++;
    let again: Again | undefined;
    try {
      again = await this.#options.work(key);
      entry.failures = 0;
      entry.notBeforeMs = Number.NEGATIVE_INFINITY;
    } catch (error) {
      const delayMs = Math.min(this.#backOffMs.most, this.#backOffMs.first * 2 ** Math.min(entry.failures, 20));
      entry.failures++;
      again = { afterMs: jittered(delayMs, 0.5, chance) };
      entry.dueMs = undefined;
      entry.notBeforeMs = clock.monotonicMs() + again.afterMs!;
      // Somebody else was faster: that is how it should go.
      const say = isConflict(error) ? log.info.bind(log) : log.warn.bind(log);
      say({ key, failures: entry.failures, error: String(error) }, 'will be tried again');
    }
    this.#running--;
    entry.running = false;
    if (this.#stopped) {
      if (this.#running === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
      return;
    }
    if (entry.dueMs !== undefined) this.#schedule(key, entry, clock.monotonicMs());
    else if (again?.forget) this.#entries.delete(key);
    if (again?.afterMs !== undefined) this.#add(key, again.afterMs, again.routine === true);
    this.#pump();
  }
}
