import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DigitsKernel, digitClasses, digitPixels, Variant } from '../kernels/digits.ts';
import type { KernelFlavour } from '../kernels/load.ts';

/** A variant as it is served. Accuracy is of the held-out digits, in percent. */
export interface VariantInfo {
  readonly name: string;
  readonly variant: Variant;
  readonly accuracy: number;
  readonly features: number;
}

/** The names that models are served under. `digits` alone is the large one. */
export const variantNames: Readonly<Record<string, Variant>> = {
  'digits-linear': Variant.Linear,
  'digits-medium': Variant.Medium,
  'digits-conv': Variant.Conv,
  'digits-large': Variant.Large,
  digits: Variant.Large,
};

/** All variants of the digit model in one kernel instance. */
export class DigitModel {
  readonly batchMax: number;
  readonly #kernel: DigitsKernel;

  /** Reads the committed weights. */
  constructor(flavour?: KernelFlavour) {
    this.#kernel = new DigitsKernel(flavour);
    this.batchMax = this.#kernel.batchMax;
    for (const variant of [Variant.Linear, Variant.Medium, Variant.Conv, Variant.Large]) {
      const { bias, weights } = decodeReadout(readFileSync(weightsFile(`${Variant[variant].toLowerCase()}.bin`)));
      this.#kernel.setReadout(variant, bias, weights);
    }
  }

  /** Ten scores for each image of 784 values from 0 to 1. */
  scores(variant: Variant, images: Float32Array): Float32Array {
    return this.#kernel.classify(variant, images);
  }

  /** The digit that each image shows. */
  classify(variant: Variant, images: Float32Array): number[] {
    const scores = this.scores(variant, images);
    return Array.from({ length: images.length / digitPixels }, (_, i) =>
      best(scores.subarray(i * digitClasses, (i + 1) * digitClasses)),
    );
  }
}

/** The class of the highest score. */
export function best(scores: Float32Array): number {
  let at = 0;
  for (let c = 1; c < scores.length; c++) if ((scores[c] as number) > (scores[at] as number)) at = c;
  return at;
}

/** bias f32 [10] | scale f32 [10] | weights i8 [features][10], little-endian; a weight is its byte times its scale. */
export function encodeReadout(bias: Float32Array, weights: Float32Array): Buffer {
  const scale = new Float32Array(digitClasses);
  for (const [i, weight] of weights.entries()) {
    const c = i % digitClasses;
    scale[c] = Math.max(scale[c] as number, Math.abs(weight) / 127);
  }
  const bytes = Int8Array.from(weights, (weight, i) => Math.round(weight / (scale[i % digitClasses] || 1)));
  return Buffer.concat([floatBytes(bias), floatBytes(scale), Buffer.from(bytes.buffer)]);
}

export function decodeReadout(file: Buffer): { bias: Float32Array; weights: Float32Array } {
  const float = (i: number) => file.readFloatLE(i * 4);
  const bias = Float32Array.from({ length: digitClasses }, (_, c) => float(c));
  const count = file.length - 8 * digitClasses;
  const weights = Float32Array.from(
    { length: count },
    (_, i) => file.readInt8(8 * digitClasses + i) * float(digitClasses + (i % digitClasses)),
  );
  return { bias, weights };
}

/** The accuracy of each variant as it was measured when it was trained. */
export function readManifest(): VariantInfo[] {
  return JSON.parse(readFileSync(weightsFile('manifest.json'), 'utf8')).variants;
}

/** Weights lie in dist/digits beside the bundle, and in src/digits/weights beside the sources. */
export function weightsFile(name: string): string {
  const here = import.meta.url;
  const base = /\/dist\/chunks\//.test(here) ? '../digits/' : /\/dist\//.test(here) ? './digits/' : './weights/';
  return fileURLToPath(new URL(base + name, here));
}

function floatBytes(values: Float32Array): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeFloatLE(value, i * 4);
  return bytes;
}
