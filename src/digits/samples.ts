import { readFileSync } from 'node:fs';
import { digitPixels } from '../kernels/digits.ts';
import { weightsFile } from './variants.ts';

/** A held-out handwritten digit: 784 grey values from 0 to 255, row by row, and what it shows. */
export interface DigitSample {
  readonly pixels: Uint8Array;
  readonly label: number;
}

/** Digits that no variant was trained on: label u8, then 784 bytes, for each. */
export function readSamples(): DigitSample[] {
  const file = readFileSync(weightsFile('samples.bin'));
  const size = digitPixels + 1;
  return Array.from({ length: file.length / size }, (_, i) => ({
    label: file[i * size] as number,
    pixels: file.subarray(i * size + 1, (i + 1) * size),
  }));
}
