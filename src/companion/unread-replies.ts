import type { ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';

/** Smaller replies over HTTP/1.1 fit into what the system keeps for a connection. */
const smallMax = 16_384;
const lookEachMs = 5000;

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
  /** In the order in which they were written. */
  readonly #held = new Map<ServerResponse, { readonly bytes: number; readonly since: number }>();
  #bytes = 0;
  #looking: NodeJS.Timeout | undefined;

  constructor(limits: UnreadLimits = unreadLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A reply of so many bytes was written. */
  wrote(response: ServerResponse, bytes: number): void {
    // Over HTTP/2 a caller may refuse the smallest reply its window.
    if ((bytes < smallMax && response.stream === undefined) || response.closed) return;
    this.#held.set(response, { bytes, since: performance.now() });
    this.#bytes += bytes;
    response.once('close', () => this.#forget(response));
    for (const oldest of this.#held.keys()) {
      if (this.#bytes <= this.#limits.bytes || oldest === response) break;
      this.#breakOff(oldest);
    }
    this.#looking ??= setInterval(() => this.#look(), Math.min(lookEachMs, this.#limits.ms)).unref();
  }

  stop(): void {
    clearInterval(this.#looking);
  }

  #look(): void {
    const before = performance.now() - this.#limits.ms;
    for (const [response, { since }] of this.#held) {
      if (since > before) break;
      this.#breakOff(response);
    }
    if (this.#held.size > 0) return;
    clearInterval(this.#looking);
    this.#looking = undefined;
  }

  #breakOff(response: ServerResponse): void {
    this.#forget(response);
    const { stream } = response as unknown as Partial<Http2ServerResponse>;
    if (stream) stream.destroy();
    else response.destroy();
  }

  #forget(response: ServerResponse): void {
    const held = this.#held.get(response);
    if (!held) return;
    this.#held.delete(response);
    this.#bytes -= held.bytes;
  }
}
