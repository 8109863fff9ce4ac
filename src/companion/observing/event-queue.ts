import type { CloudEvent } from './cloud-event.ts';

/** What became of an event. */
export type EventResult =
  | 'sent'
  | 'queue-full'
  | 'bytes-full'
  | 'refused'
  | 'unreachable'
  | 'timeout'
  | 'reset'
  | 'untrusted'
  | 'drained';

/** Sends one event. Never throws: says what became of it, and whether the same again may help. */
export type Deliver = (event: CloudEvent) => Promise<{ result: EventResult; again: boolean }>;

/** Bounds of what may be held for a sink. */
export interface QueueBounds {
  readonly events: number;
  readonly bytes: number;
  /** Events that are on their way at once. */
  readonly workers: number;
}

/** An event is tried so often, with these pauses between. */
const pausesMs = [100, 400];

/**
 * Events on their way to a sink, bounded in number and in bytes. Whoever has one to send never waits: where there is no room
 * the event is dropped and counted.
 *
 * ```
 *   reserve ──► bytes held ──► push ──► waiting ──► at most `workers` on their way ──► sent, or dropped after three tries
 *      └ no room: dropped        └ no room: dropped, bytes given back
 * ```
 */
export class EventQueue {
  readonly #bounds: QueueBounds;
  readonly #deliver: Deliver;
  readonly #onEnd: (result: EventResult) => void;
  /** In the order of arrival; what has gone is cut off now and then. */
  #waiting: (CloudEvent | undefined)[] = [];
  #first = 0;
  #running = 0;
  #heldBytes = 0;
  #stopped = false;
  /** What waits between two tries. */
  readonly #pauses = new Set<{ timer: NodeJS.Timeout; go: () => void }>();
  #onIdle: (() => void) | undefined;

  constructor(bounds: QueueBounds, deliver: Deliver, onEnd: (result: EventResult) => void) {
    this.#bounds = bounds;
    this.#deliver = deliver;
    this.#onEnd = onEnd;
  }

  /** Events that wait or are on their way. */
  get events(): number {
    return this.#waiting.length - this.#first + this.#running;
  }

  /** Bytes of payloads that are held, of requests that are still served too. */
  get bytes(): number {
    return this.#heldBytes;
  }

  /** Takes room for so many bytes of a payload. Returns whether there was any. */
  reserve(bytes: number): boolean {
    if (this.#stopped || this.#heldBytes + bytes > this.#bounds.bytes) return false;
    this.#heldBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#heldBytes -= bytes;
  }

  /** An event that could not be made for want of room. */
  dropped(result: EventResult): void {
    this.#onEnd(result);
  }

  /** Takes an event whose bytes have been reserved. */
  push(event: CloudEvent): void {
    if (this.#stopped || this.events >= this.#bounds.events) {
      this.give(event.body.length);
      return this.#onEnd(this.#stopped ? 'drained' : 'queue-full');
    }
    this.#waiting.push(event);
    this.#run();
  }

  /** Waits until all that is held has gone, or until `until`, on the clock of `performance.now()`; then drops the rest. */
  async drain(until: number): Promise<boolean> {
    const left = until - performance.now();
    if (this.events > 0 && left > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#onIdle = () => {
          clearTimeout(timer);
          resolve();
        };
        // Who waits before trying again does so now.
        for (const pause of [...this.#pauses]) this.#end(pause);
      });
    }
    const clean = this.events === 0;
    this.stop();
    return clean;
  }

  /** Drops what waits. What is on its way is left to itself. */
  stop(): void {
    this.#stopped = true;
    for (const event of this.#waiting.slice(this.#first) as CloudEvent[]) {
      this.give(event.body.length);
      this.#onEnd('drained');
    }
    this.#waiting = [];
    this.#first = 0;
    for (const pause of [...this.#pauses]) this.#end(pause);
  }

  #run(): void {
    while (this.#running < this.#bounds.workers && this.#first < this.#waiting.length) {
      const event = this.#waiting[this.#first] as CloudEvent;
      // What has gone must not be kept alive here: its bytes are counted no more.
      this.#waiting[this.#first++] = undefined;
      if (this.#first > 256 && this.#first * 2 > this.#waiting.length) {
        this.#waiting = this.#waiting.slice(this.#first);
        this.#first = 0;
      }
      this.#running++;
      void this.#send(event);
    }
  }

  async #send(event: CloudEvent): Promise<void> {
    let { result, again } = await this.#deliver(event);
    for (const pause of pausesMs) {
      if (!again || this.#stopped) break;
      await this.#pause(pause);
      ({ result, again } = await this.#deliver(event));
    }
    this.#running--;
    this.give(event.body.length);
    this.#onEnd(result);
    this.#run();
    if (this.events === 0) this.#onIdle?.();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const pause = { timer: setTimeout(() => this.#end(pause), ms).unref(), go: resolve };
      this.#pauses.add(pause);
    });
  }

  #end(pause: { timer: NodeJS.Timeout; go: () => void }): void {
    clearTimeout(pause.timer);
    this.#pauses.delete(pause);
    pause.go();
  }
}
