import { type Chance, type Clock, jittered, pause } from './clock.ts';
import type { KubeApi, Selection, WatchEvent } from './kube-api.ts';
import { isExpired, KubeError } from './kube-error.ts';
import type { KubeLog } from './kube-log.ts';
import { type KubeObject, keyOf, type ResourceKind } from './objects.ts';

export interface InformerOptions<T> {
  readonly kind: ResourceKind;
  readonly selection?: Selection;
  /** What is kept of an object; undefined keeps nothing. Memory is bounded by what this returns. */
  readonly project: (object: KubeObject) => T | undefined;
  /** Named indexes: the values under which an object is found. */
  readonly indexes?: Readonly<Record<string, (value: T) => readonly string[]>>;
  /** Objects a page. Default 250. */
  readonly pageSize?: number;
}

export interface InformerTools {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly log: KubeLog;
}

export type Change<T> = (key: string, now: T | undefined, before: T | undefined) => void;

const backOffMs = { first: 250, most: 30_000 };

interface Entry<T> {
  readonly version: string;
  readonly value: T;
}

/**
 * A copy of the objects of one kind, kept up to date: lists in pages, watches with bookmarks, begins again from the
 * last version when a watch ends, and lists anew when the history is gone. Whatever fails is tried again with back-off
 * and jitter; what was known stays readable meanwhile.
 */
export class Informer<T> {
  readonly kind: ResourceKind;
  readonly #options: InformerOptions<T>;
  readonly #tools: InformerTools;
  readonly #entries = new Map<string, Entry<T>>();
  readonly #indexes = new Map<string, Map<string, Set<string>>>();
  readonly #listeners: Change<T>[] = [];
  readonly #stop = new AbortController();
  #version: string | undefined;
  #synced = false;
  #lists = 0;
  #whenSynced: (() => void)[] = [];
  #done: Promise<void> = Promise.resolve();

  constructor(options: InformerOptions<T>, tools: InformerTools) {
    this.kind = options.kind;
    this.#options = options;
    this.#tools = tools;
    for (const name of Object.keys(options.indexes ?? {})) this.#indexes.set(name, new Map());
  }

  /** Calls this for every change from now on. What it throws is logged. */
  onChange(listener: Change<T>): void {
    this.#listeners.push(listener);
  }

  start(): void {
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  /** Whether the first list is complete. */
  get synced(): boolean {
    return this.#synced;
  }

  /** How often everything was listed. */
  get lists(): number {
    return this.#lists;
  }

  get size(): number {
    return this.#entries.size;
  }

  whenSynced(): Promise<void> {
    if (this.#synced) return Promise.resolve();
    return new Promise((resolve) => this.#whenSynced.push(resolve));
  }

  get(key: string): T | undefined {
    return this.#entries.get(key)?.value;
  }

  *values(): IterableIterator<T> {
    for (const { value } of this.#entries.values()) yield value;
  }

  keys(): IterableIterator<string> {
    return this.#entries.keys();
  }

  /** The objects that an index has under this value, in the order of their keys. */
  by(index: string, value: string): T[] {
    const keys = this.#indexes.get(index)?.get(value);
    if (keys === undefined) return [];
    return [...keys].sort().map((key) => this.#entries.get(key)!.value);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let delayMs = backOffMs.first;
    while (!signal.aborted) {
      try {
        if (this.#version === undefined) await this.#list();
        const moved = await this.#watch();
        // A server that ends each watch at once must not be asked in a tight loop.
        delayMs = moved ? backOffMs.first : Math.min(delayMs * 2, backOffMs.most);
        await pause(this.#tools.clock, moved ? 0 : jittered(delayMs, 0.5, this.#tools.chance), signal);
      } catch (error) {
        if (signal.aborted) return;
        if (isExpired(error)) this.#version = undefined;
        else
          this.#tools.log.warn(
            { kind: this.kind.plural, error: String(error) },
            'watching Kubernetes failed, trying again',
          );
        const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
        await pause(this.#tools.clock, Math.max(asked, jittered(delayMs, 0.5, this.#tools.chance)), signal);
        delayMs = Math.min(delayMs * 2, backOffMs.most);
      }
    }
  }

  async #list(): Promise<void> {
    const { api } = this.#tools;
    const { kind, selection = {}, pageSize = 250 } = this.#options;
    const seen = new Set<string>();
    let next: string | undefined;
    let version = '';
    do {
      const page = await api.list(kind, selection, pageSize, next);
      for (const object of page.items) {
        seen.add(keyOf(object.metadata));
        this.#put(object);
      }
      version = page.resourceVersion;
      next = page.next;
    } while (next !== undefined && !this.#stop.signal.aborted);
    if (this.#stop.signal.aborted) return;
    for (const key of [...this.#entries.keys()]) if (!seen.has(key)) this.#remove(key);
    this.#version = version;
    this.#lists++;
    this.#synced = true;
    for (const resolve of this.#whenSynced.splice(0)) resolve();
  }

  /** Follows the changes until the server ends the watch. Says whether it told anything. */
  async #watch(): Promise<boolean> {
    const { kind, selection = {} } = this.#options;
    const begun = this.#tools.clock.monotonicMs();
    let told = false;
    for await (const event of this.#tools.api.watch(kind, selection, this.#version!, this.#stop.signal)) {
      told = true;
      this.#take(event);
    }
    return told || this.#tools.clock.monotonicMs() - begun > 1000;
  }

  #take({ type, object }: WatchEvent): void {
    if (type === 'DELETED') this.#remove(keyOf(object.metadata));
    else if (type !== 'BOOKMARK') this.#put(object);
    this.#version = object.metadata.resourceVersion ?? this.#version;
  }

  #put(object: KubeObject): void {
    const key = keyOf(object.metadata);
    const version = object.metadata.resourceVersion ?? '';
    const before = this.#entries.get(key);
    if (before?.version === version) return;
    const value = this.#options.project(object);
    if (value === undefined) {
      this.#remove(key);
      return;
    }
    if (before) this.#index(key, before.value, false);
    this.#entries.set(key, { version, value });
    this.#index(key, value, true);
    this.#tell(key, value, before?.value);
  }

  #remove(key: string): void {
    const before = this.#entries.get(key);
    if (!before) return;
    this.#entries.delete(key);
    this.#index(key, before.value, false);
    this.#tell(key, undefined, before.value);
  }

  #index(key: string, value: T, present: boolean): void {
    for (const [name, keysOf] of Object.entries(this.#options.indexes ?? {})) {
      const index = this.#indexes.get(name)!;
      for (const entry of keysOf(value)) {
        const keys = index.get(entry);
        if (present) keys ? keys.add(key) : index.set(entry, new Set([key]));
        else if (keys?.delete(key) && keys.size === 0) index.delete(entry);
      }
    }
  }

  #tell(key: string, now: T | undefined, before: T | undefined): void {
    for (const listener of this.#listeners) {
      try {
        listener(key, now, before);
      } catch (error) {
        this.#tools.log.error({ kind: this.kind.plural, key, error: String(error) }, 'a change could not be taken in');
      }
    }
  }
}
