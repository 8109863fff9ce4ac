import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { type Clock, pause } from './clock.ts';
import type { KubeApi } from './kube-api.ts';
import { isConflict, isNotFound } from './kube-error.ts';
import type { KubeLog } from './kube-log.ts';
import { type KubeObject, kinds } from './objects.ts';

/** The object that an event is about. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface EventOptions {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly log: KubeLog;
  /** Which part of the program speaks. */
  readonly component: string;
}

interface Said {
  count: number;
  /** On the wall clock; it makes the event's name one of its own. */
  firstMs: number;
  lastMs: number;
}

interface EventText {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** The same event about the same object within this time counts up instead of making another one. */
const sameWithinMs = 10 * 60_000;
/** Events about one object: so many at once, then one each `refillMs`. */
const burst = 10;
const refillMs = 30_000;
const remembered = 4096;
/** Events about all objects: so many at once, then one each `paceMs`. Others' writes go first when thousands begin. */
const burstOfAll = 100;
const paceMs = 40;
/** What would be told later than this is not told. */
const latestMs = 5 * 60_000;

/**
 * Events of the core API. The same event again counts up; an object about which too much is said goes quiet for a
 * while. An event that cannot be written is lost with a log line: nothing waits for it.
 */
export class EventRecorder {
  readonly #options: EventOptions;
  readonly #said = new Map<string, Said>();
  readonly #tokens = new Map<string, { left: number; atMs: number }>();
  /** When the next event could go if there had been no burst. */
  #nextMs = Number.NEGATIVE_INFINITY;
  #dropped = 0;
  readonly #stop = new AbortController();

  constructor(options: EventOptions) {
    this.#options = options;
    // Thousands of events may wait for it, which is no leak.
    setMaxListeners(0, this.#stop.signal);
  }

  /** Events that were kept back because too much was said, about one object or at once. */
  get dropped(): number {
    return this.#dropped;
  }

  /** What still waits for its turn is not told any more: nobody who ends waits for minutes. */
  stop(): void {
    this.#stop.abort();
  }

  async record(about: EventSubject, type: 'Normal' | 'Warning', reason: string, message: string): Promise<void> {
    const { clock, log } = this.#options;
    const now = clock.monotonicMs();
    const what = digest(`${about.uid}\n${type}\n${reason}\n${message}`);
    const said = this.#said.get(what);
    const same = said && now - said.lastMs < sameWithinMs ? said : undefined;
    const delayMs = Math.max(this.#nextMs, now - burstOfAll * paceMs) + paceMs - now;
    if (delayMs > latestMs || !this.#allowed(about.uid, now)) {
      this.#dropped++;
      return;
    }
    this.#nextMs = now + delayMs;
    const entry: Said = same
      ? { ...same, count: same.count + 1, lastMs: now }
      : { count: 1, firstMs: clock.wallMs(), lastMs: now };
    // The latest said is the last one in the map.
    this.#said.delete(what);
    this.#said.set(what, entry);
    bound(this.#said);
    if (delayMs > 0) await pause(clock, delayMs, this.#stop.signal);
    if (this.#stop.signal.aborted) return;
    try {
      await this.#write(about, { type, reason, message: message.slice(0, 1024) }, eventName(about, what, entry), entry);
    } catch (error) {
      log.warn(
        { about: `${about.namespace}/${about.name}`, reason, error: String(error) },
        'an event could not be written',
      );
    }
  }

  async #write(about: EventSubject, text: EventText, name: string, said: Said): Promise<void> {
    const { api, clock, component } = this.#options;
    const { namespace } = about;
    const lastTimestamp = apiTime(clock.wallMs());
    if (said.count > 1) {
      try {
        await api.mergePatch(kinds.event, { namespace, name }, { count: said.count, lastTimestamp });
        return;
      } catch (error) {
        // Events expire after an hour.
        if (!isNotFound(error)) throw error;
      }
    }
    const event: KubeObject = {
      metadata: { name, namespace },
      involvedObject: about,
      ...text,
      count: said.count,
      firstTimestamp: apiTime(said.firstMs),
      lastTimestamp,
      source: { component },
      reportingComponent: component,
      reportingInstance: '',
    };
    try {
      await api.create(kinds.event, event);
    } catch (error) {
      // The one before us got through although its answer did not.
      if (!isConflict(error)) throw error;
    }
  }

  #allowed(uid: string, now: number): boolean {
    const tokens = this.#tokens.get(uid) ?? { left: burst, atMs: now };
    tokens.left = Math.min(burst, tokens.left + (now - tokens.atMs) / refillMs);
    tokens.atMs = now;
    this.#tokens.delete(uid);
    this.#tokens.set(uid, tokens);
    bound(this.#tokens);
    if (tokens.left < 1) return false;
    tokens.left--;
    return true;
  }
}

/** Forgets the oldest entry beyond the bound. */
function bound(map: Map<string, unknown>): void {
  if (map.size <= remembered) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}

function eventName({ name }: EventSubject, what: string, { firstMs }: Said): string {
  return `${name.slice(0, 230)}.${digest(`${what}\n${firstMs}`).slice(0, 16)}`;
}

/** In the place of a text, which would be kept as long: thousands are remembered. */
function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function apiTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
