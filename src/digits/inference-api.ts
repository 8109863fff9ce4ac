import { randomUUID } from 'node:crypto';
import type { Variant } from '../kernels/digits.ts';
import { ModelError } from './model-error.ts';
import { imagesOfRows, imagesOfTensors, inputTensors, outputTensors, type Reading, tensorsOf } from './tensors.ts';
import { variantNames } from './variants.ts';

/** Runs one variant on images of 784 values from 0 to 1. */
export type Classify = (variant: Variant, images: readonly Float32Array[]) => Reading[];

/**
 * Answers one call of the V1 or the V2 REST protocol as KServe's Python server does.
 *
 * @throws {ModelError} with the status and message to answer instead.
 */
export function answerTo(method: string, path: string, body: Buffer, classify: Classify): object {
  const [, version, ...rest] = path.split('/');
  if (version === 'v1') return answerV1(method, rest, body, classify);
  if (version === 'v2') return answerV2(method, rest, body, classify);
  if (path === '/') return { status: 'alive' };
  throw new ModelError(404, 'Not Found');
}

function answerV1(
  method: string,
  [models, target = '', ...beyond]: string[],
  body: Buffer,
  classify: Classify,
): object {
  if (models !== 'models' || beyond.length > 0) throw new ModelError(404, 'Not Found');
  if (target === '') return reading(method, { models: Object.keys(variantNames) });
  const [name = '', verb] = target.split(':');
  const variant = variantOf(name);
  if (verb === undefined) return reading(method, { name, ready: true });
  if (verb !== 'predict') throw new ModelError(404, 'Not Found');
  writing(method);
  return { predictions: classify(variant, imagesOfRows(parse(body))).map(({ digit }) => digit) };
}

function answerV2(method: string, parts: string[], body: Buffer, classify: Classify): object {
  const [first, name, ...rest] = parts;
  if (first === undefined) return reading(method, { name: 'digits', version: '1', extensions: [] });
  if (first === 'health' && rest.length === 0 && (name === 'live' || name === 'ready')) {
    return reading(method, { [name]: true });
  }
  if (first !== 'models') throw new ModelError(404, 'Not Found');
  if (name === undefined) return reading(method, { models: Object.keys(variantNames) });
  const variant = variantOf(name);
  if (rest[0] === 'versions') throw new ModelError(501, 'Model versioning not supported yet.');
  if (rest.length === 0) {
    return reading(method, { name, versions: [], platform: 'paceline', inputs: inputTensors, outputs: outputTensors });
  }
  if (rest.length === 1 && rest[0] === 'ready') return reading(method, { name, ready: true });
  if (rest.length > 1 || rest[0] !== 'infer') throw new ModelError(404, 'Not Found');
  writing(method);
  return infer(name, variant, parse(body), classify);
}

function infer(name: string, variant: Variant, request: Record<string, unknown>, classify: Classify): object {
  const { id } = request;
  if (id !== undefined && typeof id !== 'string') throw new ModelError(400, 'Expected "id" to be a string');
  // Outputs are looked at first: a request for what does not exist costs no model time.
  tensorsOf([], request.outputs);
  const readings = classify(variant, imagesOfTensors(request.inputs));
  return { model_name: name, id: id ?? randomUUID(), outputs: tensorsOf(readings, request.outputs) };
}

function variantOf(name: string): Variant {
  const variant = Object.hasOwn(variantNames, name) ? variantNames[name] : undefined;
  if (variant === undefined) throw new ModelError(404, `Model with name ${name} does not exist.`);
  return variant;
}

function reading<T>(method: string, answer: T): T {
  if (method !== 'GET' && method !== 'HEAD') throw new ModelError(405, 'Method Not Allowed');
  return answer;
}

function writing(method: string): void {
  if (method !== 'POST') throw new ModelError(405, 'Method Not Allowed');
}

function parse(body: Buffer): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString());
  } catch (error) {
    throw new ModelError(400, `Unrecognized request format: ${(error as Error).message}`);
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as Record<string, unknown>;
  throw new ModelError(400, 'Unrecognized request format: expected a JSON object');
}
