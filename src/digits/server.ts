import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { digitClasses, digitPixels, type Variant } from '../kernels/digits.ts';
import { answerTo } from './inference-api.ts';
import { ModelError } from './model-error.ts';
import type { Reading } from './tensors.ts';
import { best, DigitModel } from './variants.ts';

const bodyMax = 16 * 1024 * 1024;

/** Counts since the start. Times in ms. */
interface ModelStats {
  calls: number;
  items: number;
  busyMs: number;
}

/** Serves the digit model over V1 and V2 REST as KServe's Python server does: one call at a time. */
export class DigitsServer {
  readonly #model = new DigitModel();
  readonly #batchMax: number;
  readonly #server: Server;
  readonly #stats: ModelStats = { calls: 0, items: 0, busyMs: 0 };

  /** @param batchMax images of one call; more are refused with 413. */
  constructor(batchMax: number) {
    this.#batchMax = Math.min(batchMax, this.#model.batchMax);
    this.#server = createServer({ keepAliveTimeout: 75_000, noDelay: true }, (request, response) =>
      this.#read(request, response),
    );
  }

  /** @throws when the port is taken. */
  listen(port: number, host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => resolve((this.#server.address() as AddressInfo).port));
    });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #read(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= bodyMax) chunks.push(chunk);
    });
    request.on('end', () => {
      try {
        if (length > bodyMax) throw new ModelError(413, 'the body is larger than 16 MB');
        send(response, 200, this.#answer(request, Buffer.concat(chunks)));
      } catch (error) {
        const status = error instanceof ModelError ? error.status : 500;
        send(response, status, { error: error instanceof Error ? error.message : String(error) });
      }
    });
    request.on('error', () => response.destroy());
  }

  #answer(request: IncomingMessage, body: Buffer): object {
    const path = (request.url ?? '/').split('?', 1)[0] as string;
    if (path === '/stats') return this.#stats;
    if (request.headers['inference-header-content-length'] !== undefined) {
      throw new ModelError(400, 'Binary tensors are not supported: send data as JSON');
    }
    return answerTo(request.method ?? '', path, body, (variant, images) => this.#classify(variant, images));
  }

  #classify(variant: Variant, images: readonly Float32Array[]): Reading[] {
    if (images.length === 0) return [];
    if (images.length > this.#batchMax) {
      throw new ModelError(413, `a call holds at most ${this.#batchMax} images, this one has ${images.length}`);
    }
    const started = performance.now();
    const pixels = new Float32Array(images.length * digitPixels);
    for (const [i, image] of images.entries()) pixels.set(image, i * digitPixels);
    const scores = this.#model.scores(variant, pixels);
    this.#stats.calls++;
    this.#stats.items += images.length;
    this.#stats.busyMs += performance.now() - started;
    return images.map((_, i) => {
      const own = scores.subarray(i * digitClasses, (i + 1) * digitClasses);
      return { digit: best(own), scores: [...own].map((score) => Math.round(score * 1e4) / 1e4) };
    });
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length });
  response.end(bytes);
}
