import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { wasGivenUp } from '../http/body.ts';

/**
 * The body of a request on its way to the model. An HTTP client destroys a body whose call fails, and with an
 * IncomingMessage goes the connection on which the caller still waits for an answer; this one is destroyed in its place.
 */
export class Upload extends Readable {
  readonly #request: IncomingMessage;
  readonly #idleMs: number;
  readonly #onStall: () => void;
  #timer: NodeJS.Timeout | undefined;
  #begun = false;

  /** @param onStall is called when the model could take more, and for `idleMs` the caller sends nothing. */
  constructor(request: IncomingMessage, idleMs: number, onStall: () => void) {
    super();
    this.#request = request;
    this.#idleMs = idleMs;
    this.#onStall = onStall;
  }

  override _read(): void {
    if (!this.#begun) this.#begin();
    this.#timer ??= setTimeout(this.#onStall, this.#idleMs);
    this.#request.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#timer);
    this.#request.off('data', this.#onData);
    // What still comes is for nobody.
    this.#request.resume();
    callback(error);
  }

  #begin(): void {
    this.#begun = true;
    this.#request.on('data', this.#onData);
    this.#request.on('end', () => {
      clearTimeout(this.#timer);
      if (wasGivenUp(this.#request)) this.destroy(new Error('the caller left'));
      else this.push(null);
    });
    this.#request.on('close', () => {
      if (!this.#request.readableEnded) this.destroy(new Error('the caller left'));
    });
  }

  readonly #onData = (chunk: Buffer) => {
    if (this.push(chunk)) {
      this.#timer?.refresh();
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#request.pause();
  };
}
