import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { digitClasses, digitPixels, type Variant } from '../kernels/digits.ts';
import { best, DigitModel, variantNames } from './variants.ts';

const bodyMax = 16 * 1024 * 1024;

/** A request that the model refuses, with KServe's status and error body. */
class ModelError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

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
        send(response, 200, this.#route(request.method ?? '', request.url ?? '', Buffer.concat(chunks)));
      } catch (error) {
        const status = error instanceof ModelError ? error.status : 500;
        send(response, status, { error: error instanceof Error ? error.message : String(error) });
      }
    });
    request.on('error', () => response.destroy());
  }

  #route(method: string, url: string, body: Buffer): object {
    const path = url.split('?', 1)[0] as string;
    const [, version, models, rest = '', action = ''] = path.split('/');
    if (path === '/stats') return this.#stats;
    if (path === '/v2/health/ready' || path === '/v2/health/live') return { ready: true, live: true };
    if (path === '/v2') return { name: 'digits', version: '1', extensions: [] };
    if (path === '/v1/models') return { models: Object.keys(variantNames) };
    if (models !== 'models' || (version !== 'v1' && version !== 'v2')) throw new ModelError(404, 'Not Found');
    const [name = '', verb = ''] = rest.split(':');
    const variant = variantNames[name];
    if (variant === undefined) throw new ModelError(404, `Model with name ${name} does not exist.`);
    if (method === 'GET') return { name, ready: true };
    if (version === 'v1' && verb === 'predict') return this.#predict(variant, parse(body));
    if (version === 'v2' && action === 'infer') return this.#infer(name, variant, parse(body));
    throw new ModelError(404, 'Not Found');
  }

  #predict(variant: Variant, request: Record<string, unknown>): object {
    const { instances } = request;
    if (!Array.isArray(instances)) throw new ModelError(400, 'Expected "instances" to be a list');
    return { predictions: this.#classify(variant, instances.map(imageOf)).map((each) => each.digit) };
  }

  #infer(name: string, variant: Variant, request: Record<string, unknown>): object {
    const [input] = Array.isArray(request.inputs) ? (request.inputs as Record<string, unknown>[]) : [];
    const shape = input?.shape;
    if (!input || !Array.isArray(shape) || !Array.isArray(input.data)) {
      throw new ModelError(400, 'Expected "inputs" with one tensor of shape [n, 784]');
    }
    const data = input.data.flat(3) as unknown[];
    const count = Number(shape[0]);
    if (!(count > 0) || data.length !== count * digitPixels) throw new ModelError(400, 'Expected shape [n, 784]');
    const images = Array.from({ length: count }, (_, i) => imageOf(data.slice(i * digitPixels, (i + 1) * digitPixels)));
    const results = this.#classify(variant, images);
    return {
      model_name: name,
      id: typeof request.id === 'string' ? request.id : 'none',
      outputs: [
        { name: 'digit', shape: [count], datatype: 'INT64', data: results.map((each) => each.digit) },
        {
          name: 'scores',
          shape: [count, digitClasses],
          datatype: 'FP32',
          data: results.flatMap((each) => each.scores),
        },
      ],
    };
  }

  #classify(variant: Variant, images: Float32Array[]): { digit: number; scores: number[] }[] {
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

/** 784 grey values from 0 to 255, flat or as 28 rows. */
function imageOf(instance: unknown): Float32Array {
  const values = Array.isArray(instance) ? (instance.flat(3) as unknown[]) : [];
  if (values.length !== digitPixels || !values.every((value) => typeof value === 'number')) {
    throw new ModelError(400, 'Expected an image of 784 numbers from 0 to 255');
  }
  return Float32Array.from(values as number[], (value) => value / 255);
}

function parse(body: Buffer): Record<string, unknown> {
  try {
    const parsed = JSON.parse(body.toString());
    if (typeof parsed === 'object' && parsed !== null) return parsed;
  } catch {}
  throw new ModelError(400, 'Unrecognized request format: expected a JSON object');
}

function send(response: ServerResponse, status: number, body: object): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length });
  response.end(bytes);
}
