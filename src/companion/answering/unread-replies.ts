import type { ServerResponse } from 'node:http';
import { AgeWatch } from './age-watch.ts';
import { breakOff } from './refusal.ts';

/** Smaller replies over HTTP/1.1 fit into what the system keeps for a connection. */
const smallMax = 16_384;

/** What replies that nobody reads may take. */
export interface UnreadLimits {
  readonly bytes: number;
  /** How long a reply may be on its way in all; ms. */
  readonly ms: number;
}

export const unreadLimits: UnreadLimits = { bytes: 256 * 1024 * 1024, ms: 300_000 };

/**
 * Replies of batches that have been written and not been read. They come whole, whatever their callers take: beyond the bound
 * the oldest one is broken off, which is that of the slowest reader.
 *
 * ```
 *   wrote ──► [ oldest … newest ] ──► closed: read, or gone
 *                 └─────────────────► broken off: too many bytes, or too long
 * ```
 */
export class UnreadReplies {
  readonly #limits: UnreadLimits;
  /** Their bytes, in the order in which they were written. */
  readonly #held = new Map<ServerResponse, number>();
  readonly #watch: AgeWatch<ServerResponse>;
  #bytes = 0;

  constructor(limits: UnreadLimits = unreadLimits) {
    this.#limits = limits;
    this.#watch = new AgeWatch(limits.ms, (response) => this.#breakOff(response));
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A reply of so many bytes was written. */
  wrote(response: ServerResponse, bytes: number): void {
    // Over HTTP/2 a caller may refuse the smallest reply its window.
    if ((bytes < smallMax && response.stream === undefined) || response.closed) return;
    this.#held.set(response, bytes);
    this.#watch.add(response);
    this.#bytes += bytes;
    response.once('close', () => this.#forget(response));
    for (const oldest of this.#held.keys()) {
      if (this.#bytes <= this.#limits.bytes || oldest === response) break;
      this.#breakOff(oldest);
    }
  }

  stop(): void {
    this.#watch.stop();
  }

  #breakOff(response: ServerResponse): void {
    this.#forget(response);
    breakOff(response);
  }

  #forget(response: ServerResponse): void {
    const bytes = this.#held.get(response);
    if (bytes === undefined) return;
    this.#held.delete(response);
    this.#watch.delete(response);
    this.#bytes -= bytes;
  }
}
