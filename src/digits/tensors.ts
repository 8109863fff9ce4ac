import { digitClasses, digitPixels } from '../kernels/digits.ts';
import { ModelError } from './model-error.ts';

/** What one image was taken for: the digit, and ten scores of which the highest is the digit's. */
export interface Reading {
  readonly digit: number;
  readonly scores: readonly number[];
}

/** The one input of every variant, as V2 metadata names it. Grey values from 0 to 255, whatever the datatype. */
export const inputTensors = [{ name: 'image', datatype: 'UINT8', shape: [-1, digitPixels] }] as const;
const inputDatatypes: readonly unknown[] = ['UINT8', 'FP32'];
const imageShapes = ['784', '28,28', '1,28,28'];

/** The outputs of every variant, as V2 metadata names them. */
export const outputTensors = [
  { name: 'digit', datatype: 'INT64', shape: [-1] },
  { name: 'scores', datatype: 'FP32', shape: [-1, digitClasses] },
] as const;

/** Reads the images [n][784] of a V2 request: flat or nested data, one tensor of shape [n, 784] or [n, 28, 28]. */
export function imagesOfTensors(inputs: unknown): Float32Array[] {
  if (!Array.isArray(inputs) || inputs.length !== 1) {
    throw new ModelError(400, 'Expected "inputs" to be a list of one tensor');
  }
  const { datatype, shape, data } = Object(inputs[0]) as Record<string, unknown>;
  if (!inputDatatypes.includes(datatype)) {
    throw new ModelError(400, `Expected datatype ${inputDatatypes.join(' or ')}, not ${JSON.stringify(datatype)}`);
  }
  const [count, ...rest] = Array.isArray(shape) ? shape : [];
  if (!(Number.isInteger(count) && count >= 1 && imageShapes.includes(rest.join()))) {
    throw new ModelError(400, `Expected shape [n, 784] or [n, 28, 28], not ${JSON.stringify(shape)}`);
  }
  const flat = Array.isArray(data) ? (data.flat(4) as unknown[]) : [];
  if (flat.length !== count * digitPixels) {
    throw new ModelError(
      400,
      `Expected ${count * digitPixels} values of data for shape [${shape}], not ${flat.length}`,
    );
  }
  return Array.from({ length: count }, (_, i) => greyImage(flat.slice(i * digitPixels, (i + 1) * digitPixels)));
}

/** Reads the images of a V1 request, each flat or as 28 rows. */
export function imagesOfRows(request: Record<string, unknown>): Float32Array[] {
  const field = 'instances' in request ? 'instances' : 'inputs' in request ? 'inputs' : 'instances';
  const rows = request[field];
  if (!Array.isArray(rows)) throw new ModelError(400, `Expected "${field}" to be a list`);
  return rows.map((row) => greyImage(Array.isArray(row) ? (row.flat(2) as unknown[]) : []));
}

/** The outputs that a V2 request names, in its order; all of them if it names none. */
export function tensorsOf(readings: readonly Reading[], wanted: unknown): object[] {
  if (wanted !== undefined && !Array.isArray(wanted)) throw new ModelError(400, 'Expected "outputs" to be a list');
  const names = wanted?.length ? wanted.map((each) => Object(each).name) : outputTensors.map(({ name }) => name);
  return names.map((name) => {
    const known = outputTensors.find((each) => each.name === name);
    if (!known) throw new ModelError(400, `There is no output ${JSON.stringify(name)}`);
    const data = known.name === 'digit' ? readings.map((each) => each.digit) : readings.flatMap((each) => each.scores);
    return { name, shape: [readings.length, ...known.shape.slice(1)], datatype: known.datatype, data };
  });
}

/** 784 grey values from 0 to 255 become 0 to 1. */
function greyImage(values: readonly unknown[]): Float32Array {
  const isGrey = (value: unknown) => typeof value === 'number' && value >= 0 && value <= 255;
  if (values.length !== digitPixels || !values.every(isGrey)) {
    throw new ModelError(400, 'Expected an image of 784 numbers from 0 to 255');
  }
  return Float32Array.from(values as number[], (value) => value / 255);
}
