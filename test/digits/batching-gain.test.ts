import * as assert from 'uvu/assert';
import { type DigitSample, readSamples } from '../../src/digits/samples.ts';
import { Variant } from '../../src/kernels/digits.ts';
import { countedKernel } from '../support/executed-work.ts';
import { suite } from '../support/suite.ts';

const samples = readSamples().slice(0, 16);
const kernel = await countedKernel('digits');

/** Executed work of one call with these images. */
function workOf(variant: Variant, which: typeof samples): number {
  const { exports } = kernel;
  const pixels = which.flatMap((sample) => [...sample.pixels]).map((value) => value / 255);
  new Float32Array(exports.memory.buffer).set(pixels, (exports.input_at?.() as number) >>> 2);
  return kernel.workOf(() => exports.classify?.(variant, which.length));
}

/** Work of a batch of 16 over the work of the same 16 images one by one. */
function gainOf(variant: Variant): number {
  const singles = samples.reduce((sum, each) => sum + workOf(variant, [each]), 0);
  return workOf(variant, samples) / singles;
}

suite('digits: what a batch saves', (test) => {
  test('work is counted: as much again for the same call, twice as much for two images', () => {
    const [image] = samples as [DigitSample];
    const once = workOf(Variant.Conv, [image]);
    assert.ok(once > 10_000, `${once}`);
    assert.is(workOf(Variant.Conv, [image]), once);
    const ratio = workOf(Variant.Conv, [image, image]) / once;
    assert.ok(ratio > 1.99 && ratio <= 2, `${ratio}`);
  });

  test('a batch of 16 of the heavy variant costs less than 0.4 of 16 single calls', () => {
    const gain = gainOf(Variant.Large);
    assert.ok(gain < 0.4, `ratio ${gain}`);
  });

  test('a batch of the convolution gains nothing', () => {
    const gain = gainOf(Variant.Conv);
    assert.ok(gain > 0.98 && gain <= 1, `ratio ${gain}`);
  });
});
